/*
 * The registry of scenarios: their reasons to skip, their windows and RAM, and their start.
 *
 * The linker gathers the families. Each file of scenarios puts a pointer to its table into the
 * section godwit_families (GODWIT_SCENARIOS_END()), and godwit_scenario_all() walks that section.
 * Commands ask for reasons to skip before a run; a worker then prepares the setup with
 * godwit_scenario_prepare() and calls godwit_scenario_run().
 *
 * SPDX-License-Identifier: MIT
 */
#include "scenario/scenario.h"

#include "bugs/bugs.h"

#include "godwit/guest_abi.h"
#include "guest/image.h"
#include "qemu/host.h"
#include "qemu/qemu.h"
#include <string.h>

extern const struct godwit_family *const __start_godwit_families[];
extern const struct godwit_family *const __stop_godwit_families[];

static gint by_name(gconstpointer a, gconstpointer b)
{
    const struct godwit_scenario *const *one = a;
    const struct godwit_scenario *const *other = b;
    return strcmp((*one)->name, (*other)->name);
}

/* Returns the rows that are prototypes, or those that are not. */
static GPtrArray *rows(bool prototypes)
{
    GPtrArray *all = g_ptr_array_new();
    for (const struct godwit_family *const *family = __start_godwit_families;
         family < __stop_godwit_families; family++)
        for (size_t i = 0; i < (*family)->count; i++)
            if (prototypes == ((*family)->rows[i].names != NULL))
                g_ptr_array_add(all, (gpointer)(uintptr_t) & (*family)->rows[i]);
    g_ptr_array_sort(all, by_name);
    return all;
}

GPtrArray *godwit_scenario_all(void)
{
    return rows(false);
}

GPtrArray *godwit_scenario_prototypes(void)
{
    return rows(true);
}

char *godwit_scenario_prefix(const struct godwit_scenario *scenario)
{
    return g_strndup(scenario->name, strcspn(scenario->name, "/") + 1);
}

const char *godwit_scenario_subject(const struct godwit_scenario *scenario)
{
    return scenario->name + strcspn(scenario->name, "/") + 1;
}

/* Returns the scenario that PROTOTYPE stands for with that name. It lives as long as the program:
 * jobs refer to scenarios without owning them. */
static const struct godwit_scenario *make(const struct godwit_scenario *prototype, const char *name)
{
    static GHashTable *made; /* name -> struct godwit_scenario */
    if (!made)
        made = g_hash_table_new(g_str_hash, g_str_equal);
    struct godwit_scenario *scenario = g_hash_table_lookup(made, name);
    if (scenario)
        return scenario;
    scenario = g_memdup2(prototype, sizeof(*prototype));
    scenario->name = g_intern_string(name);
    g_hash_table_insert(made, (gpointer)(uintptr_t)scenario->name, scenario);
    return scenario;
}

const struct godwit_scenario *godwit_scenario_find(const char *name)
{
    g_autoptr(GPtrArray) all = godwit_scenario_all();
    g_autoptr(GPtrArray) prototypes = godwit_scenario_prototypes();
    for (guint i = 0; i < all->len; i++) {
        const struct godwit_scenario *scenario = g_ptr_array_index(all, i);
        if (!strcmp(scenario->name, name))
            return scenario;
    }
    for (guint i = 0; i < prototypes->len; i++) {
        const struct godwit_scenario *prototype = g_ptr_array_index(prototypes, i);
        g_autofree char *prefix = godwit_scenario_prefix(prototype);
        if (g_str_has_prefix(name, prefix) && name[strlen(prefix)] &&
            strcmp(name, prototype->name) != 0)
            return make(prototype, name);
    }
    return NULL;
}

void godwit_scenario_default(const struct godwit_scenario *scenario,
                             struct godwit_workload *workload)
{
    workload->flags |= (scenario ? scenario->flags : 0) | GODWIT_FLAG_VERIFY;
    if (workload->usual_content && !(workload->flags & GODWIT_FLAG_STAMP))
        workload->flags |= GODWIT_FLAG_STAGGER;
    else if (workload->usual_content)
        workload->flags |= scenario && scenario->content ? scenario->content : GODWIT_FLAG_MIXED;
    workload->passes_per_report = 1;
}

struct godwit_lack *godwit_scenario_lacks_stamp(const struct godwit_setup *setup)
{
    return setup->image->stamp_store
               ? NULL
               : godwit_lack_new(g_strdup("a guest with the stamp workload"),
                                 g_strdup_printf("%s does not have it", setup->image->name));
}

/* The window, in bytes, unless the user or the scenario chooses one. The time and the memory that a
 * scenario takes depend on it; what it proves does not. */
#define WINDOW ((uint64_t)4 << 20)
/* For postcopy, where nothing throttles the pages that the guest requests, up to ten thousand a
 * second. Some must be left when, for example, the network fails, which takes 0.2 s. */
#define WIDE_WINDOW ((uint64_t)16 << 20)
/* For postcopy-preempt: with their own channel the guest gets twenty thousand pages a second or
 * more. */
#define PREEMPT_WINDOW ((uint64_t)32 << 20)
/* For multifd. Each of 16 channels takes a packet of half a MiB before QEMU counts anything as
 * sent, 8 MiB in all; as much again must be left (migrate/throttle.c). */
#define CHANNELS_WINDOW ((uint64_t)16 << 20)
/* For `stamp` with a QEMU that loses the last writes to pages in its TLB. TCG's TLB had room for
 * 1024 pages and more, and a window that is not several times as large stays in it. */
#define HOT_WINDOW ((uint64_t)16 << 20)
/* The least number of pages for each CPU. */
#define LEAST_PAGES 16

static bool has(const struct godwit_spec *spec, const char *capability)
{
    const struct godwit_capability *c = spec->capabilities;
    while (c && c->name && strcmp(c->name, capability) != 0)
        c++;
    return c && c->name && c->on;
}

/* Returns the size of the scenario's window in bytes. */
static uint64_t window_of(const struct godwit_scenario *scenario)
{
    if (!scenario)
        return WINDOW;
    if (has(&scenario->spec, "postcopy-preempt"))
        return PREEMPT_WINDOW;
    if (scenario->wide || godwit_spec_is_postcopy(&scenario->spec))
        return WIDE_WINDOW;
    return has(&scenario->spec, "multifd") ? CHANNELS_WINDOW : WINDOW;
}

static void shorten(const struct godwit_scenario *scenario, const struct godwit_setup *setup,
                    struct godwit_workload *workload)
{
    const bool hot = godwit_bug_hot_pages(setup) && !(scenario && scenario->cold);
    if (!(workload->flags & GODWIT_FLAG_STAMP) && hot)
        return;
    const uint64_t bytes = MAX(window_of(scenario), hot ? HOT_WINDOW : 0);
    const uint64_t pages = MAX(bytes / workload->page_size, LEAST_PAGES * (uint64_t)workload->cpus);
    workload->window_end = workload->window_start + MIN(pages, godwit_workload_pages(workload)) *
                                                        (uint64_t)workload->page_size;
}

/* Makes a pass of the guest take MS or longer. Where the frequency of its timer is unknown, it
 * stays as fast as it is. */
static void slow_down(const struct godwit_setup *setup, unsigned ms,
                      struct godwit_workload *workload)
{
    const uint64_t known = setup->machine->timer_hz, hz = known ? known : godwit_host_timer_hz();
    const uint64_t pages = godwit_workload_pages(workload) / workload->cpus;
    const uint64_t ticks = hz / 1000 * ms / MAX(pages, 1);
    workload->page_ticks = MAX(workload->page_ticks, (uint32_t)MIN(ticks, UINT32_MAX));
}

/* All machines accept RAM sizes that are multiples of this. */
#define MEMORY_STEP_MIB 4u

/* Sets the least RAM that has room for the window and, at its end, for firmware. */
static void fit_memory(struct godwit_setup *setup)
{
    const struct godwit_machine *machine = setup->machine;
    const struct godwit_workload *workload = &setup->workload;
    const uint64_t needed = godwit_workload_ram_offset(workload, machine) +
                            (workload->window_end - workload->window_start) + machine->tail +
                            GODWIT_FIRMWARE_ROOM;
    const unsigned mib =
        (unsigned)((needed >> 20) + MEMORY_STEP_MIB) / MEMORY_STEP_MIB * MEMORY_STEP_MIB;
    const unsigned least = machine->memory_least_mib;
    /* More than half of the machine's full size saves little: use what the guest was made for. A
     * scenario may need more. */
    setup->memory_mib = mib <= machine->memory_mib / 2 ? MAX(mib, least)
                        : mib <= machine->memory_mib   ? machine->memory_mib
                                                       : (mib + least - 1) / least * least;
}

void godwit_scenario_prepare(const struct godwit_scenario *scenario, struct godwit_setup *setup)
{
    struct godwit_workload *workload = &setup->workload;
    if (scenario && scenario->cpus)
        workload->cpus = scenario->cpus;
    if (!setup->window_given && !(scenario && scenario->whole))
        shorten(scenario, setup, workload);
    if (scenario && scenario->prepare)
        scenario->prepare(scenario, workload);
    else
        godwit_scenario_default(scenario, workload);
    if (setup->image->identity && !setup->theirs && !(scenario && scenario->prepare))
        workload->flags |= GODWIT_FLAG_IDENTIFY;
    workload->usual_content = false;
    godwit_workload_share(workload);
    if (scenario && scenario->place)
        scenario->place(setup);
    if (scenario && scenario->lap_ms)
        slow_down(setup, scenario->lap_ms, workload);
    if (!setup->memory_given)
        fit_memory(setup);
}

bool godwit_scenario_stamps(const struct godwit_scenario *scenario)
{
    return !scenario->order && !(scenario->flags & GODWIT_FLAG_SUSPEND);
}

/* Returns why the guest cannot have as many CPUs as it should, or NULL if it can. The caller frees
 * it. */
static struct godwit_lack *lacks_cpus(const struct godwit_scenario *scenario,
                                      const struct godwit_setup *setup)
{
    const unsigned cpus = scenario->cpus ? scenario->cpus : setup->workload.cpus;
    if (cpus > setup->image->max_cpus)
        return godwit_lack_new(g_strdup_printf("%u CPUs", cpus),
                               g_strdup_printf("the guest %s supports at most %u",
                                               setup->image->name, setup->image->max_cpus));
    if (setup->machine_cpus && cpus > setup->machine_cpus)
        return godwit_lack_new(g_strdup_printf("%u CPUs", cpus),
                               g_strdup_printf("the machine has %u by -smp", setup->machine_cpus));
    if (cpus > 1 && (scenario->flags & GODWIT_FLAG_SUSPEND))
        return godwit_lack_new(g_strdup_printf("a guest with one CPU, not %u", cpus),
                               g_strdup("with several it never suspends itself"));
    return NULL;
}

/* Returns what the spec needs and QEMU lacks, or NULL. The caller frees it. */
static struct godwit_lack *spec_lacks(const struct godwit_spec *spec,
                                      const struct godwit_qemu *qemu)
{
    g_autoptr(GString) needs =
        g_string_new(godwit_spec_is_postcopy(spec) ? "capability:postcopy-ram" : "");
    if (spec->channels)
        g_string_append(needs, " argument:channels");
    if (spec->transport == GODWIT_TRANSPORT_FILE)
        g_string_append(needs, " transport:file");
    if (spec->tls)
        g_string_append_printf(needs, " %s", godwit_tls_needs(spec->tls));
    for (const struct godwit_capability *c = spec->capabilities; c && c->name; c++)
        g_string_append_printf(needs, " capability:%s", c->name);
    for (const struct godwit_parameter *p = spec->parameters; p && p->name; p++)
        g_string_append_printf(needs, " parameter:%s", p->name);
    return godwit_qemu_lacks(qemu, needs->str);
}

/* Returns whether a destination of the scenario loads pages on demand. */
static bool uses_postcopy(const struct godwit_scenario *scenario)
{
    g_auto(GStrv) needs = g_strsplit(scenario->needs ? scenario->needs : "", " ", -1);
    return godwit_spec_is_postcopy(&scenario->spec) ||
           g_strv_contains((const char *const *)needs, "capability:postcopy-ram");
}

/* Returns what a postcopy lacks if the destination refuses every guest of the source, or NULL.
 * Which of them notices first then, and how it ends, is chance; a precopy shows the bug for
 * sure. */
static struct godwit_lack *lacks_acceptance(const struct godwit_setup *setup)
{
    const struct godwit_bug *bug;
    for (size_t i = 0; (bug = godwit_bug_at(i)); i++)
        if (bug->all_guests && godwit_bug_strikes(bug, setup, setup->source, setup->destination))
            return godwit_lack_new(g_strdup("a destination that accepts the source's guest"),
                                   g_strdup_printf("QEMU %s and %s have the known bug %s",
                                                   setup->source->version,
                                                   setup->destination->version, bug->id));
    return NULL;
}

struct godwit_lack *godwit_scenario_lacks_userfaultfd(const struct godwit_setup *setup)
{
    const char *lacks = godwit_host_lacks_userfaultfd();
    (void)setup;
    return lacks ? godwit_lack_new(g_strdup("userfaultfd"), g_strdup(lacks)) : NULL;
}

bool godwit_scenario_has_version(const char *type)
{
    const char *dash = strrchr(type, '-');
    return dash && g_ascii_isdigit(dash[1]);
}

bool godwit_scenario_is_measurable(const struct godwit_scenario *scenario)
{
    const struct godwit_spec *spec = &scenario->spec;
    return !scenario->run && spec->outcome == GODWIT_OUTCOME_ARRIVES && !spec->suspend &&
           !spec->no_ram && !spec->fault && !spec->watch && !spec->started &&
           (!spec->live || spec->live_looks) && !spec->released &&
           spec->move != GODWIT_MOVE_POSTCOPY_PAUSED;
}

/* Returns whether the scenario can run with QEMUs on two hosts. */
static bool is_for_two_hosts(const struct godwit_scenario *scenario)
{
    const struct godwit_spec *spec = &scenario->spec;
    const bool own = scenario->run || spec->configure || spec->started || spec->live ||
                     spec->released || spec->judge;
    return scenario->anywhere || (!own && spec->transport == GODWIT_TRANSPORT_TCP &&
                                  !spec->source_arguments && !spec->destination_arguments);
}

struct godwit_lack *godwit_scenario_lacks(const struct godwit_scenario *scenario,
                                          const struct godwit_setup *setup)
{
    if (setup->peer && !is_for_two_hosts(scenario))
        return godwit_lack_new(g_strdup("both QEMUs on one host"), NULL);
    if (setup->unthrottled && !godwit_scenario_is_measurable(scenario))
        return godwit_lack_new(g_strdup("a migration whose speed can be measured"),
                               g_strdup("this one has steps of its own"));
    if (setup->settings && scenario->run)
        return godwit_lack_new(g_strdup("the common course, because of --set"), NULL);
    if (setup->pause_iteration && godwit_spec_is_postcopy(&scenario->spec))
        return godwit_lack_new(g_strdup("a precopy, because of --pause-iteration"), NULL);
    if (setup->postcopy_iteration && !godwit_spec_is_postcopy(&scenario->spec))
        return godwit_lack_new(g_strdup("a postcopy, because of --postcopy-iteration"), NULL);
    if ((scenario->flags & GODWIT_FLAG_SUSPEND) && !setup->machine->can_suspend)
        return godwit_lack_new(
            g_strdup("suspend to RAM"),
            g_strdup_printf("the %s machine does not support it", setup->machine->arch));
    if ((setup->workload.flags & GODWIT_FLAG_STAMP) && !godwit_scenario_stamps(scenario))
        return godwit_lack_new(g_strdup("--workload order"), NULL);
    struct godwit_lack *few = lacks_cpus(scenario, setup);
    if (few)
        return few;
    if (strcmp(setup->source->version, setup->destination->version) != 0 &&
        !godwit_scenario_has_version(setup->type))
        return godwit_lack_new(g_strdup("a machine type with a version"),
                               g_strdup_printf("QEMU %s and %s may disagree about \"%s\"",
                                               setup->source->version, setup->destination->version,
                                               setup->type));
    if (scenario->accel && strcmp(scenario->accel, setup->accel) != 0)
        return godwit_lack_new(g_strdup_printf("--accel %s", scenario->accel), NULL);
    const struct godwit_qemu *const both[] = {setup->source, setup->destination};
    for (size_t i = 0; i < G_N_ELEMENTS(both); i++) {
        struct godwit_lack *lacks = spec_lacks(&scenario->spec, both[i]);
        if (!lacks)
            lacks = godwit_qemu_lacks(both[i], scenario->needs);
        if (lacks)
            return lacks;
    }
    struct godwit_lack *lacks =
        uses_postcopy(scenario) ? godwit_scenario_lacks_userfaultfd(setup) : NULL;
    if (!lacks && uses_postcopy(scenario))
        lacks = lacks_acceptance(setup);
    return lacks ? lacks : scenario->lacks ? scenario->lacks(setup) : NULL;
}

char *godwit_scenario_skip_reason(const struct godwit_scenario *scenario,
                                  const struct godwit_setup *setup)
{
    return godwit_lack_reason(godwit_scenario_lacks(scenario, setup));
}

/* A host that is short of memory gives a guest its RAM no faster than this; a run has both sides'
 * RAM. */
#define RAM_MIB_PER_SECOND 50

double godwit_scenario_seconds(const struct godwit_scenario *scenario,
                               const struct godwit_setup *setup)
{
    const unsigned times = scenario && scenario->deadlines ? scenario->deadlines : 1;
    const double for_ram = (double)setup->memory_mib / RAM_MIB_PER_SECOND;
    return ((double)GODWIT_DEADLINE_SECONDS + for_ram) * times *
           (scenario && scenario->hops ? setup->hops : 1);
}

/* A scenario's state, and what frees its members. */
struct own_state {
    struct godwit_scenario_state *state;
    void (*clear)(struct godwit_scenario_state *state);
};

static void free_own_state(gpointer data)
{
    struct own_state *own = data;
    if (own->clear)
        own->clear(own->state);
    g_free(own->state);
    g_free(own);
}

static void make_own_state(struct godwit_testbed *testbed, const struct godwit_scenario *scenario)
{
    struct own_state *own = g_new0(struct own_state, 1);
    own->clear = scenario->clear;
    own->state = testbed->state = g_malloc0(scenario->state);
    godwit_testbed_at_end(testbed, free_own_state, own);
}

bool godwit_scenario_run(struct godwit_testbed *testbed, const struct godwit_scenario *scenario,
                         GError **error)
{
    /* The state comes first, so that it outlives the wire, which may write to it. */
    if (scenario->state)
        make_own_state(testbed, scenario);
    godwit_wire_new(testbed);
    if (scenario->run)
        return scenario->run(testbed, scenario, error);
    return godwit_course_run(testbed, &scenario->spec, error);
}
