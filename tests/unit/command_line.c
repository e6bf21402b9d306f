/*
 * Command lines of QEMU, as libvirt, Proxmox and people write them: what is taken, dropped,
 * replaced and refused.
 *
 * SPDX-License-Identifier: MIT
 */
#include "qemu/command_line.h"

#include <string.h>

#include "unit.h"

/* Checks what becomes of TEXT: its words, joined by spaces. */
static void expect(const char *text, bool theirs, const char *wanted)
{
    g_autoptr(GError) error = NULL;
    struct godwit_command_line *line = godwit_command_line_read(text, theirs, "/", &error);
    if (!line)
        fail_msg("%s: %s", text, error->message);
    g_autofree char *words = g_strjoinv(" ", line->words);
    assert_string_equal(words, wanted);
    godwit_command_line_free(line);
}

/* The binary, the machine and the accelerator, however they are written. */
static void test_head(void **state)
{
    static const struct {
        const char *text, *qemu, *type, *accel;
    } cases[] = {
        {"qemu-system-x86_64 -M pc", "qemu-system-x86_64", "pc", NULL},
        {"A=b C= \\\n/usr/bin/qemu-system-s390x \\\n-machine type=x,accel=kvm:tcg",
         "/usr/bin/qemu-system-s390x", "x", "kvm"},
        {"sudo env X=y /usr/bin/kvm -machine q35 -accel tcg,thread=single", "/usr/bin/kvm", "q35",
         "tcg"},
        {"./build/qemu-system-arm -enable-kvm", "./build/qemu-system-arm", NULL, "kvm"},
        {"qemu-system-x86_64 -machine '{\"type\":\"pc\",\"usb\":\"off\"}'", "qemu-system-x86_64",
         "pc", NULL},
    };
    (void)state;
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        struct godwit_command_line *line =
            godwit_command_line_read(cases[i].text, false, "/", NULL);
        assert_non_null(line);
        assert_string_equal(line->qemu, cases[i].qemu);
        assert_int_equal(g_strcmp0(line->type, cases[i].type), 0);
        assert_int_equal(g_strcmp0(line->accel, cases[i].accel), 0);
        godwit_command_line_free(line);
    }
}

#define Q "qemu-system-x86_64 "

static void test_words(void **state)
{
    (void)state;
    expect(Q
           "-S -daemonize -pidfile p -vnc :1 -monitor stdio -qmp unix:s -mon chardev=m -nographic",
           true, "");
    expect(Q "-name guest=a -uuid u -m 256 -smp 2 -sandbox on", true,
           "-name guest=a -uuid u -m 256 -smp 2 -sandbox on");
    expect(Q "-machine pc,usb=off,pflash0=n", false, "-machine usb=off");
    expect(Q "-machine pc,usb=off,pflash0=n", true, "-machine usb=off,pflash0=n");
    expect(Q "-kernel proc/self/exe -append x", true, "-kernel /proc/self/exe -append x");
    expect(Q "-kernel nonexistent -append x -bios y", false, "");
    expect(Q "-drive if=pflash,file=nonexistent", false, "");
    expect(Q "-drive format=raw,file=dev/null", false, "-drive format=raw,file=/dev/null");
    expect(Q "-drive file=nbd:localhost:1", false, "-drive file=nbd:localhost:1");
    expect(Q "-drive file=dev/null,serial=a,,b", false, "-drive serial=a,,b,file=/dev/null");
    expect(Q "-blockdev driver=qcow2,node-name=a,file=b", false,
           "-blockdev driver=qcow2,node-name=a,file=b");
    expect(Q "-chardev pty,id=a -device isa-serial,chardev=a -device isa-serial,chardev=b", false,
           "-chardev null,id=a -device isa-serial,chardev=console -device isa-serial,chardev=b");
    expect(Q "-device '{\"driver\":\"isa-serial\",\"chardev\":\"a\"}'", false,
           "-device {\"driver\":\"isa-serial\",\"chardev\":\"console\"}");
    expect(Q "-id 100 -chardev socket,id=qmp,path=/nonexistent -mon chardev=qmp,mode=control",
           false, "");
    expect(Q "-serial none -serial stdio -serial pty", false,
           "-serial none -serial chardev:console -serial null");
    expect(Q "-audiodev '{\"id\":\"x\",\"driver\":\"spice\"}'", false, "-audiodev none,id=x");
    expect(Q "-object secret,id=masterKey0,file=nonexistent", false, "");
    expect(Q "-netdev user,id=n -net nic,model=e1000 -nic none", false,
           "-netdev user,id=n -net nic,model=e1000 -nic none");
    expect(Q "dev/null", true, "/dev/null");
    static const char *const with[] = {"-device", "isa-serial,chardev=console", NULL};
    static const char *const without[] = {"-device", "isa-serial,chardev=a", NULL};
    assert_true(godwit_command_line_has_console(with));
    assert_false(godwit_command_line_has_console(without));
    assert_false(godwit_command_line_has_console(NULL));
}

static void test_refused(void **state)
{
    static const char *const cases[][2] = {
        {"", "it is empty"},
        {"ls -l", "it names no QEMU: it begins with \"ls\""},
        {"A=b", "it names no QEMU"},
        {Q "'x", "matching quote"},
        {Q "-M pc | tee x", "\"|\" is for a shell"},
        {Q "-incoming defer", "-incoming defer: Godwit sets up the migration itself"},
        {Q "-qmp stdio", "-qmp stdio: somebody drives this QEMU by its standard input"},
        {Q "-loadvm x", "-loadvm x: "},
        {Q "-add-fd fd=3,set=1", "-add-fd fd=3,set=1: "},
        {Q "-device vfio-pci,host=1", "a device of the host"},
        {Q "-device '{\"driver\":\"usb-host\"}'", "a device of the host"},
        {Q "-netdev tap,id=n", "a network of the host"},
        {Q "-netdev '{\"type\":\"vhost-user\",\"id\":\"n\"}'", "a network of the host"},
        {Q "-nic bridge", "a network of the host"},
        {Q "-netdev user,id=n,hostfwd=tcp::1-:2", "cannot both listen"},
        {Q "-tpmdev emulator,id=t", "a process or a device of the host"},
        {Q "-virtfs local,path=/", "a folder of the host"},
        {Q "-object memory-backend-file,id=m,mem-path=/dev/shm/m,share=on", "would share"},
        {Q "-drive file=/nonexistent", "no such file"},
        {Q "-hda nonexistent", "-hda /nonexistent: no such file"},
        {Q "nonexistent.img", "no such file"},
        {Q "-chardev pty", "it has no id"},
    };
    (void)state;
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GError) error = NULL;
        assert_null(godwit_command_line_read(cases[i][0], false, "/", &error));
        assert_true(g_error_matches(error, GODWIT_ERROR, GODWIT_ERROR_USAGE));
        assert_contains(error->message, cases[i][1]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_head),
        cmocka_unit_test(test_words),
        cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests_name("command line", tests, NULL, NULL);
}
