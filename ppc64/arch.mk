# ppc64: one flat image for -bios on pseries.
#
# SPDX-License-Identifier: MIT

PPC64_CC ?= powerpc64-linux-gnu-gcc
PPC64_NM ?= powerpc64-linux-gnu-nm
PPC64_OBJCOPY ?= powerpc64-linux-gnu-objcopy

PPC64_RAM_BASE := 0

IMAGES += ppc64_bios

$(GUEST)/ppc64_bios.elf: ppc64/boot.S ppc64/boot.ld ppc64/arch.mk $(GUEST_ABI) | $(GUEST)
	$(PPC64_CC) $(GUEST_ASFLAGS) -m64 -mbig-endian -DGODWIT_RAM_BASE=$(PPC64_RAM_BASE) \
		-Wl,-n -Wl,-T,ppc64/boot.ld -o $@ ppc64/boot.S

$(GUEST)/ppc64_bios.bin: $(GUEST)/ppc64_bios.elf
	$(PPC64_OBJCOPY) -O binary $< $@

$(GUEST)/ppc64_bios.sym: $(GUEST)/ppc64_bios.elf
	$(PPC64_NM) --extern-only $< > $@
