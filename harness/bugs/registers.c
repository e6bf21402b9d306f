/*
 * Known bugs of devices that lose registers, or save what they do not load. Only a write to the
 * register shows them; docs/known-bugs/registers.py does that without Godwit.
 *
 * A bug is recognised by what is lost, registers or fields of the state: all of it must be its own.
 *
 * SPDX-License-Identifier: MIT
 */
#include "bugs/bugs.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

/* A register: a pattern with * and ? for the device's type, the region's name, and the first and
 * last offset in the region. */
struct place {
    const char *device, *region;
    unsigned first, last;
};

/* The devices that save nothing, or not what PCI keeps of them, and do not keep the machine from
 * being migrated. The destination has them as they are after a reset. */
static const char *const stateless[] = {
    "acpi-erst",  "AMDVI-PCI", "ati-vga",     "cxl-downstream", "cxl-rp",          "cxl-upstream",
    "edu",        "pxb",       "pci-testdev", "pxb-cxl",        "iommu-testdev",   "isa-applesmc",
    "pc-testdev", "pxb-pcie",  "sdhci-pci",   "sii3112",        "virtio-pmem-pci", NULL,
};

/* The driver's sizes of a sense buffer and of a command block. */
static const struct place scsi_sizes[] = {
    {"virtio-scsi-pci*", "virtio-pci-device-virtio-scsi", 0x14, 0x1b},
    {"virtio-scsi-pci*", "virtio-pci", 0x28, 0x2f}, /* 0x14 bytes of header before them ... */
    {"virtio-scsi-pci*", "virtio-pci", 0x2c, 0x33}, /* ... or 4 more with MSI-X */
};

/* Whether the driver has switched the write cache off. */
static const struct place blk_cache[] = {
    {"virtio-blk-pci*", "virtio-pci-device-virtio-blk", 0x20, 0x20},
    {"virtio-blk-pci*", "virtio-pci", 0x34, 0x34},
    {"virtio-blk-pci*", "virtio-pci", 0x38, 0x38},
};

/* EHCI reserves these; QEMU lets them be written and read. */
static const struct place ehci_reserved[] = {
    {"*ehci*", "operational", 0x1c, 0x3f},
};

/* The high byte of a transfer's length, which reads as the chip's number until it is written, and
 * the register for the control of bus and DMA (SBAC). */
static const struct place esp_registers[] = {
    {"am53c974", "esp-io", 0x38, 0x38},
    {"dc390", "esp-io", 0x38, 0x38},
    {"am53c974", "esp-io", 0x70, 0x73},
    {"dc390", "esp-io", 0x70, 0x73},
};

/* The MAC address that the driver has set, in two registers. */
static const struct place vmxnet3_mac[] = {
    {"vmxnet3", "vmxnet3-b1", 0x28, 0x2f},
    {"vmxnet3", "vmxnet3-b1", 0x30, 0x37},
};

/* Which channels of the PC's DMA controllers are requested, and which have come to their end. */
static const struct place dma_status[] = {
    {"i8257", "dma-cont", 0x0, 0x1},
};

/* A timer more than an HPET with three timers has: the check of the number is off by one. */
static const struct place hpet_timer[] = {
    {"hpet", "hpet", 0x160, 0x17f},
};

/* Behind the last register, where QEMU reads whatever its heap has there. */
static const struct place beyond[] = {
    {"xlnx.ps7-spi", "spi", 0x100, 0xfff},
    {"imx.usbphy", "imx-usbphy", 0x84, 0xfff},
};

static bool is_at(const struct godwit_symptom_register *lost, const struct place *place)
{
    const char *offset = strrchr(lost->where, ' ');
    unsigned at;
    g_autofree char *region =
        offset ? g_strndup(lost->where, (gsize)(offset - lost->where)) : g_strdup("");
    return offset && sscanf(offset, " 0x%x", &at) == 1 && at >= place->first && at <= place->last &&
           g_pattern_match_simple(place->device, lost->device) && !strcmp(place->region, region);
}

/* Returns whether something is lost, and IS_OWN says of all of it that it is the bug's. */
static bool are_own(const struct godwit_symptom *symptom,
                    bool (*is_own)(const struct godwit_symptom_register *lost))
{
    for (size_t i = 0; i < symptom->lost_count; i++)
        if (!is_own(&symptom->lost[i]))
            return false;
    return symptom->lost_count > 0;
}

/* Returns whether each lost register is one of COUNT PLACES, and there is one. */
static bool are_at(const struct godwit_symptom *symptom, const struct place *places, size_t count,
                   char **seen)
{
    for (size_t i = 0; i < symptom->lost_count; i++) {
        size_t p = 0;
        while (p < count && !is_at(&symptom->lost[i], &places[p]))
            p++;
        if (p == count)
            return false;
    }
    if (symptom->lost_count)
        *seen = g_strdup_printf("%s has lost %s", symptom->lost[0].device, symptom->lost[0].where);
    return symptom->lost_count > 0;
}

static bool has_no_state(const struct godwit_symptom_register *lost)
{
    return g_strv_contains(stateless, lost->device);
}

static bool is_stateless(const struct godwit_symptom *symptom, char **seen)
{
    if (!are_own(symptom, has_no_state))
        return false;
    *seen = g_strdup_printf("registers of %s are those of a device after a reset",
                            symptom->lost[0].device);
    return true;
}

static bool is_scsi_sizes(const struct godwit_symptom *symptom, char **seen)
{
    return are_at(symptom, scsi_sizes, G_N_ELEMENTS(scsi_sizes), seen);
}

static bool is_blk_cache(const struct godwit_symptom *symptom, char **seen)
{
    return are_at(symptom, blk_cache, G_N_ELEMENTS(blk_cache), seen);
}

static bool is_ehci(const struct godwit_symptom *symptom, char **seen)
{
    return are_at(symptom, ehci_reserved, G_N_ELEMENTS(ehci_reserved), seen);
}

static bool is_esp(const struct godwit_symptom *symptom, char **seen)
{
    return are_at(symptom, esp_registers, G_N_ELEMENTS(esp_registers), seen);
}

static bool is_beyond(const struct godwit_symptom *symptom, char **seen)
{
    return are_at(symptom, beyond, G_N_ELEMENTS(beyond), seen);
}

static bool is_dma_status(const struct godwit_symptom *symptom, char **seen)
{
    return are_at(symptom, dma_status, G_N_ELEMENTS(dma_status), seen);
}

static bool is_vmxnet3_mac(const struct godwit_symptom *symptom, char **seen)
{
    return are_at(symptom, vmxnet3_mac, G_N_ELEMENTS(vmxnet3_mac), seen);
}

static bool is_hpet_timer(const struct godwit_symptom *symptom, char **seen)
{
    return are_at(symptom, hpet_timer, G_N_ELEMENTS(hpet_timer), seen);
}

/* Reads both values of TEXT, "... 0x1 -> 0x2". Returns false if it has none. */
static bool read_values(const char *text, uint32_t *before, uint32_t *after)
{
    const char *arrow = strstr(text, " -> ");
    const char *first = arrow ? g_strrstr_len(text, arrow - text, " ") : NULL;
    return first && sscanf(first, " 0x%" SCNx32 " -> 0x%" SCNx32, before, after) == 2;
}

/* Returns whether PATTERN, a regular expression, describes what is lost. */
static bool is_lost(const struct godwit_symptom_register *lost, const char *pattern)
{
    return lost->text && g_regex_match_simple(pattern, lost->text, 0, 0);
}

/* The mode of an interrupt, which is set by a reset and which no guest can write. Loading writes
 * the register as a guest does. */
static bool is_openpic_mode(const struct godwit_symptom_register *lost)
{
    enum { MODE = 0x20000000 };
    uint32_t before, after;
    return (is_lost(lost, "^openpic \\d+: src\\[\\d+\\]\\.ivpr 0x") ||
            is_lost(lost, "^openpic, (src|glb) 0x[0-9a-f]+ \\(memory 0x[0-9a-f]+\\): 0x")) &&
           read_values(lost->text, &before, &after) && before == (after | MODE) && before != after;
}

static bool is_openpic(const struct godwit_symptom *symptom, char **seen)
{
    if (!are_own(symptom, is_openpic_mode))
        return false;
    *seen = g_strdup(symptom->lost[0].text);
    return true;
}

/* An idle I2C bus that has an address after it was loaded, and a pin of the GPIO with another
 * level. */
static bool is_pxa_state(const struct godwit_symptom_register *lost)
{
    return is_lost(lost, "^i2c_bus \\d+: saved_address 0xff -> 0x00$") ||
           is_lost(lost, "^pxa2xx-gpio \\d+: ilevel\\[0\\] 0x00000000 -> 0x00000800$") ||
           is_lost(lost, "^pxa2xx-gpio, pxa2xx-gpio 0x0 \\(memory 0x40e00000\\): 0x00000000 -> "
                         "0x00000800$");
}

static bool is_pxa(const struct godwit_symptom *symptom, char **seen)
{
    static const char *const boards[] = {"akita",   "borzoi", "connex", "mainstone", "spitz",
                                         "terrier", "tosa",   "verdex", "z2",        NULL};
    if (!g_strv_contains(boards, symptom->text) || !are_own(symptom, is_pxa_state))
        return false;
    *seen = g_strdup(symptom->lost[0].text);
    return true;
}

/* Pins of the GPIO that are high once it was loaded; and what is behind the last channel of a DMA
 * controller, where QEMU reads whatever it finds. */
static bool is_omap_state(const struct godwit_symptom_register *lost)
{
    uint32_t before, after;
    if (is_lost(lost, "^omap\\.dma4 0x[c-e][0-9a-f]{2} \\(memory 0x[0-9a-f]+\\): 0x"))
        return true;
    if (!is_lost(lost, "^omap-gpio, omap\\.gpio 0x0 \\(memory 0x[0-9a-f]+\\): 0x") &&
        !is_lost(lost, "^omap2-gpio, omap\\.gpio-module 0x38 \\(memory 0x[0-9a-f]+\\): 0x"))
        return false;
    static const uint32_t pins[] = {0x40, 0x04000000, 0x20000000};
    for (size_t i = 0; i < G_N_ELEMENTS(pins); i++)
        if (read_values(lost->text, &before, &after) && after == (before | pins[i]) &&
            after != before)
            return true;
    return false;
}

static bool is_omap(const struct godwit_symptom *symptom, char **seen)
{
    static const char *const boards[] = {"cheetah", "n800", "n810", NULL};
    if (!g_strv_contains(boards, symptom->text) || !are_own(symptom, is_omap_state))
        return false;
    *seen = g_strdup(symptom->lost[0].text);
    return true;
}

/* Which part of the configuration its driver has selected, and how often it has changed; and an
 * interrupt that a device must not raise while it is no bus master, and which loading raises.
 * virtio saves its state as one field. */
static bool is_virtio_config_state(const struct godwit_symptom_register *lost)
{
    return is_lost(lost, "^virtio-[a-z]+-pci, virtio-pci-common-virtio-input 0x15 ") ||
           is_lost(lost, "^virtio-[a-z]+-pci, virtio-pci-device-virtio-input 0x[0-9a-f]+ "
                         "\\(memory 0x[0-9a-f]+\\): 0x[0-9a-f]+ -> 0x0+$") ||
           is_lost(lost, "^virtio-[a-z]+-pci, [0-9a-f:.]+ config 0x4: 0x0010[0-9a-f]{4} -> "
                         "0x0018[0-9a-f]{4}$") ||
           is_lost(lost, "^PCIBUS \\d+: irq_count\\[\\d\\] 0x00000000 -> 0x00000001$") ||
           is_lost(lost, "/virtio-input \\d+: virtio \\d+ bytes, at \\d+: 0x0{32}\\.\\.\\. -> ");
}

static bool is_virtio_config(const struct godwit_symptom *symptom, char **seen)
{
    if (!symptom->poked || !are_own(symptom, is_virtio_config_state))
        return false;
    *seen = g_strdup(symptom->lost[0].text);
    return true;
}

/* The interrupt of a card with CAN controllers: bit 23 of a bridge's INTCSR, bit 3 of the PCI
 * status register, and what PCI keeps of it. Loading evaluates each controller's anew; two of them
 * drive one line, and the last one wins. */
static bool is_can_irq_state(const struct godwit_symptom_register *lost)
{
    return is_lost(lost, "^kvaser_pci, kvaser_pci-s5920 0x38 ") ||
           is_lost(lost, "^(kvaser|mioe3680|pcm3680)_pci, [0-9a-f:.]+ config 0x4: "
                         "0x00(00|08)[0-9a-f]{4} -> 0x00(00|08)[0-9a-f]{4}$") ||
           is_lost(lost, "/(kvaser|mioe3680|pcm3680i)_pci \\d+: dev\\.irq_state ") ||
           is_lost(lost,
                   "/(kvaser|mioe3680|pcm3680i)_pci \\d+: dev\\.config\\[0\\] 256 bytes, at 6: "
                   "0x0[08][0-9a-f]+\\.\\.\\. -> 256 bytes, at 6: 0x0[08]") ||
           is_lost(lost, "^PCIBUS \\d+: irq_count\\[\\d\\] 0x0000000[01] -> 0x0000000[01]$");
}

static bool is_can_irq(const struct godwit_symptom *symptom, char **seen)
{
    static const char *const cards[] = {"kvaser_pci", "mioe3680_pci", "pcm3680_pci", NULL};
    if (!g_strv_contains(cards, symptom->text) || !are_own(symptom, is_can_irq_state))
        return false;
    *seen = g_strdup(symptom->lost[0].text);
    return true;
}

/* A guest has disabled the SMBus by its configuration space. Loading does not look at the bit, so
 * the destination has the registers all the same. */
static bool is_smbus_state(const struct godwit_symptom_register *lost)
{
    return is_lost(lost, "^ICH9-SMB, pm-smbus, 0x[0-9a-f]+ bytes at port 0x[0-9a-f]+: "
                         "only the destination has it there$");
}

static bool is_smbus(const struct godwit_symptom *symptom, char **seen)
{
    if (!are_own(symptom, is_smbus_state))
        return false;
    *seen = g_strdup(symptom->lost[0].text);
    return true;
}

/* Loading computes the interrupt status anew, from that of the streams. */
static bool is_hda_state(const struct godwit_symptom_register *lost)
{
    return is_lost(lost, "/intel-hda \\d+: int_sts 0x[0-9a-f]{8} -> 0x") ||
           is_lost(lost, "^(ich9-)?intel-hda, intel-hda 0x24 \\(memory 0x[0-9a-f]+\\): 0x");
}

static bool is_hda(const struct godwit_symptom *symptom, char **seen)
{
    if (!symptom->poked || !are_own(symptom, is_hda_state))
        return false;
    *seen = g_strdup(symptom->lost[0].text);
    return true;
}

/* A write to Slot Control has closed the interlock; its bit in Slot Status keeps the destination
 * from loading the configuration space. */
static bool is_interlock(const struct godwit_symptom *symptom, char **seen)
{
    static const char *const slots[] = {"ioh3420", "pcie-root-port", "xio3130-downstream", NULL};
    const struct godwit_vm *destination = symptom->destination;
    if (!symptom->poked || !g_strv_contains(slots, symptom->text) || !destination ||
        !destination->exited || !WIFEXITED(destination->wait_status))
        return false;
    g_autofree char *said = godwit_vm_reason(destination);
    if (!strstr(said, "Failed to load PCIDevice:config"))
        return false;
    *seen = g_strdup(said);
    return true;
}

/* A register that went with its device on the destination, and not on the source. */
static bool is_left(const struct godwit_symptom_register *lost)
{
    return is_lost(lost, ": only the source has it there");
}

/* The bridge is gone, and the ports of the ISA devices behind it are not. */
static bool are_left_ports(const struct godwit_symptom *symptom, char **seen)
{
    if (strcmp(symptom->text, "i82378") || !are_own(symptom, is_left))
        return false;
    *seen = g_strdup(symptom->lost[0].text);
    return true;
}

#define REGISTERS(NAME, SUMMARY, MATCHES, EFFECT)                                                  \
    {                                                                                              \
        .id = NAME, .summary = SUMMARY, .reference = "not known to be fixed in any release",       \
        .kind = GODWIT_SYMPTOM_DEVICE, .effect = EFFECT, .strikes = 1, .runs = 1,                  \
        .matches = MATCHES                                                                         \
    }

const struct godwit_bug godwit_bugs_registers[] = {
    REGISTERS("device-stateless",
              "the state of this device is not in the stream, and QEMU migrates it all the same",
              is_stateless, GODWIT_BUG_LOST),
    REGISTERS("device-virtio-blk-cache",
              "a virtio-blk whose driver has switched the write cache off arrives with it on",
              is_blk_cache, GODWIT_BUG_LOST),
    REGISTERS("device-virtio-scsi-sizes",
              "a virtio-scsi loses the sizes of sense and command that its driver has set",
              is_scsi_sizes, GODWIT_BUG_LOST),
    REGISTERS("device-ehci-reserved",
              "an EHCI controller loses what was written to reserved registers", is_ehci,
              GODWIT_BUG_SURVIVED),
    REGISTERS("device-esp-registers",
              "an ESP loses SBAC, and that the high byte of its count was written", is_esp,
              GODWIT_BUG_LOST),
    REGISTERS("device-dma-status", "a PC's DMA controller loses which channels are requested",
              is_dma_status, GODWIT_BUG_LOST),
    REGISTERS("device-vmxnet3-mac", "a vmxnet3 loses the MAC address that its driver has set",
              is_vmxnet3_mac, GODWIT_BUG_LOST),
    REGISTERS("device-can-irq", "a PCI card with CAN controllers loses an interrupt, or gets one",
              is_can_irq, GODWIT_BUG_LOST),
    REGISTERS("device-virtio-input-config",
              "a virtio input device loses what its driver has selected, and how often",
              is_virtio_config, GODWIT_BUG_SURVIVED),
    REGISTERS("device-smbus", "the SMBus of a q35 that the guest has disabled is enabled again",
              is_smbus, GODWIT_BUG_SURVIVED),
    REGISTERS("device-hda-status", "an HDA controller gets an interrupt that it did not have",
              is_hda, GODWIT_BUG_SURVIVED),
    REGISTERS("device-interlock", "a PCI Express slot whose interlock was closed cannot be loaded",
              is_interlock, GODWIT_BUG_LOST),
    REGISTERS("unplug-left-ports",
              "the ports of ISA devices stay when the bridge to them is unplugged", are_left_ports,
              GODWIT_BUG_SURVIVED),
    REGISTERS("device-openpic-mode",
              "the interrupts of an openpic lose their mode bit, which no guest can write or miss",
              is_openpic, GODWIT_BUG_SURVIVED),
    {
        .id = "device-hpet-timer",
        .summary = "an HPET loses what was written to the timer behind its last one",
        .reference = "measured in QEMU 7.2 and 10.0, and not in 11.1",
        .kind = GODWIT_SYMPTOM_DEVICE,
        .fixed = {11, 1},
        .effect = GODWIT_BUG_SURVIVED,
        .strikes = 1,
        .runs = 1,
        .matches = is_hpet_timer,
    },
    {
        .id = "device-reads-beyond",
        .summary = "an SPI and a USB controller read memory of QEMU behind their registers",
        .reference = "measured in QEMU 7.2, and not in 10.0",
        .kind = GODWIT_SYMPTOM_DEVICE,
        .fixed = {10, 0},
        .effect = GODWIT_BUG_SURVIVED,
        .strikes = 1,
        .runs = 1,
        .matches = is_beyond,
    },
    {
        .id = "machine-pxa",
        .summary = "boards with a PXA have another I2C address, or another pin, once loaded",
        .reference = "measured in QEMU 7.2; 10.0 and 11.1 have no such boards",
        .kind = GODWIT_SYMPTOM_DEVICE,
        .fixed = {10, 0},
        .effect = GODWIT_BUG_LOST,
        .strikes = 1,
        .runs = 1,
        .matches = is_pxa,
    },
    {
        .id = "machine-omap",
        .summary = "pins of the GPIO of boards with an OMAP are high once they are loaded",
        .reference = "measured in QEMU 7.2; 10.0 and 11.1 have no such boards",
        .kind = GODWIT_SYMPTOM_DEVICE,
        .fixed = {10, 0},
        .effect = GODWIT_BUG_LOST,
        .strikes = 1,
        .runs = 1,
        .matches = is_omap,
    },
    {.id = NULL},
};
