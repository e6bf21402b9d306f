/*
 * Arguments of QEMU that a user gives, for machines of the user's own: which options there are,
 * which of them Godwit sets itself, and what the others say about RAM, CPUs and disks.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_QEMU_ARGUMENTS_H
#define GODWIT_HARNESS_QEMU_ARGUMENTS_H

#include "base/error.h"

/* One option with its value, in an array of words. Borrowed from the words. */
struct godwit_argument {
    const char *name;  /* without its dashes; NULL: a word that belongs to no option */
    const char *value; /* NULL: the option takes none */
    guint first;       /* index of its first word */
    guint words;       /* how many words it has: 1 or 2 */
};

/* Sets *ARGUMENT to the option that begins at word AT of WORDS, NULL-terminated. Returns false at
 * the end. The next option begins at word first + words. */
bool godwit_argument_at(char *const *words, guint at, struct godwit_argument *argument);

/* Splits VALUE at its single commas. A doubled one stands for itself. The caller frees them. */
char **godwit_argument_split(const char *value);

/* Returns the value of KEY in VALUE, which is of the form "first,key=value" or a JSON object, or
 * NULL if it has none. A JSON value that is no string becomes its text. The caller frees it. */
char *godwit_argument_get(const char *value, const char *key);

/* Returns the part of VALUE that has no key: "q35" of "q35,usb=off", or NULL. The caller frees
 * it. */
char *godwit_argument_first(const char *value);

/* What arguments choose, and Godwit must know. */
struct godwit_arguments_choice {
    unsigned memory_mib; /* RAM in MiB by -m; 0: not chosen */
    unsigned cpus;       /* CPUs by -smp; 0: not chosen */
    bool backend;        /* they have a memory backend, whose size is fixed */
    char *accel;         /* the accelerator's name by -accel; NULL: not chosen; owned */
};

/*
 * Checks that WORDS, NULL-terminated, have no option that Godwit sets itself, and fills in *CHOICE,
 * whose accel the caller frees. OPTION names the place of WORDS in messages. Fails with USAGE.
 */
bool godwit_arguments_check(char *const *words, const char *option,
                            struct godwit_arguments_choice *choice, GError **error);

/* Does what godwit_arguments_check() does, except that it refuses no option and no disk without
 * one. */
bool godwit_arguments_choose(char *const *words, const char *option,
                             struct godwit_arguments_choice *choice, GError **error);

/*
 * Returns a copy of WORDS in which no disk can be written: -drive and its kin get -snapshot, and a
 * -blockdev is read-only. The caller frees it. Protecting the result again changes nothing.
 */
char **godwit_arguments_protect(char *const *words);

#endif
