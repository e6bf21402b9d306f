/*
 * Arguments of QEMU that a user gives: read as QEMU reads them, refused if Godwit sets them itself,
 * and without a disk that can be written.
 *
 * SPDX-License-Identifier: MIT
 */
#include "qemu/arguments.h"

#include <string.h>

#include "unit.h"

static char **words_of(const char *line)
{
    char **words = NULL;
    g_autoptr(GError) error = NULL;
    if (!g_shell_parse_argv(line, NULL, &words, &error)) {
        assert_int_equal(error->code, G_SHELL_ERROR_EMPTY_STRING);
        words = g_new0(char *, 1);
    }
    return words;
}

/* Each option with its value, with one dash or two. A word that is no option stands alone. */
static void test_at(void **state)
{
    static const struct {
        const char *name, *value;
    } wanted[] = {
        {"S", NULL},        {"device", "e1000"}, {"name", "-x"}, {NULL, "disk.img"},
        {"snapshot", NULL}, {NULL, "-"},         {"smp", NULL},
    };
    (void)state;
    g_auto(GStrv) words = words_of("-S --device e1000 -name -x disk.img -snapshot - -smp");
    struct godwit_argument argument;
    guint at = 0, count = 0;
    for (; godwit_argument_at(words, at, &argument); at = argument.first + argument.words) {
        assert_true(count < G_N_ELEMENTS(wanted));
        if (wanted[count].name)
            assert_string_equal(argument.name, wanted[count].name);
        else
            assert_null(argument.name);
        if (wanted[count].value)
            assert_string_equal(argument.value, wanted[count].value);
        else
            assert_null(argument.value);
        count++;
    }
    assert_int_equal(count, G_N_ELEMENTS(wanted));
    assert_false(godwit_argument_at(NULL, 0, &argument));
}

/* A value by key: with commas inside it, the last of several, and from JSON. */
static void test_get(void **state)
{
    static const struct {
        const char *value, *key, *wanted;
    } cases[] = {
        {"q35,usb=off", "usb", "off"},
        {"file=a,,b=c,if=none", "file", "a,b=c"},
        {"file=a,,b=c,if=none", "b", NULL},
        {"id=1,id=2", "id", "2"},
        {"usb=off", "us", NULL},
        {"{\"driver\":\"file\",\"read-only\":true,\"n\":4}", "driver", "file"},
        {"{\"driver\":\"file\",\"read-only\":true,\"n\":4}", "read-only", "true"},
        {"{\"driver\":\"file\",\"read-only\":true,\"n\":4}", "n", "4"},
        {"{broken", "n", NULL},
        {NULL, "n", NULL},
    };
    (void)state;
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *got = godwit_argument_get(cases[i].value, cases[i].key);
        if (cases[i].wanted)
            assert_string_equal(got, cases[i].wanted);
        else
            assert_null(got);
    }
    g_autofree char *first = godwit_argument_first("q35,usb=off");
    assert_string_equal(first, "q35");
    assert_null(godwit_argument_first("usb=off"));
    assert_null(godwit_argument_first("{}"));
    assert_null(godwit_argument_first(NULL));
}

/* RAM and CPUs as QEMU counts them. */
static void test_choice(void **state)
{
    static const struct {
        const char *line;
        unsigned memory, cpus;
        bool backend;
        const char *accel;
    } cases[] = {
        {"", 0, 0, false, NULL},
        {"-m 512", 512, 0, false, NULL},
        {"-m 2G", 2048, 0, false, NULL},
        {"-m size=1048576k,slots=2,maxmem=4G", 1024, 0, false, NULL},
        {"-m 1t", 1 << 20, 0, false, NULL},
        {"-m maxmem=4G", 0, 0, false, NULL},
        {"-m 5x", 0, 0, false, NULL},
        {"-m 99999999999999999999G", 0, 0, false, NULL},
        {"-smp 4", 0, 4, false, NULL},
        {"-smp cpus=2,maxcpus=8", 0, 2, false, NULL},
        {"-smp 2,maxcpus=8", 0, 2, false, NULL},
        {"-smp maxcpus=8", 0, 8, false, NULL},
        {"-smp sockets=2,cores=3", 0, 6, false, NULL},
        {"-numa node,memdev=m", 0, 0, true, NULL},
        {"-machine memory-backend=m", 0, 0, true, NULL},
        {"-accel kvm,dirty-ring-size=4096", 0, 0, false, "kvm"},
    };
    (void)state;
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_auto(GStrv) words = words_of(cases[i].line);
        struct godwit_arguments_choice choice;
        assert_true(godwit_arguments_check(words, "here", &choice, NULL));
        g_autofree char *accel = choice.accel;
        assert_int_equal(choice.memory_mib, cases[i].memory);
        assert_int_equal(choice.cpus, cases[i].cpus);
        assert_int_equal(choice.backend, cases[i].backend);
        if (cases[i].accel)
            assert_string_equal(accel, cases[i].accel);
        else
            assert_null(accel);
    }
}

/* What belongs to Godwit, wherever it stands. */
static void test_refused(void **state)
{
    static const char *const cases[][2] = {
        {"-device e1000 -incoming defer", "here: -incoming is not allowed: "},
        {"--qmp stdio", "here: -qmp is not allowed: QMP belongs to Godwit"},
        {"-S", "-S is not allowed"},
        {"-daemonize", "-daemonize is not allowed"},
        {"-kernel x", "-kernel is not allowed: Godwit's guest is in its place"},
        {"-machine pc,usb=off", "-machine pc: choose the machine type with --machine"},
        {"-M type=pc", "-machine pc: choose"},
        {"-machine accel=kvm", "choose the accelerator with --accel"},
        {"-machine firmware=x", "-machine firmware: Godwit's guest"},
        {"-drive if=pflash,file=x", "-drive if=pflash: Godwit's guest"},
        {"-chardev socket,id=a,fd=3", "-chardev fd=3: Godwit passes no descriptor on"},
        {"disk.img", "the word \"disk.img\" belongs to no option"},
    };
    (void)state;
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_auto(GStrv) words = words_of(cases[i][0]);
        struct godwit_arguments_choice choice;
        g_autoptr(GError) error = NULL;
        assert_false(godwit_arguments_check(words, "here", &choice, &error));
        g_free(choice.accel);
        assert_true(g_error_matches(error, GODWIT_ERROR, GODWIT_ERROR_USAGE));
        assert_contains(error->message, cases[i][1]);
    }
}

/* Disks are not written, and protecting them again changes nothing. */
static void test_protect(void **state)
{
    static const char *const cases[][2] = {
        {"", ""},
        {"-device e1000", "-device e1000"},
        {"-drive file=x", "-drive file=x -snapshot"},
        {"-snapshot -hda x", "-snapshot -hda x"},
        {"-blockdev file,filename=x", "-blockdev file,filename=x,read-only=on"},
        {"-blockdev '{\"driver\":\"file\",\"auto-read-only\":true}'",
         "-blockdev {\"driver\":\"file\",\"read-only\":true}"},
        {"x.img", "x.img -snapshot"},
    };
    (void)state;
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_auto(GStrv) words = words_of(cases[i][0]);
        g_auto(GStrv) once = godwit_arguments_protect(words);
        g_auto(GStrv) twice = godwit_arguments_protect(once);
        g_autofree char *text = g_strjoinv(" ", once);
        g_autofree char *again = g_strjoinv(" ", twice);
        assert_string_equal(text, cases[i][1]);
        assert_string_equal(again, text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_at),      cmocka_unit_test(test_get),
        cmocka_unit_test(test_choice),  cmocka_unit_test(test_refused),
        cmocka_unit_test(test_protect),
    };
    return cmocka_run_group_tests_name("arguments", tests, NULL, NULL);
}
