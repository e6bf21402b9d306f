/*
 * Identity of the CPU: the guest's own C code fills and refreshes its table here, on a CPU that
 * changes; the oracle compares tables in the memory of two VMs; and each machine names its
 * registers.
 *
 * SPDX-License-Identifier: MIT
 */
#include "oracle/identity.h"

#include "oracle/ledger.h"
#include "testbed/measured.h"

#include "fake_pair.h"

#include "../../workload/identify.c"

/* ------------------------------------------------------------------------ the guest's code -- */

#define TABLE_SIZE (GODWIT_IDENTITY_OFFSET + GODWIT_IDENTITY_ROOM)

/* The CPU under the code. */
static struct {
    uint64_t registers; /* how many it has; their selectors are 1, 2, 3 ... */
    uint64_t changed;   /* selector of one that has another value; 0: none */
    unsigned steps;
    unsigned char *ram;
} cpu;

void machine_step(void)
{
    cpu.steps++;
}

uint64_t machine_timer(void)
{
    return 0;
}

void machine_store(volatile uint64_t *at, uint64_t word)
{
    *at = word;
}

uint64_t machine_register_after(uint64_t selector)
{
    return selector < cpu.registers ? selector + 1 : 0;
}

uint64_t machine_register(uint64_t selector, void *scratch)
{
    assert_ptr_equal(scratch, cpu.ram + TABLE_SIZE - GODWIT_IDENTITY_SCRATCH);
    memset(scratch, 0xee, GODWIT_IDENTITY_SCRATCH);
    return selector * 1000 + (selector == cpu.changed);
}

static const struct godwit_mailbox *mailbox(void)
{
    return (const struct godwit_mailbox *)(cpu.ram + GODWIT_MAILBOX_OFFSET);
}

static const struct godwit_identity_entry *entry_at(uint32_t index)
{
    return (const struct godwit_identity_entry *)(cpu.ram + GODWIT_IDENTITY_OFFSET +
                                                  GODWIT_IDENTITY_OFF_ENTRIES) +
           index;
}

static const struct godwit_identity *table(void)
{
    return (const struct godwit_identity *)(cpu.ram + GODWIT_IDENTITY_OFFSET);
}

/* Starts the guest on a CPU with that many registers. */
static void boot(uint64_t registers)
{
    g_free(cpu.ram);
    cpu.ram = g_malloc(TABLE_SIZE);
    memset(cpu.ram, 0xa5, TABLE_SIZE);
    cpu.registers = registers;
    cpu.changed = 0;
    cpu.steps = 0;
    godwit_identify_start(mailbox());
    assert_true(cpu.steps > 0);
}

static void test_start(void **state)
{
    (void)state;
    static const uint64_t numbers[] = {1, 7, GODWIT_IDENTITY_MAX, GODWIT_IDENTITY_MAX + 9};
    for (size_t i = 0; i < G_N_ELEMENTS(numbers); i++) {
        boot(numbers[i]);
        assert_int_equal(table()->magic, GODWIT_IDENTITY_MAGIC);
        assert_int_equal(table()->count, MIN(numbers[i], GODWIT_IDENTITY_MAX));
        for (uint32_t n = 0; n < table()->count; n++) {
            assert_int_equal(entry_at(n)->selector, n + 1);
            assert_int_equal(entry_at(n)->start, (n + 1) * 1000);
            assert_int_equal(entry_at(n)->last, (n + 1) * 1000);
        }
        /* It writes nothing beside the table and its scratch page. */
        for (size_t at = 0; at < GODWIT_IDENTITY_OFFSET; at++)
            assert_int_equal(cpu.ram[at], 0xa5);
    }
}

/* A change stays in the table, and nothing else in it is ever written. */
static void test_again(void **state)
{
    (void)state;
    boot(100);
    g_autofree unsigned char *before = g_memdup2(cpu.ram, TABLE_SIZE);
    godwit_identify_again(mailbox());
    assert_memory_equal(cpu.ram, before, TABLE_SIZE);
    cpu.changed = 42;
    godwit_identify_again(mailbox());
    assert_int_equal(entry_at(41)->start, 42000);
    assert_int_equal(entry_at(41)->last, 42001);
    cpu.changed = 0;
    godwit_identify_again(mailbox());
    assert_int_equal(entry_at(41)->last, 42001);
    for (uint32_t n = 0; n < 100; n++)
        if (n != 41)
            assert_memory_equal(entry_at(n),
                                before + ((const unsigned char *)entry_at(n) - cpu.ram),
                                GODWIT_IDENTITY_ENTRY_SIZE);
    g_clear_pointer(&cpu.ram, g_free);
}

/* ---------------------------------------------------------------------------- the comparison -- */

static void name_register(GString *text, uint64_t selector, uint64_t before, uint64_t after)
{
    g_string_append_printf(text, "r%" PRIu64 ": %" PRIu64 " -> %" PRIu64, selector, before, after);
}

static void test_compare(void **state)
{
    (void)state;
    static const struct godwit_machine machine = {.identity_text = name_register};
    static const struct {
        const char *changes; /* a letter for each register, see below */
        uint32_t judged;
        const char *text;
    } rows[] = {
        {"........", 8, NULL},
        {"d.......", 8, "r1: 1000 -> 1001"},
        {".......d", 8, "r8: 8000 -> 8001"},
        {".d....d.", 8, "r2: 2000 -> 2001, r7: 7000 -> 7001"},
        {"ddddd...", 8,
         "r1: 1000 -> 1001, r2: 2000 -> 2001, r3: 3000 -> 3001, r4: 4000 -> 4001, "
         "r5: 5000 -> 5001"},
        {"dddddd.d", 8,
         "r1: 1000 -> 1001, r2: 2000 -> 2001, r3: 3000 -> 3001, r4: 4000 -> 4001, "
         "r5: 5000 -> 5001, and 2 more"},
        {"..b.....", 7, NULL},
        {"..b..d..", 7, "r6: 6000 -> 6001"},
        {"..s.....", 8, "entry 2: selector 0x3 -> 0x63"},
        {"bbbbbbbb", 0, NULL},
        {"", 0, NULL},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        const uint32_t count = (uint32_t)strlen(rows[i].changes);
        struct godwit_identity_entry source[8], destination[8];
        uint32_t judged = 77;
        for (uint32_t n = 0; n < count; n++) {
            source[n] = destination[n] = (struct godwit_identity_entry){
                .selector = n + 1, .start = (n + 1) * 1000, .last = (n + 1) * 1000};
            switch (rows[i].changes[n]) {
            case 'd': /* changes on the destination */
                destination[n].last++;
                break;
            case 'b': /* changes before, and again */
                source[n].last++;
                destination[n].last += 2;
                break;
            case 's': /* another register */
                destination[n].selector = 99;
                break;
            default:
                break;
            }
        }
        g_autofree char *text =
            godwit_identity_compare(&machine, source, destination, count, &judged);
        assert_int_equal(judged, rows[i].judged);
        if (rows[i].text)
            assert_string_equal(text, rows[i].text);
        else
            assert_null(text);
    }
}

/* --------------------------------------------------------------------- in the guest's memory -- */

#define TABLE GODWIT_IDENTITY_OFFSET /* offset in RAM */

static void put(struct fake_pair *pair, struct fake_vm *fake, size_t at, size_t size,
                uint64_t value)
{
    for (size_t i = 0; i < size; i++)
        fake->memory[TABLE + at + (pair->machine.big_endian ? size - 1 - i : i)] =
            (unsigned char)(value >> (8 * i));
}

/* Puts entry INDEX into a VM's table. */
static void put_entry(struct fake_pair *pair, struct fake_vm *fake, uint32_t index, uint64_t start,
                      uint64_t last)
{
    const size_t at = GODWIT_IDENTITY_OFF_ENTRIES + index * GODWIT_IDENTITY_ENTRY_SIZE;
    put(pair, fake, at + GODWIT_IDENTITY_OFF_SELECTOR, 8, index + 1);
    put(pair, fake, at + GODWIT_IDENTITY_OFF_START, 8, start);
    put(pair, fake, at + GODWIT_IDENTITY_OFF_LAST, 8, last);
}

#define ENTRIES 3

/* A pair whose guest has a table of three registers, as it is after a faultless migration. */
static struct fake_pair *pair_new(void **state, bool big_endian)
{
    struct fake_pair *pair = fake_pair_new(state, big_endian, false);
    struct fake_vm *const both[] = {pair->source, pair->destination};
    fake_pair_blocks(pair, true);
    pair->machine.identity_text = name_register;
    pair->image.identity = PAIR_BASE + TABLE;
    pair->setup.workload.flags |= GODWIT_FLAG_IDENTIFY;
    for (size_t i = 0; i < G_N_ELEMENTS(both); i++) {
        put(pair, both[i], GODWIT_IDENTITY_OFF_MAGIC, 4, GODWIT_IDENTITY_MAGIC);
        put(pair, both[i], GODWIT_IDENTITY_OFF_COUNT, 4, ENTRIES);
        for (uint32_t n = 0; n < ENTRIES; n++)
            put_entry(pair, both[i], n, UINT64_C(0x123456789abcdef0) + n,
                      UINT64_C(0x123456789abcdef0) + n);
    }
    return pair;
}

static bool judge(struct fake_pair *pair, GError **error)
{
    return godwit_oracle_identity(pair->source->vm, pair->destination->vm, error);
}

/* Fails if the pair is not judged wrong, in these words. Frees it. */
static void expect_wrong(struct fake_pair *pair, const char *text)
{
    g_autoptr(GError) error = NULL;
    assert_false(judge(pair, &error));
    assert_true(g_error_matches(error, GODWIT_ERROR, GODWIT_ERROR_ORACLE));
    assert_string_equal(error->message, text);
    assert_int_equal(godwit_oracle_accused(pair->testbed), GODWIT_ORACLE_IDENTITY);
    fake_pair_free(pair);
}

static void test_oracle(void **state)
{
    for (int big = 0; big < 2; big++) {
        struct fake_pair *pair = pair_new(state, big);
        assert_true(judge(pair, NULL));
        g_autoptr(json_t) judged = godwit_oracles_judged(pair->testbed);
        g_autofree char *text = json_dumps(judged, JSON_COMPACT);
        assert_string_equal(text, "[{\"name\":\"identity\",\"bytes\":24,\"registers\":3}]");
        put_entry(pair, pair->destination, 1, UINT64_C(0x123456789abcdef1), 5);
        expect_wrong(pair, "destination: the CPU identifies itself to the guest differently than "
                           "on the source: r2: 1311768467463790321 -> 5");
    }
}

/* A register that changes without a migration is counted, and not judged. */
static void test_unsteady(void **state)
{
    struct fake_pair *pair = pair_new(state, false);
    put_entry(pair, pair->source, 1, 5, 6);
    put_entry(pair, pair->destination, 1, 5, 7);
    assert_true(judge(pair, NULL));
    assert_int_equal(
        godwit_json_integer(godwit_testbed_measured(pair->testbed), "identity_unsteady", 0), 1);
    fake_pair_free(pair);
}

static void test_no_table(void **state)
{
    struct fake_pair *pair = pair_new(state, false);
    put(pair, pair->destination, GODWIT_IDENTITY_OFF_MAGIC, 4, 1);
    expect_wrong(pair,
                 "destination: no identity table at 0x40040000: its magic is 0x00000001 instead of "
                 "0x47444944, and it has 3 entries of at most 1024");
    pair = pair_new(state, true);
    put(pair, pair->source, GODWIT_IDENTITY_OFF_COUNT, 4, GODWIT_IDENTITY_MAX + 1);
    expect_wrong(pair,
                 "source: no identity table at 0x40040000: its magic is 0x47444944 instead of "
                 "0x47444944, and it has 1025 entries of at most 1024");
    pair = pair_new(state, true);
    put(pair, pair->source, GODWIT_IDENTITY_OFF_COUNT, 4, 0);
    expect_wrong(pair,
                 "source: no identity table at 0x40040000: its magic is 0x47444944 instead of "
                 "0x47444944, and it has 0 entries of at most 1024");
    pair = pair_new(state, false);
    put(pair, pair->destination, GODWIT_IDENTITY_OFF_COUNT, 4, 2);
    expect_wrong(pair, "destination: the identity table has 2 entries, on the source 3");
}

/* It does not judge without the oracle, without the flag, or with an image without a table. */
static void test_not_judged(void **state)
{
    for (int why = 0; why < 3; why++) {
        struct fake_pair *pair = pair_new(state, false);
        put_entry(pair, pair->destination, 1, 5, 6);
        assert_false(judge(pair, NULL));
        if (why == 0)
            pair->setup.oracles_off = 1u << GODWIT_ORACLE_IDENTITY;
        else if (why == 1)
            pair->setup.workload.flags &= ~(uint32_t)GODWIT_FLAG_IDENTIFY;
        else
            pair->image.identity = 0;
        assert_true(judge(pair, NULL));
        fake_pair_free(pair);
    }
}

/* ------------------------------------------------------------------------------ the machines -- */

static void test_names(void **state)
{
    (void)state;
    static const struct {
        const char *arch;
        uint64_t selector, before, after;
        const char *text;
    } rows[] = {
        {"x86_64", UINT64_C(0x8000000000000007), UINT64_C(0x100000002), UINT64_C(0x300000002),
         "CPUID 0x7.0 EBX: 0x00000001 -> 0x00000003"},
        {"x86_64", UINT64_C(0x8000000000000007), UINT64_C(0x100000002), UINT64_C(0x300000004),
         "CPUID 0x7.0 EAX: 0x00000002 -> 0x00000004, CPUID 0x7.0 EBX: 0x00000001 -> 0x00000003"},
        {"i386", UINT64_C(0x8001000180000001), 0, UINT64_C(0xf),
         "CPUID 0x80000001.1 ECX: 0x00000000 -> 0x0000000f"},
        {"i386", UINT64_C(0x8001000000000001), 0, UINT64_C(0xf00000000),
         "CPUID 0x1.0 EDX: 0x00000000 -> 0x0000000f"},
        {"aarch64", UINT64_C(0x800000000000c000), 1, 2, "MIDR_EL1: 0x1 -> 0x2"},
        {"aarch64", UINT64_C(0x800000000000c020), 1, 2, "ID_AA64PFR0_EL1: 0x1 -> 0x2"},
        {"aarch64", UINT64_C(0x800000000000c03f), 1, 2, "S3_0_C0_C7_7: 0x1 -> 0x2"},
        {"aarch64", UINT64_C(0x800000000003c800), 1, 2,
         "CCSIDR_EL1 with CSSELR_EL1 0x3: 0x1 -> 0x2"},
        {"loongarch64", UINT64_C(0x8000000000000000), 1, 2, "CPUCFG.0x0: 0x1 -> 0x2"},
        {"loongarch64", UINT64_C(0x8000000000000014), 1, 2, "CPUCFG.0x14: 0x1 -> 0x2"},
        {"loongarch64", UINT64_C(0x8000000000010021), 1, 2, "CSR.PRCFG1: 0x1 -> 0x2"},
        {"loongarch64", UINT64_C(0x8000000000020008), 1, 0, "IOCSR features: 0x1 -> 0x0"},
        {"riscv64", UINT64_C(0x8000000000000301), 1, 2, "misa: 0x1 -> 0x2"},
        {"riscv64", UINT64_C(0x8000000000000c22), 16, UINT64_MAX, "vlenb: 0x10 -> missing"},
        {"riscv64", UINT64_C(0x8000000000010000), 1, 0, "Zba: 0x1 -> 0x0"},
        {"ppc64", UINT64_C(0x800000000000011f), 1, 2, "PVR: 0x1 -> 0x2"},
        {"ppc64", UINT64_C(0x80000201000001c8), 1, 2, "H_GET_CPU_CHARACTERISTICS r5: 0x1 -> 0x2"},
        {"s390x", UINT64_C(0x8000000100000000), 1, 2, "STIDP: 0x1 -> 0x2"},
        {"s390x", UINT64_C(0x8000000200000001), 1, 2, "STFLE doubleword 1: 0x1 -> 0x2"},
        {"s390x", UINT64_C(0x80000003b93e0001), 1, 2, "KIMD functions, doubleword 1: 0x1 -> 0x2"},
        {"s390x", UINT64_C(0x8000000411010004), 1, 2, "STSI 1.1.1 byte 32: 0x1 -> 0x2"},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autoptr(GString) text = g_string_new(NULL);
        const struct godwit_machine *machine = godwit_machine_find(rows[i].arch);
        machine->identity_text(text, rows[i].selector, rows[i].before, rows[i].after);
        assert_string_equal(text->str, rows[i].text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_start),      cmocka_unit_test(test_again),
        cmocka_unit_test(test_compare),    cmocka_unit_test(test_oracle),
        cmocka_unit_test(test_unsteady),   cmocka_unit_test(test_no_table),
        cmocka_unit_test(test_not_judged), cmocka_unit_test(test_names),
    };
    return cmocka_run_group_tests(tests, unit_folder, unit_folder_end);
}
