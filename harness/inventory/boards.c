/*
 * Boards, and a table of the images without which some of them do not start.
 *
 * SPDX-License-Identifier: MIT
 */
#include "inventory/boards.h"

#include <string.h>

/* What stands for the name of the file of zeros. */
#define IMAGE "IMAGE"

/* A board that insists on an image. What the image contains does not matter, because no CPU runs
 * it. */
struct need {
    const char *type; /* a pattern with * and ? */
    const char *option, *value;
};

static const struct need needs[] = {
    {"ast2700*", "-bios", IMAGE},
    {"boston-aia", "-bios", IMAGE},
    {"canon-a1100", "-bios", IMAGE},
    {"microchip-icicle-kit", "-bios", IMAGE},
    {"pegasos?", "-bios", IMAGE},
    {"cheetah", "-kernel", IMAGE},
    {"sx1", "-kernel", IMAGE},
    {"sx1-v1", "-kernel", IMAGE},
    {"connex", "-drive", "if=pflash,driver=null-co,read-zeroes=on,size=16777216"},
    {"verdex", "-drive", "if=pflash,driver=null-co,read-zeroes=on,size=33554432"},
};

static gint by_name(gconstpointer a, gconstpointer b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

char **godwit_boards_parse(const json_t *machines)
{
    GPtrArray *list = g_ptr_array_new();
    size_t i;
    json_t *machine;
    json_array_foreach(machines, i, machine)
    {
        const char *name = godwit_json_string(machine, "name", "none");
        if (strcmp(name, "none") != 0)
            g_ptr_array_add(list, g_strdup(name));
    }
    g_ptr_array_sort(list, by_name);
    g_ptr_array_add(list, NULL);
    return (char **)g_ptr_array_free(list, FALSE);
}

char **godwit_boards_list(struct godwit_vm *vm, GError **error)
{
    g_autoptr(json_t) machines = godwit_vm_execute(vm, "query-machines", NULL, error);
    return machines ? godwit_boards_parse(machines) : NULL;
}

/* Returns whether a sound card that is part of the board needs a backend. Until 8.2, QEMU chose one
 * on its own; since then it ends or, with some boards, aborts. */
static bool needs_audio(const struct godwit_qemu *qemu)
{
    const struct godwit_qemu first = {.version = (char[]){"8.2.0"}};
    return godwit_qemu_compare(qemu, &first) >= 0;
}

char **godwit_board_arguments(const struct godwit_qemu *qemu, const char *type, const char *accel,
                              const char *image)
{
    GPtrArray *list = g_ptr_array_new();
    /* The compare needs the description of the state and the ends of the sections, which machine
     * types older than 2.3 and 2.4 leave out of the stream. */
    char *machine = g_strdup_printf("%s,dump-guest-core=off,suppress-vmdesc=off", type);
    const char *const all[] = {"-accel",  accel,
                               "-rtc",    "base=2026-01-01,clock=vm",
                               "-global", "migration.send-section-footer=on"};
    g_ptr_array_add(list, g_strdup("-machine"));
    g_ptr_array_add(list, machine);
    for (size_t i = 0; i < G_N_ELEMENTS(all); i++)
        g_ptr_array_add(list, g_strdup(all[i]));
    if (needs_audio(qemu)) {
        g_ptr_array_add(list, g_strdup("-audio"));
        g_ptr_array_add(list, g_strdup("none"));
    }
    for (size_t i = 0; i < G_N_ELEMENTS(needs); i++) {
        if (!g_pattern_match_simple(needs[i].type, type))
            continue;
        g_ptr_array_add(list, g_strdup(needs[i].option));
        g_ptr_array_add(list, g_strdup(strcmp(needs[i].value, IMAGE) ? needs[i].value : image));
    }
    g_ptr_array_add(list, NULL);
    return (char **)g_ptr_array_free(list, FALSE);
}
