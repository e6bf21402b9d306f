/*
 * A man in the middle between Godwit and a QEMU, for tests of Godwit's oracles.
 *
 * Godwit is given this program in place of a QEMU: FOLDER/qemu-system-ARCH is a link to it, and
 * FOLDER/real is a link to a folder that has the real QEMU of that name. It makes a socket pair for
 * QMP and another for the console, and forks. The parent, whose pid Godwit knows, becomes the real
 * QEMU, so that Godwit reads the real QEMU's memory. The child relays lines of QMP and bytes of the
 * console, and tampers with what $MITM asks for.
 *
 * $MITM is a list of tamperings, separated by "|". Each is SIDE/WHEN/WHAT, where SIDE is the name
 * that Godwit gives the VM (source, destination). "none" relays and changes nothing.
 *
 *   SIDE/completed/ACTION   changes memory when QEMU reports that the migration is completed
 *   SIDE/cont/ACTION        ... when Godwit asks for `cont`, before QEMU sees it
 *   SIDE/stop/ACTION        ... when QEMU has answered `stop`, after the migration
 *     ACTION is one of the table `actions`, or stderr=TEXT, a line that QEMU seems to have printed
 *   SIDE/event/NAME[:STATUS]=HOW   HOW is drop, double, late (after the next line), or a new status
 *   SIDE/after/NAME[:STATUS]=JSON  inserts a line of QMP after that event
 *   SIDE/answer/COMMAND[:FIELD.FIELD]=HOW   HOW is drop, double, or the field's new value as JSON
 *   SIDE/console/HOW        HOW is drop, double, mute, or one character that is inserted
 *   SIDE/pmemsave/bit       changes a bit of the window in each file that pmemsave writes
 *
 * Events, answers and pmemsave are only tampered with from `migrate` or `migrate-incoming` on, and
 * query-status, query-migrate and pmemsave only once the migration has ended. A tampering of memory
 * happens once. Each tampering that happens adds a line to the file $MITM_LOG.
 *
 * FOLDER/version, if there is such a file, is the version that the QEMU claims to be when Godwit
 * asks a QEMU without a machine.
 *
 * SPDX-License-Identifier: MIT
 */
#include "godwit/guest_abi.h"
#include "godwit/stamp.h"
#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <inttypes.h>
#include <jansson.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

enum { QMP_FD = 3, CONSOLE_FD = 4 };

/* The id of the man's own commands. Godwit's are numbers. */
#define OWN_ID "mitm"

/* How long a restless page stays as it is, in milliseconds: it changes all the time, as one of a
 * guest that runs does. Godwit reads a small window twice within a millisecond. */
#define RESTLESS_MS 0

struct tampering {
    char *text; /* as it was given */
    char *when, *what, *how;
    bool done;
};

/* The guest, as the image's parameter block and the machine describe it. */
struct guest {
    uint64_t ram_base;
    uint64_t window_start, window_end;
    uint64_t page_size;
    uint64_t params; /* the guest-physical address of the parameter block; 0: unknown */
    uint32_t flags;
    uint64_t seed;
    bool big_endian;
};

struct man {
    const char *side;
    pid_t qemu;
    GPtrArray *tamperings; /* of this side */
    int godwit_qmp, qemu_qmp, godwit_console, qemu_console;
    GString *from_godwit, *from_qemu; /* what is not a whole line yet */
    GQueue waiting;                   /* lines of QEMU's that came while the man asked */
    char *late;                       /* a line that goes out after the next one */
    GHashTable *asked;                /* id -> command, of those without an answer */
    char *saved;                      /* the file of the latest pmemsave ... */
    uint64_t saved_at, saved_length;  /* ... and what it is to hold */
    bool incoming; /* nothing is asked of its guest before the migration has ended */
    bool migrates, ended;
    struct guest guest;
    uint64_t restless; /* the address of a page that keeps changing, in QEMU; 0: none */
};

static G_GNUC_NORETURN void die(const char *what)
{
    fprintf(stderr, "mitm: %s: %s\n", what, g_strerror(errno));
    _exit(127);
}

static bool write_all(int fd, const char *bytes, size_t length)
{
    while (length > 0) {
        const ssize_t n = write(fd, bytes, length);
        if (n < 0 && errno != EINTR)
            return false;
        bytes += MAX(n, 0);
        length -= (size_t)MAX(n, 0);
    }
    return true;
}

/* Notes in $MITM_LOG that a tampering has happened. One write: several men share the file. */
static void happened(struct tampering *tampering, const char *detail)
{
    const char *path = g_getenv("MITM_LOG");
    g_autofree char *line = g_strdup_printf("%s %s\n", tampering->text, detail);
    tampering->done = true;
    const int fd = path ? open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600) : -1;
    if (fd < 0 || !write_all(fd, line, strlen(line)))
        die("the log");
    close(fd);
}

/* The guest and its memory. */

static uint32_t get32(const unsigned char *bytes, bool big_endian)
{
    uint32_t value;
    memcpy(&value, bytes, sizeof(value));
    return big_endian ? GUINT32_FROM_BE(value) : GUINT32_FROM_LE(value);
}

static uint64_t get64(const unsigned char *bytes, bool big_endian)
{
    uint64_t value;
    memcpy(&value, bytes, sizeof(value));
    return big_endian ? GUINT64_FROM_BE(value) : GUINT64_FROM_LE(value);
}

static void put64(unsigned char *bytes, uint64_t value, bool big_endian)
{
    value = big_endian ? GUINT64_TO_BE(value) : GUINT64_TO_LE(value);
    memcpy(bytes, &value, sizeof(value));
}

/* Where each machine has its RAM, and where it puts an image of that many bytes. */
static const struct {
    const char *arch;
    uint64_t ram_base;
    uint64_t image; /* the guest-physical address of its first byte, ... */
    bool at_top;    /* ... or of the one after its last; 0: not a flat image */
} machines[] = {
    {"x86_64", 0, UINT64_C(0x100000000), true},
    {"aarch64", 0x40000000, 0x40080000, false},
    {"ppc64", 0, 0, false},
    {"riscv64", 0x80000000, 0x80000000, false},
    {"s390x", 0, 0, false},
};

/* Finds the parameter block in the image of that side, which Godwit has written beside. */
static void describe_guest(struct man *man, const char *arch)
{
    struct guest *guest = &man->guest;
    g_autofree char *path = g_strconcat(man->side, ".image", NULL);
    g_autofree char *bytes = NULL;
    gsize length = 0;
    if (!g_file_get_contents(path, &bytes, &length, NULL))
        return;
    for (size_t at = 0; at + GODWIT_PARAMS_SIZE <= length && !guest->window_end; at += 8) {
        const unsigned char *block = (const unsigned char *)bytes + at;
        const bool big = get32(block, true) == GODWIT_PARAMS_MAGIC;
        if ((!big && get32(block, false) != GODWIT_PARAMS_MAGIC) ||
            get32(block + GODWIT_PARAMS_OFF_VERSION, big) != GODWIT_ABI_VERSION)
            continue;
        guest->big_endian = big;
        guest->window_start = get64(block + GODWIT_PARAMS_OFF_WINDOW_START, big);
        guest->window_end = get64(block + GODWIT_PARAMS_OFF_WINDOW_END, big);
        guest->page_size = get32(block + GODWIT_PARAMS_OFF_PAGE_SIZE, big);
        guest->flags = get32(block + GODWIT_PARAMS_OFF_FLAGS, big);
        guest->seed = get64(block + GODWIT_PARAMS_OFF_SEED, big);
        for (size_t i = 0; i < G_N_ELEMENTS(machines); i++) {
            if (strcmp(machines[i].arch, arch) != 0)
                continue;
            guest->ram_base = machines[i].ram_base;
            if (machines[i].at_top)
                guest->params = machines[i].image - length + at;
            else if (machines[i].image)
                guest->params = machines[i].image + at;
        }
    }
}

static struct godwit_stamp stamp_of(const struct guest *guest)
{
    return (struct godwit_stamp){
        .seed = guest->seed,
        .flags = guest->flags,
        .page_shift = (uint32_t)g_bit_nth_lsf((gulong)guest->page_size, -1),
        .pages = (uint32_t)((guest->window_end - guest->window_start) / guest->page_size),
        .cpus = 1,
    };
}

/* The next line of QEMU's QMP, waited for; NULL at its end. The caller's. */
static char *next_line(struct man *man)
{
    char *end;
    while (!(end = memchr(man->from_qemu->str, '\n', man->from_qemu->len))) {
        char buffer[65536];
        const ssize_t n = read(man->qemu_qmp, buffer, sizeof(buffer));
        if (n > 0)
            g_string_append_len(man->from_qemu, buffer, n);
        else if (n == 0 || errno != EINTR)
            return NULL;
    }
    char *line = g_strndup(man->from_qemu->str, (gsize)(end - man->from_qemu->str));
    g_string_erase(man->from_qemu, 0, end - man->from_qemu->str + 1);
    return line;
}

/* Where QEMU has the guest-physical address; 0 if it does not say. */
static uint64_t address_in_qemu(struct man *man, uint64_t gpa)
{
    g_autofree char *command =
        g_strdup_printf("{\"execute\":\"human-monitor-command\",\"arguments\":{\"command-line\":"
                        "\"gpa2hva 0x%" PRIx64 "\"},\"id\":\"" OWN_ID "\"}\n",
                        gpa);
    if (!write_all(man->qemu_qmp, command, strlen(command)))
        return 0;
    for (char *line; (line = next_line(man));) {
        json_t *message = json_loads(line, 0, NULL);
        const char *id = json_string_value(json_object_get(message, "id"));
        if (g_strcmp0(id, OWN_ID) != 0) {
            json_decref(message);
            g_queue_push_tail(&man->waiting, line);
            continue;
        }
        const char *answer = json_string_value(json_object_get(message, "return"));
        const char *is = answer ? strstr(answer, ") is 0x") : NULL;
        const uint64_t hva = is ? g_ascii_strtoull(is + strlen(") is 0x"), NULL, 16) : 0;
        json_decref(message);
        g_free(line);
        return hva;
    }
    return 0;
}

static bool peek(struct man *man, uint64_t hva, void *bytes, size_t length)
{
    const struct iovec local = {bytes, length}, remote = {(void *)(uintptr_t)hva, length};
    return hva && process_vm_readv(man->qemu, &local, 1, &remote, 1, 0) == (ssize_t)length;
}

static bool poke(struct man *man, uint64_t hva, const void *bytes, size_t length)
{
    const struct iovec local = {(void *)(uintptr_t)bytes, length};
    const struct iovec remote = {(void *)(uintptr_t)hva, length};
    return hva && process_vm_writev(man->qemu, &local, 1, &remote, 1, 0) == (ssize_t)length;
}

/* The guest's position, by its own account. */
static bool mailbox_at(struct man *man, uint64_t *position)
{
    const uint64_t gpa = man->guest.ram_base + GODWIT_MAILBOX_OFFSET + GODWIT_MAILBOX_OFF_POSITION;
    unsigned char raw[8];
    if (!peek(man, address_in_qemu(man, gpa), raw, sizeof(raw)))
        return false;
    *position = get64(raw, man->guest.big_endian);
    return true;
}

/* The page of the window that is farthest from where the guest writes. */
static uint64_t quiet_page(struct man *man)
{
    const struct guest *guest = &man->guest;
    const uint64_t pages = (guest->window_end - guest->window_start) / guest->page_size;
    uint64_t at;
    if (!mailbox_at(man, &at))
        return 0;
    at = (at - guest->window_start) / guest->page_size % pages;
    /* With room for three more behind it. */
    return MIN((at + pages / 2) % pages, pages - 4);
}

/* Makes a page of `stamp` one generation older; false if it has words of more than one. */
static bool age_stamped(const struct guest *guest, uint32_t page, unsigned char *bytes)
{
    const struct godwit_stamp stamp = stamp_of(guest);
    uint64_t generation;
    const uint64_t first = godwit_stamp_load(bytes, 0, guest->big_endian);
    if (!godwit_stamp_date(&stamp, first, page, 0, UINT32_MAX, &generation) || generation == 0 ||
        godwit_stamp_mismatch(&stamp, page, generation, 0, bytes, guest->big_endian) !=
            godwit_stamp_words(&stamp))
        return false;
    for (uint32_t i = 0; i < godwit_stamp_words(&stamp); i++)
        put64(bytes + 8 * (size_t)i, godwit_stamp_word(&stamp, page, i, generation - 1),
              guest->big_endian);
    return true;
}

/* Makes COUNT pages from PAGE on one pass older. Returns how many it has changed. */
static uint64_t age(struct man *man, uint64_t page, uint64_t count)
{
    const struct guest *guest = &man->guest;
    const size_t size = guest->page_size;
    const uint64_t hva = address_in_qemu(man, guest->window_start);
    g_autofree unsigned char *bytes = g_malloc(size);
    uint64_t aged = 0;
    for (uint64_t i = page; i < page + count; i++) {
        const uint64_t at = hva + i * size;
        if (!hva || !peek(man, at, bytes, size))
            return 0;
        if (!(guest->flags & GODWIT_FLAG_STAMP))
            bytes[0]--;
        else if (!age_stamped(guest, (uint32_t)i, bytes))
            continue;
        aged += poke(man, at, bytes, size);
    }
    return aged;
}

/* One of four pages: with `stamp:zero` and `stamp:mixed`, one that is zero cannot be made older. */
static bool page_old(struct man *man)
{
    const uint64_t page = quiet_page(man);
    uint64_t tried = 0;
    while (tried < 4 && age(man, page + tried, 1) != 1)
        tried++;
    return tried < 4;
}

static bool window_old(struct man *man)
{
    const uint64_t pages = (man->guest.window_end - man->guest.window_start) / man->guest.page_size;
    const bool zeros =
        (man->guest.flags & GODWIT_FLAG_STAMP) && (man->guest.flags & GODWIT_FLAG_CONTENT_MASK);
    uint64_t at;
    if (!mailbox_at(man, &at))
        return false;
    /* Between two passes the guest may or may not have counted the one that is over, so a whole
     * window that is one pass old would be correct. */
    const uint64_t first = at == man->guest.window_end ? 1 : 0;
    /* One page may be half written, and some may be zero. */
    return age(man, first, pages - first) >= (zeros ? pages / 2 : pages - 2);
}

/* Changes the byte at GPA. */
static bool flip(struct man *man, uint64_t gpa, unsigned char bits)
{
    const uint64_t hva = address_in_qemu(man, gpa);
    unsigned char byte;
    if (!peek(man, hva, &byte, 1))
        return false;
    byte ^= bits;
    return poke(man, hva, &byte, 1);
}

/* Where byte OFFSET of the quiet page is. */
static uint64_t quiet(struct man *man, uint64_t offset)
{
    return man->guest.window_start + quiet_page(man) * man->guest.page_size + offset;
}

/* Newer than what the guest has come to: no lost write looks like that. */
static bool page_newer(struct man *man)
{
    const uint64_t hva = address_in_qemu(man, quiet(man, 0));
    unsigned char byte;
    if (!peek(man, hva, &byte, 1))
        return false;
    byte++;
    return poke(man, hva, &byte, 1);
}

static bool page_byte(struct man *man)
{
    return flip(man, quiet(man, 1000), 0x10);
}

static bool outside_bit(struct man *man)
{
    return flip(man, man->guest.window_end + 0x1234, 0x10);
}

/* Where nothing is executed or read any more. */
static bool image_bit(struct man *man)
{
    return man->guest.params && flip(man, man->guest.params + GODWIT_PARAMS_OFF_SEED, 0x10);
}

static bool fill(struct man *man, size_t length, unsigned char with)
{
    g_autofree unsigned char *bytes = g_malloc(length);
    memset(bytes, with, length);
    return poke(man, address_in_qemu(man, quiet(man, 0)), bytes, length);
}

static bool bytes_8(struct man *man)
{
    return fill(man, 8, 0xa5);
}

static bool bytes_16k(struct man *man)
{
    return fill(man, 16384, 0xa5);
}

static bool page_zero(struct man *man)
{
    return fill(man, man->guest.page_size, 0);
}

static bool pages_swapped(struct man *man)
{
    const size_t size = man->guest.page_size;
    const uint64_t hva = address_in_qemu(man, quiet(man, 0));
    g_autofree unsigned char *both = g_malloc(2 * size);
    if (!peek(man, hva, both, 2 * size))
        return false;
    return poke(man, hva, both + size, size) && poke(man, hva + size, both, size);
}

/* Takes DIFFERENCE from the 64-bit field of the mailbox at OFFSET. */
static bool mailbox_back(struct man *man, uint64_t offset, uint64_t difference)
{
    const uint64_t gpa = man->guest.ram_base + GODWIT_MAILBOX_OFFSET + offset;
    const uint64_t hva = address_in_qemu(man, gpa);
    unsigned char raw[8];
    if (!peek(man, hva, raw, sizeof(raw)))
        return false;
    put64(raw, get64(raw, man->guest.big_endian) - difference, man->guest.big_endian);
    return poke(man, hva, raw, sizeof(raw));
}

/* At the window's end, the pass that is over may or may not have been counted. */
static bool mailbox_passes(struct man *man)
{
    uint64_t at;
    return mailbox_at(man, &at) &&
           mailbox_back(man, GODWIT_MAILBOX_OFF_PASSES, at == man->guest.window_end ? 2 : 1);
}

/* More than the one increment that memory may be ahead by; nothing at the window's start. */
static bool mailbox_position(struct man *man)
{
    const uint64_t step = 4 * man->guest.page_size;
    uint64_t at;
    return mailbox_at(man, &at) &&
           mailbox_back(man, GODWIT_MAILBOX_OFF_POSITION,
                        at >= man->guest.window_start + step ? step : -step);
}

static bool mailbox_timer(struct man *man)
{
    return mailbox_back(man, GODWIT_MAILBOX_OFF_TIMER, 1);
}

/* To where the guest began. */
static bool mailbox_timer_far(struct man *man)
{
    unsigned char raw[8];
    const uint64_t gpa = man->guest.ram_base + GODWIT_MAILBOX_OFFSET + GODWIT_MAILBOX_OFF_TIMER;
    return peek(man, address_in_qemu(man, gpa), raw, sizeof(raw)) &&
           mailbox_back(man, GODWIT_MAILBOX_OFF_TIMER, get64(raw, man->guest.big_endian));
}

static bool mailbox_magic(struct man *man)
{
    return flip(man, man->guest.ram_base + GODWIT_MAILBOX_OFFSET, 0x10);
}

/* Counts up the restless byte. */
static bool stir(struct man *man)
{
    unsigned char byte;
    if (!peek(man, man->restless, &byte, 1))
        return false;
    byte++;
    return poke(man, man->restless, &byte, 1);
}

/* From now on a byte of the window changes all the while, although the guest is stopped. The first
 * change is there before Godwit sees the answer to `stop`. */
static bool restless(struct man *man)
{
    const struct sched_param first = {.sched_priority = 1};
    /* The byte changes only while the man has a processor, and Godwit's two walks take 2 ms. A man
     * without permission for the first call tries the second, and may lose the processor for longer
     * than that on a busy host. */
    if (sched_setscheduler(0, SCHED_FIFO, &first) != 0)
        setpriority(PRIO_PROCESS, 0, -20);
    man->restless = address_in_qemu(man, quiet(man, 1000));
    return man->restless != 0 && stir(man);
}

static const struct {
    const char *name;
    bool (*act)(struct man *man);
} actions[] = {
    {"page-newer", page_newer},
    {"page-byte", page_byte},
    {"page-old", page_old},
    {"window-old", window_old},
    {"bytes-8", bytes_8},
    {"bytes-16k", bytes_16k},
    {"page-zero", page_zero},
    {"pages-swapped", pages_swapped},
    {"outside-bit", outside_bit},
    {"image-bit", image_bit},
    {"mailbox-passes", mailbox_passes},
    {"mailbox-position", mailbox_position},
    {"mailbox-timer", mailbox_timer},
    {"mailbox-timer-far", mailbox_timer_far},
    {"mailbox-magic", mailbox_magic},
    {"restless", restless},
};

/* Tampers with memory if this is a moment for it. */
static void moment(struct man *man, const char *when)
{
    for (guint i = 0; i < man->tamperings->len; i++) {
        struct tampering *tampering = g_ptr_array_index(man->tamperings, i);
        if (tampering->done || strcmp(tampering->when, when) != 0)
            continue;
        if (!strcmp(tampering->what, "stderr")) {
            fprintf(stderr, "%s\n", tampering->how);
            happened(tampering, "printed");
            continue;
        }
        for (size_t a = 0; a < G_N_ELEMENTS(actions); a++)
            if (!strcmp(actions[a].name, tampering->what) && actions[a].act(man))
                happened(tampering, "memory changed");
    }
}

/* QMP. */

static void pass_line(struct man *man, const char *line)
{
    g_autofree char *whole = g_strconcat(line, "\n", NULL);
    if (!write_all(man->godwit_qmp, whole, strlen(whole)))
        _exit(0); /* Godwit is gone */
    if (man->late) {
        g_autofree char *late = g_steal_pointer(&man->late);
        pass_line(man, late);
    }
}

/* The tampering with that subject ("RESUME", "MIGRATION:completed", "query-migrate") at WHEN, with
 * whatever field there is behind it in *FIELD, unless FIELD is NULL. */
static struct tampering *find(struct man *man, const char *when, const char *subject,
                              const char **field)
{
    for (guint i = 0; i < man->tamperings->len; i++) {
        struct tampering *tampering = g_ptr_array_index(man->tamperings, i);
        const size_t length = strlen(subject);
        if (strcmp(tampering->when, when) != 0 || strncmp(tampering->what, subject, length) != 0)
            continue;
        const char *rest = tampering->what + length;
        if (*rest && (*rest != ':' || !field))
            continue;
        if (field)
            *field = *rest ? rest + 1 : NULL;
        return tampering;
    }
    return NULL;
}

/* Passes a line on, or does to it what HOW says; false if HOW is something else. */
static bool pass_how(struct man *man, const char *line, const char *how)
{
    if (!strcmp(how, "drop"))
        return true;
    if (!strcmp(how, "late")) {
        man->late = g_strdup(line);
        return true;
    }
    if (strcmp(how, "double") != 0)
        return false;
    pass_line(man, line);
    pass_line(man, line);
    return true;
}

static void pass_event(struct man *man, const char *line, json_t *message)
{
    const char *name = json_string_value(json_object_get(message, "event"));
    json_t *data = json_object_get(message, "data");
    const char *status = json_string_value(json_object_get(data, "status"));
    g_autofree char *subject = status ? g_strdup_printf("%s:%s", name, status) : g_strdup(name);
    if (!g_strcmp0(status, "completed") || !g_strcmp0(status, "failed"))
        man->ended = true;
    if (!strcmp(subject, "MIGRATION:completed"))
        moment(man, "completed");
    struct tampering *tampering = man->migrates ? find(man, "event", subject, NULL) : NULL;
    struct tampering *after = man->migrates ? find(man, "after", subject, NULL) : NULL;
    if (tampering) {
        if (!pass_how(man, line, tampering->how)) {
            json_object_set_new(data, "status", json_string(tampering->how));
            g_autofree char *changed = json_dumps(message, JSON_COMPACT);
            pass_line(man, changed);
        }
        happened(tampering, subject);
    } else {
        pass_line(man, line);
    }
    if (after && !after->done) {
        pass_line(man, after->how);
        happened(after, "inserted");
    }
}

/* Sets the value at PATH, names with dots between them. A run state brings "running" with it. */
static void set_field(json_t *value, const char *path, const char *text)
{
    g_auto(GStrv) names = g_strsplit(path, ".", -1);
    const guint last = g_strv_length(names) - 1;
    for (guint i = 0; i < last; i++) {
        if (!json_object_get(value, names[i]))
            json_object_set_new(value, names[i], json_object());
        value = json_object_get(value, names[i]);
    }
    json_object_set_new(value, names[last], json_loads(text, JSON_DECODE_ANY, NULL));
    if (json_object_get(value, "running"))
        json_object_set_new(value, "running", json_boolean(!strcmp(text, "\"running\"")));
}

static void flip_saved(struct man *man)
{
    struct tampering *tampering = find(man, "pmemsave", "bit", NULL);
    const uint64_t gpa = man->guest.window_start + 5 * man->guest.page_size + 1000;
    if (!tampering || !man->ended || gpa < man->saved_at ||
        gpa - man->saved_at >= man->saved_length)
        return;
    unsigned char byte = 0;
    const int fd = open(man->saved, O_RDWR | O_CLOEXEC);
    const off_t at = (off_t)(gpa - man->saved_at);
    if (fd < 0 || pread(fd, &byte, 1, at) != 1)
        die(man->saved);
    byte ^= 0x10;
    if (pwrite(fd, &byte, 1, at) != 1)
        die(man->saved);
    close(fd);
    happened(tampering, "file changed");
}

static void pass_answer(struct man *man, const char *line, json_t *message)
{
    g_autofree char *id = json_dumps(json_object_get(message, "id"), JSON_ENCODE_ANY);
    g_autofree char *command = id ? g_strdup(g_hash_table_lookup(man->asked, id)) : NULL;
    const char *field = NULL;
    if (!command) {
        pass_line(man, line);
        return;
    }
    g_hash_table_remove(man->asked, id);
    if (!strcmp(command, "stop") && (man->incoming || man->ended))
        moment(man, "stop");
    if (!strcmp(command, "pmemsave"))
        flip_saved(man);
    const bool about = g_str_has_prefix(command, "query-");
    struct tampering *tampering =
        man->migrates && (!about || man->ended) ? find(man, "answer", command, &field) : NULL;
    json_t *value = json_object_get(message, "return");
    if (!tampering || (field && !value)) {
        pass_line(man, line);
        return;
    }
    if (field) {
        set_field(value, field, tampering->how);
        g_autofree char *changed = json_dumps(message, JSON_COMPACT);
        pass_line(man, changed);
    } else if (!pass_how(man, line, tampering->how)) {
        die(tampering->text);
    }
    happened(tampering, command);
}

static void take_from_qemu(struct man *man, const char *line)
{
    json_t *message = json_loads(line, 0, NULL);
    if (json_object_get(message, "event"))
        pass_event(man, line, message);
    else
        pass_answer(man, line, message);
    json_decref(message);
}

static void take_from_godwit(struct man *man, const char *line)
{
    json_t *message = json_loads(line, 0, NULL);
    const char *command = json_string_value(json_object_get(message, "execute"));
    const json_t *arguments = json_object_get(message, "arguments");
    char *id = json_dumps(json_object_get(message, "id"), JSON_ENCODE_ANY);
    if (command && id)
        g_hash_table_insert(man->asked, g_strdup(id), g_strdup(command));
    g_free(id);
    if (!g_strcmp0(command, "migrate") || !g_strcmp0(command, "migrate-incoming"))
        man->migrates = true;
    if (!g_strcmp0(command, "cont") && (man->incoming || man->ended))
        moment(man, "cont");
    if (!g_strcmp0(command, "pmemsave")) {
        g_free(man->saved);
        man->saved = g_strdup(json_string_value(json_object_get(arguments, "filename")));
        man->saved_at = (uint64_t)json_integer_value(json_object_get(arguments, "val"));
        man->saved_length = (uint64_t)json_integer_value(json_object_get(arguments, "size"));
    }
    json_decref(message);
    g_autofree char *whole = g_strconcat(line, "\n", NULL);
    write_all(man->qemu_qmp, whole, strlen(whole)); /* one that is gone shows by its end */
}

/* Reads what is there from FD, and hands whole lines to TAKE. False at the end. */
static bool read_lines(struct man *man, int fd, GString *buffer,
                       void (*take)(struct man *man, const char *line))
{
    char bytes[65536], *end;
    const ssize_t n = read(fd, bytes, sizeof(bytes));
    if (n <= 0)
        return n < 0 && errno == EINTR;
    g_string_append_len(buffer, bytes, n);
    while ((end = memchr(buffer->str, '\n', buffer->len))) {
        g_autofree char *line = g_strndup(buffer->str, (gsize)(end - buffer->str));
        g_string_erase(buffer, 0, end - buffer->str + 1);
        g_strchomp(line);
        take(man, line);
        while (take == take_from_qemu && !g_queue_is_empty(&man->waiting)) {
            g_autofree char *waited = g_queue_pop_head(&man->waiting);
            g_strchomp(waited);
            take(man, waited);
        }
    }
    /* What the man asked for because of a line of Godwit's. */
    while (!g_queue_is_empty(&man->waiting)) {
        g_autofree char *waited = g_queue_pop_head(&man->waiting);
        g_strchomp(waited);
        take_from_qemu(man, waited);
    }
    return true;
}

/* The console. Once a migration has ended; of the source, which may say nothing more then, at
 * once. */
static bool read_console(struct man *man)
{
    char bytes[4096];
    const ssize_t n = read(man->qemu_console, bytes, sizeof(bytes));
    if (n <= 0)
        return n < 0 && errno == EINTR;
    struct tampering *tampering = NULL;
    for (guint i = 0; i < man->tamperings->len && !tampering; i++) {
        struct tampering *t = g_ptr_array_index(man->tamperings, i);
        if (!strcmp(t->when, "console") && (!t->done || !strcmp(t->what, "mute")))
            tampering = t;
    }
    if (!tampering) {
        return write_all(man->godwit_console, bytes, (size_t)n);
    }
    if (!tampering->done)
        happened(tampering, "console");
    if (!strcmp(tampering->what, "mute"))
        return true;
    if (!strcmp(tampering->what, "drop"))
        return write_all(man->godwit_console, bytes + 1, (size_t)n - 1);
    const char *more = !strcmp(tampering->what, "double") ? bytes : tampering->what;
    return write_all(man->godwit_console, more, 1) &&
           write_all(man->godwit_console, bytes, (size_t)n);
}

static void forward(struct man *man)
{
    struct pollfd fds[] = {
        {man->godwit_qmp, POLLIN, 0}, {man->qemu_qmp, POLLIN, 0}, {man->qemu_console, POLLIN, 0}};
    while (fds[0].fd >= 0 && fds[1].fd >= 0) {
        const int n = poll(fds, G_N_ELEMENTS(fds), man->restless ? RESTLESS_MS : -1);
        if (man->restless)
            stir(man); /* until QEMU is gone */
        if (n < 0 && errno != EINTR)
            die("poll");
        if (n <= 0)
            continue;
        if (fds[2].revents && !read_console(man))
            fds[2].fd = -1;
        if (fds[1].revents && !read_lines(man, man->qemu_qmp, man->from_qemu, take_from_qemu))
            fds[1].fd = -1;
        if (fds[0].revents && !read_lines(man, man->godwit_qmp, man->from_godwit, take_from_godwit))
            fds[0].fd = -1;
    }
    /* What the guest said last. */
    while (fds[1].fd < 0 && fds[2].fd >= 0 && read_console(man))
        ;
}

/* The tamperings of $MITM for that side; NULL if nothing is to be relayed. */
static GPtrArray *tamperings_of(const char *side)
{
    const char *all = g_getenv("MITM");
    if (!all)
        return NULL;
    g_auto(GStrv) list = g_strsplit(all, "|", -1);
    GPtrArray *own = g_ptr_array_new();
    for (guint i = 0; list[i]; i++) {
        g_auto(GStrv) parts = g_strsplit(list[i], "/", 3);
        if (g_strv_length(parts) != 3 || strcmp(parts[0], side) != 0)
            continue;
        struct tampering *tampering = g_new0(struct tampering, 1);
        char *equals = strchr(parts[2], '=');
        tampering->text = g_strdup(list[i]);
        tampering->when = g_strdup(parts[1]);
        tampering->how = g_strdup(equals ? equals + 1 : "");
        tampering->what =
            equals ? g_strndup(parts[2], (gsize)(equals - parts[2])) : g_strdup(parts[2]);
        g_ptr_array_add(own, tampering);
    }
    return own;
}

/* A QEMU without a machine that is asked questions may claim another version. */
static bool claim_version(struct man *man, const char *folder)
{
    g_autofree char *path = g_build_filename(folder, "version", NULL);
    g_autofree char *version = NULL;
    int major, minor, micro;
    if (!g_file_get_contents(path, &version, NULL, NULL) ||
        sscanf(version, "%d.%d.%d", &major, &minor, &micro) != 3)
        return false;
    struct tampering *tampering = g_new0(struct tampering, 1);
    tampering->text = g_strdup("probe/answer/query-version");
    tampering->when = g_strdup("answer");
    tampering->what = g_strdup("query-version:qemu");
    tampering->how =
        g_strdup_printf("{\"major\": %d, \"minor\": %d, \"micro\": %d}", major, minor, micro);
    man->tamperings = g_ptr_array_new();
    g_ptr_array_add(man->tamperings, tampering);
    man->migrates = man->ended = true;
    return true;
}

static const char *value_of(char *const *argv, const char *option)
{
    for (; *argv; argv++)
        if (!strcmp(*argv, option))
            return argv[1];
    return NULL;
}

/* Puts one end of a new socket pair at FD, and returns the other; -1 if FD is not open. KEPT is
 * what FD was. */
static int step_between(int fd, int *kept)
{
    int pair[2];
    *kept = fcntl(fd, F_DUPFD_CLOEXEC, 10);
    if (*kept < 0)
        return -1;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) || dup2(pair[0], fd) < 0)
        die("socketpair");
    close(pair[0]);
    return pair[1];
}

/* Becomes the man in the middle, in a child; the caller is to become the QEMU. */
static void put_between(struct man *man)
{
    man->qemu_qmp = step_between(QMP_FD, &man->godwit_qmp);
    man->qemu_console = step_between(CONSOLE_FD, &man->godwit_console);
    man->qemu = getpid();
    if (man->qemu_qmp < 0)
        die("QMP");
    const pid_t child = fork();
    if (child < 0)
        die("fork");
    if (child > 0) {
        /* Where only ancestors may look into a process, the child may. */
        prctl(PR_SET_PTRACER, (unsigned long)child, 0, 0, 0);
        return;
    }
    close(QMP_FD);
    close(CONSOLE_FD);
    signal(SIGPIPE, SIG_IGN);
    forward(man);
    _exit(0);
}

int main(int argc, char **argv)
{
    (void)argc;
    g_autofree char *folder = g_path_get_dirname(argv[0]);
    g_autofree char *name = g_path_get_basename(argv[0]);
    g_autofree char *link = g_build_filename(folder, "real", NULL);
    /* Wrappers of QEMUs find their files by their own path. */
    g_autofree char *target = realpath(link, NULL);
    g_autofree char *real = g_build_filename(target ? target : link, name, NULL);
    const char *side = value_of(argv, "-name");
    struct man man = {
        .side = side,
        .incoming = value_of(argv, "-incoming") != NULL,
        .tamperings = side ? tamperings_of(side) : NULL,
        .from_godwit = g_string_new(NULL),
        .from_qemu = g_string_new(NULL),
        .waiting = G_QUEUE_INIT,
        .asked = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free),
    };
    if (side)
        describe_guest(&man, name + strlen("qemu-system-"));
    if (man.tamperings || (!side && claim_version(&man, folder)))
        put_between(&man);
    argv[0] = real;
    execv(real, argv);
    die(real);
}
