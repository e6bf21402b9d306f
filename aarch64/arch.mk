# aarch64: one flat image for -kernel on virt.
#
# SPDX-License-Identifier: MIT

AARCH64_CC ?= aarch64-linux-gnu-gcc
AARCH64_NM ?= aarch64-linux-gnu-nm
AARCH64_OBJCOPY ?= aarch64-linux-gnu-objcopy

AARCH64_RAM_BASE := 0x40000000

IMAGES += aarch64_kernel

$(GUEST)/aarch64_kernel.elf: aarch64/boot.S aarch64/boot.ld aarch64/arch.mk $(GUEST_ABI) | $(GUEST)
	$(AARCH64_CC) $(GUEST_ASFLAGS) -DGODWIT_RAM_BASE=$(AARCH64_RAM_BASE) \
		-Wl,-n -Wl,-T,aarch64/boot.ld -o $@ aarch64/boot.S

$(GUEST)/aarch64_kernel.bin: $(GUEST)/aarch64_kernel.elf
	$(AARCH64_OBJCOPY) -O binary $< $@

$(GUEST)/aarch64_kernel.sym: $(GUEST)/aarch64_kernel.elf
	$(AARCH64_NM) --extern-only $< > $@
