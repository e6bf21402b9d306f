/*
 * A complete command line of QEMU, as a person, libvirt or Proxmox has written it, and what Godwit
 * makes of it: the binary, the machine and further arguments that it can run twice on one host.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_HARNESS_QEMU_COMMAND_LINE_H
#define GODWIT_HARNESS_QEMU_COMMAND_LINE_H

#include "base/error.h"

struct godwit_command_line {
    char *qemu;   /* the binary as it is written */
    char *type;   /* the machine type; NULL: not named */
    char *accel;  /* the first accelerator; NULL: not named */
    char **words; /* the other arguments */
};

/*
 * Reads TEXT. Drops environment variables before the binary, and the options that Godwit takes over
 * (monitor, display, daemon, log). Replaces every character device by one that leads nowhere, and
 * the console by Godwit's, "chardev:console". If THEIRS is false, drops what would boot as well.
 * Relative paths become those below FOLDER. The caller frees the result. Fails with USAGE if it is
 * not a command line of QEMU, or has something that Godwit cannot own.
 */
struct godwit_command_line *godwit_command_line_read(const char *text, bool theirs,
                                                     const char *folder, GError **error);
void godwit_command_line_free(struct godwit_command_line *line);

/* Returns whether WORDS, which may be NULL, connect Godwit's console to the machine. */
bool godwit_command_line_has_console(const char *const *words);

#endif
