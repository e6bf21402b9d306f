/*
 * Two VMs without QEMUs, source and destination, whose guests have been stopped at the same place
 * of the `order` workload: what a faultless migration leaves behind, for tests to spoil.
 *
 *   RAM    "the.ram"   3 MiB and 3 pages, at BASE; the window is its second and third MiB
 *   ROM    "the.rom"   18 pages
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GODWIT_TESTS_UNIT_FAKE_PAIR_H
#define GODWIT_TESTS_UNIT_FAKE_PAIR_H

#include "fake_vm.h"

#include "godwit/guest_abi.h"

#define PAIR_BASE     UINT64_C(0x40000000)
#define PAIR_RAM      UINT64_C(0x303000)
#define PAIR_ROM      UINT64_C(0x12000)
#define PAIR_ALL      (PAIR_RAM + PAIR_ROM)
#define PAIR_PAGE     UINT64_C(4096)
#define PAIR_WINDOW   UINT64_C(0x100000) /* offset in RAM */
#define PAIR_PAGES    UINT64_C(512)
#define PAIR_MAILBOX  UINT64_C(0x10000) /* offset in RAM */
#define PAIR_PASSES   3                 /* the guest has made ... */
#define PAIR_POSITION 200               /* ... and pages of the next */

struct fake_pair {
    struct godwit_machine machine;
    struct godwit_image image;
    struct godwit_qemu source_qemu, destination_qemu;
    struct godwit_setup setup;
    struct godwit_testbed *testbed;
    struct fake_vm *source, *destination;
};

/* Puts a 32-bit or 64-bit field into both mailboxes, or into one VM's. */
static inline void fake_vm_mailbox(struct fake_vm *fake, bool big, size_t field, size_t size,
                                   uint64_t value)
{
    for (size_t i = 0; i < size; i++)
        fake->memory[PAIR_MAILBOX + field + (big ? size - 1 - i : i)] =
            (unsigned char)(value >> (8 * i));
}

#define MAILBOX_SET(pair, side, NAME, value)                                                       \
    fake_vm_mailbox((pair)->side, (pair)->machine.big_endian, GODWIT_MAILBOX_OFF_##NAME,           \
                    GODWIT_MAILBOX_OFF_##NAME < GODWIT_MAILBOX_OFF_PASSES ? 4 : 8, value)

/* The memory of a guest that has made that many increments, whose mailbox knows all of them. */
static inline void fake_vm_fill(struct fake_pair *pair, struct fake_vm *fake, uint64_t increments)
{
    const bool big = pair->machine.big_endian;
    for (size_t i = 0; i < PAIR_ALL; i++)
        fake->memory[i] = (unsigned char)(i * 17 + i / 4096);
    for (uint64_t page = 0; page < PAIR_PAGES; page++)
        fake->memory[PAIR_WINDOW + page * PAIR_PAGE] =
            (unsigned char)(increments / PAIR_PAGES + (page < increments % PAIR_PAGES));
    const struct {
        size_t field, size;
        uint64_t value;
    } fields[] = {
        {GODWIT_MAILBOX_OFF_MAGIC, 4, GODWIT_MAILBOX_MAGIC},
        {GODWIT_MAILBOX_OFF_STATE, 4, GODWIT_STATE_RUNNING},
        {GODWIT_MAILBOX_OFF_PASSES, 8, increments / PAIR_PAGES},
        {GODWIT_MAILBOX_OFF_POSITION, 8,
         PAIR_BASE + PAIR_WINDOW + increments % PAIR_PAGES * PAIR_PAGE},
        {GODWIT_MAILBOX_OFF_TIMER, 8, 123456789},
        {GODWIT_MAILBOX_OFF_FAULT_ADDRESS, 8, 0},
        {GODWIT_MAILBOX_OFF_FAULT_EXPECTED, 8, 0},
        {GODWIT_MAILBOX_OFF_FAULT_FOUND, 8, 0},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(fields); i++)
        fake_vm_mailbox(fake, big, fields[i].field, fields[i].size, fields[i].value);
}

static inline struct fake_vm *fake_pair_vm(struct fake_pair *pair, const char *name,
                                           const struct godwit_qemu *qemu)
{
    struct fake_vm *fake = fake_vm_new(pair->testbed, name, qemu, PAIR_ALL);
    fake->memory_gpa = PAIR_BASE;
    fake_vm_fill(pair, fake, PAIR_PASSES * PAIR_PAGES + PAIR_POSITION);
    return fake;
}

/* A pair whose RAM blocks are not known yet: fake_pair_blocks() makes them known. */
static inline struct fake_pair *fake_pair_new(void **state, bool big_endian, bool pmemsave)
{
    struct fake_pair *pair = g_new0(struct fake_pair, 1);
    pair->machine = (struct godwit_machine){
        .arch = "some-arch", .ram_base = PAIR_BASE, .memory_mib = 4, .big_endian = big_endian};
    pair->image = (struct godwit_image){
        .name = "none", .mailbox = PAIR_BASE + PAIR_MAILBOX, .max_cpus = GODWIT_MAX_CPUS};
    pair->source_qemu.version = pair->destination_qemu.version = g_strdup("9.2.0");
    pair->setup = (struct godwit_setup){
        .machine = &pair->machine,
        .image = &pair->image,
        .accel = "tcg",
        .memory_mib = 4,
        .source = &pair->source_qemu,
        .destination = &pair->destination_qemu,
        .workload = {.window_start = PAIR_BASE + PAIR_WINDOW,
                     .window_end = PAIR_BASE + PAIR_WINDOW + PAIR_PAGES * PAIR_PAGE,
                     .page_size = PAIR_PAGE,
                     .passes_per_report = 1,
                     .cpus = 1},
        .timeout_scale = 1,
        .pmemsave = pmemsave,
    };
    pair->testbed = godwit_testbed_new(&pair->setup, *state);
    pair->source = fake_pair_vm(pair, "source", &pair->source_qemu);
    pair->destination = fake_pair_vm(pair, "destination", &pair->destination_qemu);
    return pair;
}

/* Both have RAM and ROM; whether QEMU says where. (pmemsave finds the ROM right behind the RAM.) */
static inline void fake_pair_blocks(struct fake_pair *pair, bool at_hva)
{
    struct fake_vm *const both[] = {pair->source, pair->destination};
    for (size_t i = 0; i < G_N_ELEMENTS(both); i++) {
        fake_vm_block(both[i], "the.ram", 0, PAIR_RAM, at_hva, PAIR_BASE);
        fake_vm_block(both[i], "the.rom", PAIR_RAM, PAIR_ROM, at_hva, PAIR_BASE + PAIR_RAM);
    }
}

static inline void fake_pair_free(struct fake_pair *pair)
{
    godwit_testbed_free(pair->testbed);
    fake_vm_free(pair->source);
    fake_vm_free(pair->destination);
    g_free(pair->source_qemu.version);
    g_free(pair);
}

#endif
