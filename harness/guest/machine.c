/*
 * The registered machines, one for each QEMU target. GODWIT_MACHINE() puts a pointer to each into a
 * linker section, which this file reads.
 *
 * SPDX-License-Identifier: MIT
 */
#include "guest/machine.h"

#include <glib.h>
#include <string.h>

/* The bounds of the section that GODWIT_MACHINE() fills. The linker defines them. */
extern const struct godwit_machine *const __start_godwit_machines[];
extern const struct godwit_machine *const __stop_godwit_machines[];

size_t godwit_machine_count(void)
{
    /* cppcheck-suppress comparePointers */
    return (size_t)(__stop_godwit_machines - __start_godwit_machines);
}

const struct godwit_machine *godwit_machine_at(size_t index)
{
    /* The order must not depend on the linker: the machine at INDEX is the one with INDEX others
     * before it in the alphabet. */
    const size_t count = godwit_machine_count();
    for (size_t i = 0; i < count; i++) {
        size_t before = 0;
        for (size_t j = 0; j < count; j++)
            before +=
                strcmp(__start_godwit_machines[j]->arch, __start_godwit_machines[i]->arch) < 0;
        if (before == index)
            return __start_godwit_machines[i];
    }
    g_assert_not_reached();
}

const struct godwit_machine *godwit_machine_find(const char *arch)
{
    for (size_t i = 0; i < godwit_machine_count(); i++)
        if (!strcmp(__start_godwit_machines[i]->arch, arch))
            return __start_godwit_machines[i];
    return NULL;
}

const struct godwit_image *godwit_machine_image(const struct godwit_machine *machine,
                                                const char *name)
{
    for (size_t i = 0; machine->images[i]; i++)
        if (!name || !strcmp(machine->images[i]->name, name))
            return machine->images[i];
    return NULL;
}
