/*
 * Presets: what the comparisons of QEMU's guestperf vary, as sweeps. The names are guestperf's.
 * docs/from-guestperf.md says what differs. The values suit a guest of Godwit's size.
 *
 * SPDX-License-Identifier: MIT
 */
#include "command/sweep_parts.h"

#include <string.h>

static const char precopy[] = "precopy/tcp/plain";
static const char no_ring[] =
    "it needs KVM's dirty ring, which no scenario has that can be measured";

static const struct godwit_preset presets[] = {
    {
        .name = "pause-iters",
        .summary = "the guest is paused in a later and later iteration",
        .over = {"pause-iteration=1,2,4,8", "max-bandwidth=30000000", "dirty-rate=20000"},
        .scenarios = {precopy},
    },
    {
        .name = "post-copy-iters",
        .summary = "postcopy begins in a later and later iteration",
        .over = {"postcopy-iteration=1,2,4"},
        .scenarios = {"postcopy/plain"},
    },
    {
        .name = "post-copy-bandwidth",
        .summary = "postcopy with more and more bandwidth",
        .over = {"max-postcopy-bandwidth=12500000,31250000,125000000,0"},
        .scenarios = {"postcopy/plain"},
    },
    {
        .name = "auto-converge-iters",
        .summary = "auto-converge with larger and larger steps",
        .over = {"cpu-throttle-increment=5,10,20", "max-bandwidth=30000000", "dirty-rate=20000"},
        .set = {"auto-converge=on"},
        .scenarios = {precopy},
        .give_up = 40,
    },
    {
        .name = "auto-converge-bandwidth",
        .summary = "auto-converge with more and more bandwidth",
        .over = {"max-bandwidth=20000000,40000000,80000000,160000000", "dirty-rate=20000"},
        .set = {"auto-converge=on"},
        .scenarios = {precopy},
        .give_up = 40,
    },
    {
        .name = "compr-mt",
        .summary = "compression by more and more threads",
        .over = {"compress-threads=1,2,4"},
        .set = {"compress=on"},
        .scenarios = {precopy},
        .gone = "QEMU 9.1 removed compression by threads of its own; see compr-multifd-compression",
    },
    {
        .name = "compr-xbzrle",
        .summary = "xbzrle with a larger and larger cache",
        .over = {"xbzrle-cache-size=1048576,4194304,16777216,67108864", "max-bandwidth=30000000",
                 "dirty-rate=20000"},
        .set = {"xbzrle=on"},
        .scenarios = {precopy},
    },
    {
        .name = "compr-multifd",
        .summary = "multifd with more and more channels",
        .over = {"multifd-channels=1,2,4,8,16"},
        .set = {"multifd=on"},
        .scenarios = {precopy},
    },
    {
        .name = "compr-multifd-compression",
        .summary = "multifd with one method of compression after another",
        .over = {"multifd-compression=none,zlib,zstd"},
        .set = {"multifd=on"},
        .scenarios = {precopy},
    },
    {
        .name = "compr-dirty-limit-period",
        .summary = "dirty-limit that measures less and less often",
        .missing = no_ring,
    },
    {
        .name = "compr-dirty-limit",
        .summary = "dirty-limit with a higher and higher limit",
        .missing = no_ring,
    },
};

const struct godwit_preset *godwit_preset_find(const char *name, GError **error)
{
    for (size_t i = 0; i < G_N_ELEMENTS(presets); i++) {
        if (strcmp(presets[i].name, name) != 0)
            continue;
        if (!presets[i].missing)
            return &presets[i];
        godwit_fail(error, GODWIT_ERROR_USAGE, "there is no sweep for guestperf's %s: %s", name,
                    presets[i].missing);
        return NULL;
    }
    godwit_fail(error, GODWIT_ERROR_USAGE, "unknown preset \"%s\" (see `--preset list`)", name);
    return NULL;
}

static void list_words(const char *option, const char *const *words)
{
    for (; *words; words++)
        printf("%s%s %s", *option ? " " : "", option, *words);
}

void godwit_preset_list(void)
{
    for (size_t i = 0; i < G_N_ELEMENTS(presets); i++) {
        const struct godwit_preset *preset = &presets[i];
        printf("%s: %s\n", preset->name, preset->summary);
        if (preset->missing) {
            printf("   none: %s\n", preset->missing);
            continue;
        }
        printf("  ");
        list_words("--scenarios", preset->scenarios);
        list_words("--set", preset->set);
        list_words("--over", preset->over);
        if (preset->give_up > 0)
            printf(" --give-up %gs", preset->give_up);
        putchar('\n');
        if (preset->gone)
            printf("   not everywhere: %s\n", preset->gone);
    }
}
