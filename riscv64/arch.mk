# riscv64: one flat image for -bios on virt.
#
# SPDX-License-Identifier: MIT

RISCV64_CC ?= riscv64-linux-gnu-gcc
RISCV64_NM ?= riscv64-linux-gnu-nm
RISCV64_OBJCOPY ?= riscv64-linux-gnu-objcopy

RISCV64_RAM_BASE := 0x80000000

IMAGES += riscv64_bios

# No instructions but those that every 64-bit CPU of QEMU's has; nothing left to the linker to relax.
$(GUEST)/riscv64_bios.elf: riscv64/boot.S riscv64/boot.ld riscv64/arch.mk $(GUEST_ABI) | $(GUEST)
	$(RISCV64_CC) $(GUEST_ASFLAGS) -march=rv64i_zicsr -mabi=lp64 -mno-relax \
		-DGODWIT_RAM_BASE=$(RISCV64_RAM_BASE) -Wl,-n -Wl,-T,riscv64/boot.ld -o $@ riscv64/boot.S

$(GUEST)/riscv64_bios.bin: $(GUEST)/riscv64_bios.elf
	$(RISCV64_OBJCOPY) -O binary $< $@

$(GUEST)/riscv64_bios.sym: $(GUEST)/riscv64_bios.elf
	$(RISCV64_NM) --extern-only $< > $@
