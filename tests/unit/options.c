/*
 * Options: what can be asked for, what is refused, and the targets and scenarios that come of it.
 * The QEMUs are links to this program, which then answers like the QEMU that its name says.
 *
 * SPDX-License-Identifier: MIT
 */
#include "command/command.h"

#include "base/files.h"
#include "guest/image.h"
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "unit.h"

/* As if it were the binary ".../VERSION/qemu-system-ARCH": VERSION 1 and 2 know machine types
 * TYPE-1, 2 also TYPE-2, and TYPE is the newest. Never returns. */
static void G_GNUC_NORETURN be_qemu(const char *path)
{
    const char *arch = strstr(path, "qemu-system-") + strlen("qemu-system-");
    const int version = arch[-(int)strlen("/qemu-system-") - 1] - '0';
    const struct godwit_machine *machine = godwit_machine_find(arch);
    FILE *qmp = fdopen(3, "r+");
    char *line = NULL;
    size_t room = 0;
    fputs("{\"QMP\": {}}\n", qmp);
    fflush(qmp);
    while (getline(&line, &room, qmp) > 0) {
        g_autoptr(json_t) request = json_loads(line, 0, NULL);
        const char *command = godwit_json_string(request, "execute", "");
        json_t *answer =
            !strcmp(command, "query-version")
                ? json_pack("{s:{s:i, s:i, s:i}}", "qemu", "major", version, "minor", 2, "micro", 3)
            : !strcmp(command, "query-target") ? json_pack("{s:s}", "arch", arch)
                                               : json_array();
        for (int v = version; machine && !strcmp(command, "query-machines") && v > 0; v--) {
            g_autofree char *name = g_strdup_printf("%s-%d", machine->types[0], v);
            json_array_append_new(answer, json_pack("{s:s, s:s*}", "name", name, "alias",
                                                    v == version ? machine->types[0] : NULL));
        }
        g_autoptr(json_t) reply =
            json_pack("{s:o, s:O}", "return", answer, "id", json_object_get(request, "id"));
        g_autofree char *text = json_dumps(reply, JSON_COMPACT);
        fprintf(qmp, "%s\n", text);
        fflush(qmp);
        if (!strcmp(command, "quit"))
            _exit(0);
    }
    _exit(1);
}

/* What one test has. */
struct fixture {
    struct godwit_process process;
    struct godwit_options options;
    GPtrArray *targets;
    GError *error;
};

static struct fixture fixture;
static char *folder;
static GString *told; /* on stderr */

static void tell(const char *text)
{
    g_string_append(told, text);
}

/* FOLDER/VERSION/qemu-system-ARCH; the caller's. */
static char *qemu(int version, const char *arch)
{
    return g_strdup_printf("%s/%d/qemu-system-%s", folder, version, arch);
}

static int suite_begin(void **state)
{
    (void)state;
    folder = g_dir_make_tmp("godwit-unit-XXXXXX", NULL);
    g_autofree char *self = g_file_read_link("/proc/self/exe", NULL);
    for (int version = 1; version <= 2; version++) {
        g_autofree char *where = g_strdup_printf("%s/%d", folder, version);
        g_mkdir(where, 0700);
        for (size_t i = 0; i <= godwit_machine_count(); i++) {
            const bool known = i < godwit_machine_count();
            g_autofree char *link = qemu(version, known ? godwit_machine_at(i)->arch : "vax");
            if (symlink(self, link))
                return -1;
        }
    }
    told = g_string_new(NULL);
    g_set_printerr_handler(tell);
    return 0;
}

static int suite_end(void **state)
{
    (void)state;
    godwit_files_remove(folder);
    const bool gone = access(folder, F_OK) != 0;
    g_free(folder);
    g_string_free(told, TRUE);
    return gone ? 0 : -1;
}

static void begin(void)
{
    fixture = (struct fixture){.process = {.folder = folder}};
    godwit_options_init(&fixture.options);
    g_string_truncate(told, 0);
}

static void end(void)
{
    godwit_options_clear(&fixture.options);
    g_clear_pointer(&fixture.targets, g_ptr_array_unref);
    g_clear_error(&fixture.error);
}

static void expect_error(enum godwit_error code, const char *text)
{
    assert_null(fixture.targets);
    assert_true(g_error_matches(fixture.error, GODWIT_ERROR, (gint)code));
    assert_contains(fixture.error->message, text);
    assert_null(strchr(fixture.error->message, '\n'));
}

/* Parses the line, a shell's, as a subcommand's arguments. */
static bool parse(const char *line, bool *helped)
{
    int argc = 0;
    g_auto(GStrv) argv = NULL;
    assert_true(g_shell_parse_argv(line, &argc, &argv, NULL));
    /* The parser takes words out of the array that it is given. */
    g_autofree char **words = g_memdup2(argv, sizeof(char *) * (size_t)(argc + 1));
    char **rest = words;
    g_autoptr(GOptionContext) context = g_option_context_new(NULL);
    g_option_context_add_group(context, godwit_options_group(&fixture.options));
    return godwit_options_parse(context, &fixture.options, &argc, &rest, helped, &fixture.error);
}

/* The targets that come of the line. */
static void choose(const char *line)
{
    bool helped = false;
    begin();
    assert_true(parse(line, &helped));
    assert_false(helped);
    /* Nothing is to be measured. */
    if (!fixture.options.accel)
        fixture.options.accel = g_strdup("tcg");
    fixture.targets = godwit_targets(&fixture.process, &fixture.options, 0, &fixture.error);
}

static const struct godwit_target *target_at(guint i)
{
    if (!fixture.targets)
        fail_msg("no targets: %s", fixture.error->message);
    assert_true(i < fixture.targets->len);
    return g_ptr_array_index(fixture.targets, i);
}

/* Every option arrives where it belongs, and those that are not given are known to be. */
static void test_parse(void **state)
{
    (void)state;
    bool helped = true;
    begin();
    assert_true(parse("godwit --arch a,b -a c -M type --image i --accel kvm --memory 7 --window w "
                      "--page-size 8 --dirty-rate 9 --page-ticks 10 --timeout-scale 1.5 "
                      "--seed 18 --read-memory pmemsave --qemu-src s --qemu-dst d -q q",
                      &helped));
    const struct godwit_options *o = &fixture.options;
    assert_false(helped);
    assert_string_equal(o->arch[0], "a,b");
    assert_string_equal(o->arch[1], "c");
    assert_null(o->arch[2]);
    assert_string_equal(o->machine, "type");
    assert_string_equal(o->image, "i");
    assert_string_equal(o->accel, "kvm");
    assert_int_equal(o->memory, 7);
    assert_string_equal(o->window, "w");
    assert_int_equal(o->page_size, 8);
    assert_int_equal(o->dirty_rate, 9);
    assert_int_equal(o->page_ticks, 10);
    assert_true(o->timeout_scale > 1.49 && o->timeout_scale < 1.51);
    assert_int_equal(o->seed, 18);
    assert_string_equal(o->read_memory, "pmemsave");
    assert_string_equal(o->qemu[0], "q");
    assert_string_equal(o->qemu_src[0], "s");
    assert_string_equal(o->qemu_dst[0], "d");
    end();
    begin();
    assert_true(parse("godwit", &helped));
    assert_int_equal(o->memory, GODWIT_NOT_GIVEN);
    assert_int_equal(o->page_size, GODWIT_NOT_GIVEN);
    assert_int_equal(o->dirty_rate, GODWIT_NOT_GIVEN);
    assert_int_equal(o->page_ticks, GODWIT_NOT_GIVEN);
    assert_true(o->timeout_scale > 0.99 && o->timeout_scale < 1.01);
    assert_null(o->arch);
    assert_null(o->qemu);
    assert_null(o->window);
    end();
}

static void test_parse_fails(void **state)
{
    (void)state;
    static const char *const lines[] = {
        "godwit --nonsense",      "godwit -x",
        "godwit --memory",        "godwit --memory much",
        "godwit --memory 7x",     "godwit --memory 99999999999",
        "godwit --page-size 4k",  "godwit --timeout-scale fast",
        "godwit --dirty-rate ''", "godwit --arch",
    };
    for (size_t i = 0; i < G_N_ELEMENTS(lines); i++) {
        bool helped = false;
        begin();
        if (parse(lines[i], &helped))
            fail_msg("%s: taken", lines[i]);
        expect_error(GODWIT_ERROR_USAGE, "(see --help)");
        end();
    }
}

/* What is refused before anything is started: there is not even a folder. */
static void test_refused(void **state)
{
    (void)state;
    static const struct {
        const char *line, *text;
    } rows[] = {
        {"godwit --accel xen", "unknown accelerator \"xen\" (expected auto, tcg or kvm)"},
        {"godwit --accel ''", "unknown accelerator \"\""},
        {"godwit --accel TCG", "unknown accelerator \"TCG\""},
        {"godwit --read-memory mmap", "unknown way to read memory \"mmap\""},
        {"godwit --memory 0", "--memory needs a number of MiB, 1 or more, not 0"},
        {"godwit --memory -150", "not -150"},
        {"godwit --page-size 0", "--page-size needs a number of bytes, 1 or more, not 0"},
        {"godwit --page-size -8", "not -8"},
        {"godwit --dirty-rate 0", "--dirty-rate needs a number of pages per second"},
        {"godwit --dirty-rate -1", "not -1"},
        {"godwit --page-ticks -1", "--page-ticks needs a number of ticks, 0 or more, not -1"},
        {"godwit --timeout-scale 0", "--timeout-scale needs a number above 0 and at most 1000"},
        {"godwit --timeout-scale -1", "--timeout-scale needs"},
        {"godwit --timeout-scale 1000.1", "--timeout-scale needs"},
        {"godwit --timeout-scale nan", "--timeout-scale needs"},
        {"godwit --timeout-scale inf", "--timeout-scale needs"},
        {"godwit --qemu a --qemu-src b", "--qemu sets both sides"},
        {"godwit --qemu a --qemu-dst b", "--qemu sets both sides"},
        {"godwit --page-ticks 0 --dirty-rate 1", "use one"},
        {"godwit --cross --qemu a --qemu b --direction up",
         "unknown direction \"up\" (expected upgrade, downgrade or both)"},
        {"godwit --direction both", "--direction needs two QEMUs: --cross, or --qemu-src and"},
        {"godwit --qemu a --direction both", "--direction needs two QEMUs"},
        {"godwit --arch vax", "unknown architecture \"vax\" (expected one of aarch64, "},
        {"godwit --arch ppc64,vax", "unknown architecture \"vax\""},
        {"godwit --arch ppc64 --arch PPC64", "unknown architecture \"PPC64\""},
        {"godwit --arch ppc64,", "unknown architecture \"\""},
        {"godwit --arch ,ppc64", "unknown architecture \"\""},
        {"godwit --arch ''", "--arch needs the name of an architecture"},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        bool helped = false;
        begin();
        fixture.process.folder = NULL;
        assert_true(parse(rows[i].line, &helped));
        fixture.targets = godwit_targets(&fixture.process, &fixture.options, 0, &fixture.error);
        expect_error(GODWIT_ERROR_USAGE, rows[i].text);
        end();
    }
}

/* One target for each architecture named, in that order, all of it as usual. */
static void test_targets(void **state)
{
    (void)state;
    g_autofree char *path = g_strdup_printf("%s/2", folder);
    g_setenv("PATH", path, TRUE);
    choose("godwit --arch s390x,x86_64 --arch ppc64,s390x --accel tcg");
    static const char *const arches[] = {"s390x", "x86_64", "ppc64"};
    static const char *const types[] = {"s390-ccw-virtio-2", "q35-2", "pseries-2"};
    target_at(2);
    assert_int_equal(fixture.targets->len, 3);
    for (guint i = 0; i < 3; i++) {
        const struct godwit_setup *setup = &target_at(i)->setup;
        const struct godwit_machine *machine = godwit_machine_find(arches[i]);
        struct godwit_workload usual = godwit_image_workload(machine, machine->images[0]);
        usual.usual_content = true;
        g_autofree char *binary = qemu(2, arches[i]);
        assert_ptr_equal(setup->machine, machine);
        assert_ptr_equal(setup->image, machine->images[0]);
        assert_string_equal(setup->type, types[i]);
        assert_string_equal(setup->accel, "tcg");
        assert_int_equal(setup->memory_mib, machine->memory_mib);
        assert_string_equal(setup->source->path, setup->destination->path);
        assert_string_equal(setup->source->path, binary);
        assert_string_equal(setup->source->version, "2.2.3");
        assert_string_equal(setup->source->arch, arches[i]);
        assert_same_workload(&setup->workload, &usual);
        assert_false(setup->pmemsave);
    }
    struct godwit_job *job =
        godwit_target_job(target_at(0), godwit_scenario_find("precopy/unix/plain"));
    end(); /* the job has strings of its own */
    assert_string_equal(godwit_job_name(job), "precopy/unix/plain");
    assert_string_equal(job->setup.type, "s390-ccw-virtio-2");
    assert_string_equal(job->setup.accel, "tcg");
    godwit_job_free(job);
}

/* Without --arch: what is there, and what is not is told. */
static void test_targets_in_path(void **state)
{
    (void)state;
    g_autofree char *only = g_strdup_printf("%s/only-1", folder);
    g_autofree char *link = g_strdup_printf("%s/qemu-system-riscv64", only);
    g_autofree char *real = qemu(1, "riscv64");
    g_autofree char *self = g_file_read_link(real, NULL);
    assert_int_equal(g_mkdir(only, 0700), 0);
    g_setenv("PATH", only, TRUE);
    choose("godwit");
    expect_error(GODWIT_ERROR_ENVIRONMENT, "no QEMU in $PATH");
    end();
    assert_int_equal(symlink(self, link), 0);
    choose("godwit");
    assert_string_equal(target_at(0)->setup.machine->arch, "riscv64");
    assert_int_equal(fixture.targets->len, 1);
    for (size_t i = 0; i < godwit_machine_count(); i++) {
        const char *arch = godwit_machine_at(i)->arch;
        g_autofree char *line =
            g_strdup_printf("godwit: %s is left out: no qemu-system-%s in $PATH", arch, arch);
        assert_int_equal(strstr(told->str, line) == NULL, !strcmp(arch, "riscv64"));
    }
    end();
    choose("godwit --arch riscv64,x86_64");
    expect_error(GODWIT_ERROR_ENVIRONMENT,
                 "no qemu-system-x86_64 in $PATH: install Debian's package qemu-system-x86");
    end();
}

/* Of several pairs, those in one direction; two of the same version are in both. */
static void test_direction(void **state)
{
    (void)state;
    g_autofree char *one = qemu(1, "ppc64"), *two = qemu(2, "ppc64");
    static const struct {
        const char *format, *pairs;
    } rows[] = {
        {"godwit --cross --qemu %s --qemu %s", "12 21"},
        {"godwit --cross --qemu %s --qemu %s --direction both", "12 21"},
        {"godwit --cross --qemu %s --qemu %s --direction upgrade", "12"},
        {"godwit --cross --qemu %s --qemu %s --direction downgrade", "21"},
        {"godwit --qemu-src %s --qemu-src %s --qemu-dst $1 --qemu-dst $2 --direction upgrade",
         "11 12 22"},
        {"godwit --qemu-src %s --qemu-src %s --qemu-dst $1 --qemu-dst $2 --direction downgrade",
         "11 21 22"},
        {"godwit --qemu-dst %s --qemu-src %s --direction upgrade", NULL},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autoptr(GString) line = g_string_new(rows[i].format);
        g_string_replace(line, "%s", one, 1);
        g_string_replace(line, "%s", two, 1);
        g_string_replace(line, "$1", one, 0);
        g_string_replace(line, "$2", two, 0);
        choose(line->str);
        if (!rows[i].pairs) {
            expect_error(GODWIT_ERROR_ENVIRONMENT,
                         "no two of these QEMUs can migrate to each other in that direction");
            end();
            continue;
        }
        g_autoptr(GString) pairs = g_string_new(NULL);
        target_at(0);
        for (guint t = 0; t < fixture.targets->len; t++)
            g_string_append_printf(pairs, "%s%c%c", t ? " " : "", target_at(t)->source->version[0],
                                   target_at(t)->destination->version[0]);
        assert_string_equal(pairs->str, rows[i].pairs);
        end();
    }
}

/* Numbers are compared as numbers, and what is missing counts as 0. */
static void test_versions(void **state)
{
    (void)state;
    static const char *const rising[] = {"7.2", "7.2.22", "9.0.1", "10.0", "10.0.13", "11.1.3"};
    for (int a = 0; a < (int)G_N_ELEMENTS(rising); a++) {
        for (int b = 0; b < (int)G_N_ELEMENTS(rising); b++) {
            const struct godwit_qemu one = {.version = (char *)(uintptr_t)rising[a]};
            const struct godwit_qemu other = {.version = (char *)(uintptr_t)rising[b]};
            assert_int_equal(godwit_qemu_compare(&one, &other), (a > b) - (a < b));
        }
    }
}

/* The binary says what it is for, and what it is not for is refused. */
static void test_binaries(void **state)
{
    (void)state;
    g_autofree char *one = qemu(1, "ppc64"), *two = qemu(2, "ppc64"), *vax = qemu(1, "vax"),
                    *other = qemu(2, "s390x");
    g_setenv("PATH", "/nowhere", TRUE);
    g_autofree char *by_qemu = g_strdup_printf("godwit --qemu %s", two);
    choose(by_qemu);
    assert_string_equal(target_at(0)->setup.machine->arch, "ppc64");
    assert_string_equal(target_at(0)->source->path, target_at(0)->destination->path);
    assert_int_equal(fixture.targets->len, 1);
    assert_string_equal(told->str, "");
    end();
    /* Two versions meet at the machine that both know, whichever is which. */
    for (int swap = 0; swap < 2; swap++) {
        g_autofree char *line = g_strdup_printf("godwit --qemu-src %s --qemu-dst %s",
                                                swap ? one : two, swap ? two : one);
        choose(line);
        assert_string_equal(target_at(0)->source->path, swap ? one : two);
        assert_string_equal(target_at(0)->destination->path, swap ? two : one);
        assert_string_equal(target_at(0)->setup.type, "pseries-1");
        assert_string_equal(target_at(0)->source->version, swap ? "1.2.3" : "2.2.3");
        end();
    }
    const struct {
        char *line;
        const char *text;
    } rows[] = {
        {g_strdup_printf("godwit --qemu %s", vax),
         "is a QEMU for vax, for which Godwit has no guest"},
        {g_strdup_printf("godwit --arch s390x --qemu %s", one),
         "is a QEMU for ppc64, not for s390x"},
        {g_strdup_printf("godwit --qemu-src %s --qemu-dst %s", one, other),
         "is a QEMU for s390x, not for ppc64"},
        {g_strdup_printf("godwit --qemu %s/none", folder), "/none: No such file or directory"},
        {g_strdup_printf("godwit --qemu %s", folder), "has a qemu-system-ARCH for any of"},
        {g_strdup("godwit --qemu no-qemu"), "\"no-qemu\": not in $PATH"},
        {g_strdup("godwit --qemu ''"), "QEMU binary"},
        {g_strdup_printf("godwit --qemu '%s/\xff'", folder), "QEMU binary"},
        {g_strdup_printf("godwit --qemu-src %s", one), "no qemu-system-ppc64 in $PATH"},
        {g_strdup_printf("godwit --qemu %s -M pseries-2", one),
         "has no machine \"pseries-2\" that Godwit's ppc64 guest could run on"},
        {g_strdup_printf("godwit --qemu-src %s --qemu-dst %s -M pseries-2", one, two),
         "has no machine \"pseries-2\""},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        choose(rows[i].line);
        expect_error(GODWIT_ERROR_ENVIRONMENT, rows[i].text);
        end();
        g_free(rows[i].line);
    }
}

/* A path that QMP and JSON could not have. */
static void test_path_not_utf8(void **state)
{
    (void)state;
    g_autofree char *real = qemu(1, "ppc64");
    g_autofree char *self = g_file_read_link(real, NULL);
    g_autofree char *link = g_strdup_printf("%s/\xff", folder);
    assert_int_equal(symlink(self, link), 0);
    g_autofree char *line = g_strdup_printf("godwit --qemu %s", link);
    choose(line);
    expect_error(GODWIT_ERROR_ENVIRONMENT, "its path is not UTF-8");
    end();
    g_autoptr(GError) error = NULL;
    assert_false(godwit_files_folder(link, &error));
    assert_true(g_error_matches(error, GODWIT_ERROR, GODWIT_ERROR_ENVIRONMENT));
    g_clear_error(&error);
    assert_int_equal(g_unlink(link), 0);
    assert_int_equal(g_mkdir(link, 0700), 0);
    g_setenv("TMPDIR", link, TRUE);
    struct godwit_process process = {.folder = NULL};
    assert_false(godwit_process_begin(&process, &error));
    assert_true(g_error_matches(error, GODWIT_ERROR, GODWIT_ERROR_ENVIRONMENT));
    assert_contains(error->message, "its path is not UTF-8");
    g_clear_error(&error);
    g_setenv("TMPDIR", "/dev/null", TRUE);
    assert_false(godwit_process_begin(&process, &error));
    assert_contains(error->message, "cannot make a temporary folder in /dev/null");
    assert_null(process.folder);
    g_unsetenv("TMPDIR");
}

/* What the guest is told. */
static void test_workload(void **state)
{
    (void)state;
    g_autofree char *path = g_strdup_printf("%s/1", folder);
    g_setenv("PATH", path, TRUE);
    static const struct {
        const char *line;
        uint64_t start, end;
        uint32_t page_size, page_ticks;
        unsigned memory;
    } rows[] = {
        {"", 0x100000, 0x6400000, 4096, 0, 256},
        {"--window 0x200000:0x400000", 0x200000, 0x400000, 4096, 0, 256},
        {"--window 2097152:4194304", 0x200000, 0x400000, 4096, 0, 256},
        {"--page-size 8192 --page-ticks 0", 0x100000, 0x6400000, 8192, 0, 256},
        {"--page-size 8 --page-ticks 2147483647", 0x100000, 0x6400000, 8, 2147483647, 256},
        {"--memory 100", 0x100000, 0x6400000, 4096, 0, 100},
        {"--memory 8192 --window 0x100000000:0x200000000", UINT64_C(0x100000000),
         UINT64_C(0x200000000), 4096, 0, 8192},
        {"--dirty-rate 1000", 0x100000, 0x6400000, 4096, 512000, 256},
        {"--dirty-rate 1", 0x100000, 0x6400000, 4096, 512000000, 256},
        {"--dirty-rate 2147483647", 0x100000, 0x6400000, 4096, 0, 256},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autofree char *line = g_strconcat("godwit --arch ppc64 ", rows[i].line, NULL);
        choose(line);
        const struct godwit_setup *setup = &target_at(0)->setup;
        assert_int_equal(setup->workload.window_start, rows[i].start);
        assert_int_equal(setup->workload.window_end, rows[i].end);
        assert_int_equal(setup->workload.page_size, rows[i].page_size);
        assert_int_equal(setup->workload.page_ticks, rows[i].page_ticks);
        assert_int_equal(setup->memory_mib, rows[i].memory);
        end();
    }
    choose("godwit --arch x86_64 --image x86_bootsect --read-memory pmemsave --timeout-scale 3 "
           "-M q35-1");
    assert_string_equal(target_at(0)->setup.image->name, "x86_bootsect");
    assert_string_equal(target_at(0)->setup.type, "q35-1");
    assert_true(target_at(0)->setup.pmemsave);
    assert_true(target_at(0)->setup.timeout_scale > 2.9);
    assert_int_equal(target_at(0)->setup.workload.cpus, 1);
    end();
    /* The default window is shortened to pages for all, one that was asked for is not. */
    choose("godwit --arch x86_64 --image x86_rom --cpus 5");
    assert_int_equal(target_at(0)->setup.workload.cpus, 5);
    assert_int_equal(target_at(0)->setup.workload.window_end, 0x63fc000);
    end();
    choose("godwit --arch x86_64 --image x86_rom --cpus 5 --window 0x200000:0x206000");
    expect_error(GODWIT_ERROR_USAGE, "the same number of pages for each CPU");
    end();
    choose("godwit --arch x86_64 --image x86_bootsect --cpus 2");
    expect_error(GODWIT_ERROR_USAGE, "x86_bootsect: this guest supports 1 to 1 CPUs, not 2");
    end();
}

static void test_workload_refused(void **state)
{
    (void)state;
    g_autofree char *path = g_strdup_printf("%s/1", folder);
    g_setenv("PATH", path, TRUE);
    static const struct {
        const char *line, *text;
    } rows[] = {
        {"--window ''", "--window needs START:END"},
        {"--window 0x200000", "--window needs START:END"},
        {"--window 0x200000:", "--window needs START:END"},
        {"--window :0x200000", "--window needs START:END"},
        {"--window 0x200000:0x400000x", "--window needs START:END"},
        {"--window 0x200000-0x400000", "--window needs START:END"},
        {"--window 0x200000:0x400000:1", "--window needs START:END"},
        {"--window 1M:2M", "--window needs START:END"},
        {"--window 0x400000:0x200000", "the window is empty"},
        {"--window 0x200000:0x7fffffff000", "inside the guest's RAM"},
        {"--window 0:0x200000", "must not cover the first MiB"},
        {"--window 0x200000:0x400008", "whole number of pages"},
        {"--page-size 12", "multiple of 8"},
        {"--memory 99", "inside the guest's RAM"},
        {"--cpus 65", "this guest supports 1 to 64 CPUs, not 65"},
        {"--workload stomp",
         "unknown workload \"stomp\" (known: order[:staggered|:uniform], stamp["},
        {"--workload stamp,", "unknown workload \"\""},
        {"--workload stamp --page-size 256", "a page size that is a power of two, 512 or more"},
        {"--image x86_rom", "ppc64 has no image \"x86_rom\""},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autofree char *line = g_strconcat("godwit --arch ppc64 ", rows[i].line, NULL);
        choose(line);
        expect_error(GODWIT_ERROR_USAGE, rows[i].text);
        end();
    }
}

/* The names of the scenarios that match, with blanks; the caller's. */
static char *match(const char *first, const char *second, GError **error)
{
    char *globs[] = {(char *)(uintptr_t)first, (char *)(uintptr_t)second, NULL};
    g_autoptr(GPtrArray) chosen = godwit_match_scenarios(globs, error);
    if (!chosen)
        return NULL;
    GString *names = g_string_new(NULL);
    for (guint i = 0; i < chosen->len; i++)
        g_string_append_printf(
            names, "%s%s", i ? " " : "",
            ((const struct godwit_scenario *)g_ptr_array_index(chosen, i))->name);
    return g_string_free(names, FALSE);
}

static void test_match(void **state)
{
    (void)state;
    g_autoptr(GPtrArray) all = godwit_scenario_all();
    g_autoptr(GPtrArray) without = godwit_match_scenarios(NULL, NULL);
    assert_true(all->len > 5);
    assert_int_equal(without->len, all->len);
    for (guint i = 0; i < all->len; i++) {
        const struct godwit_scenario *scenario = g_ptr_array_index(all, i);
        g_autofree char *itself = match(scenario->name, NULL, NULL);
        assert_string_equal(itself, scenario->name);
        assert_ptr_equal(g_ptr_array_index(without, i), scenario);
        assert_ptr_equal(godwit_scenario_find(scenario->name), scenario);
        if (i > 0)
            assert_true(
                strcmp(((const struct godwit_scenario *)g_ptr_array_index(all, i - 1))->name,
                       scenario->name) < 0);
    }
    g_autofree char *every = match("*", NULL, NULL), *none = match(NULL, NULL, NULL),
                    *twice = match("*", "precopy/unix/plain", NULL);
    assert_string_equal(every, none);
    assert_string_equal(every, twice);
    g_autofree char *two = match("*/unix/plain", "precopy/tcp/plain", NULL);
    g_autofree char *one = match("precopy/unix/plai?", NULL, NULL);
    assert_true(g_str_has_suffix(two, " precopy/tcp/plain"));
    assert_contains(two, "precopy/unix/plain ");
    assert_string_equal(one, "precopy/unix/plain");

    static const char *const misses[] = {"precopy", "plain", "", "PRECOPY/*",
                                         "precopy/unix/plain "};
    for (size_t i = 0; i < G_N_ELEMENTS(misses); i++) {
        g_autoptr(GError) error = NULL;
        g_autofree char *wanted = g_strdup_printf("no scenario matches \"%s\"", misses[i]);
        assert_null(match("precopy/*", misses[i], &error));
        assert_true(g_error_matches(error, GODWIT_ERROR, GODWIT_ERROR_USAGE));
        assert_contains(error->message, wanted);
    }
}

static void test_enough_memory(void **state)
{
    (void)state;
    g_autoptr(GError) error = NULL;
    assert_true(godwit_enough_memory(1, 0, NULL));
    assert_true(godwit_enough_memory(UINT_MAX, 0, NULL)); /* no job, no need */
    assert_false(godwit_enough_memory(1, 1u << 30, NULL));
    assert_false(godwit_enough_memory(1u << 30, 2, &error));
    assert_true(g_error_matches(error, GODWIT_ERROR, GODWIT_ERROR_ENVIRONMENT));
    /* 2 jobs of 2 guests of 2^30 MiB, with 100 MiB for each QEMU and for those of the next two. */
    assert_contains(error->message, "2 at a time of two guests of 1073741824 MiB need 4294968096 "
                                    "MiB, ");
}

int main(int argc, char **argv)
{
    if (argc > 1 && !strcmp(argv[1], "-nodefaults"))
        be_qemu(argv[0]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse),
        cmocka_unit_test(test_parse_fails),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_targets),
        cmocka_unit_test(test_targets_in_path),
        cmocka_unit_test(test_direction),
        cmocka_unit_test(test_versions),
        cmocka_unit_test(test_binaries),
        cmocka_unit_test(test_path_not_utf8),
        cmocka_unit_test(test_workload),
        cmocka_unit_test(test_workload_refused),
        cmocka_unit_test(test_match),
        cmocka_unit_test(test_enough_memory),
    };
    return cmocka_run_group_tests_name("options", tests, suite_begin, suite_end);
}
