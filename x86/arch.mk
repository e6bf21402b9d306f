# SPDX-License-Identifier: MIT
# x86 guests: a boot sector and a ROM, the same for i386 and x86_64. nasm alone makes the boot
# sector, and its map the symbol list; the map has lines "REAL VIRTUAL NAME" for labels and "VALUE
# NAME" for absolute symbols, and asking for it changes no byte of the image. The ROM is linked from
# what nasm and a C compiler make; no 32-bit library is wanted.
X86_CC ?= gcc
X86_LD ?= ld
X86_NM ?= nm
X86_OBJCOPY ?= objcopy

IMAGES += x86_bootsect x86_rom

# An image is linked to one address, so that it may contain addresses: nasm 2.16.03 and newer warn of
# each of them with -Wall.
X86_NASMFLAGS := -Wall -w-reloc -Werror -Ix86/ -I$(GUEST)/ -DGODWIT_RAM_BASE=0
# Nothing is aligned: the assembler fills gaps with instructions that differ from version to version.
X86_CFLAGS := -m32 -march=i686 -mno-sse -mno-mmx -mno-80387 -mregparm=3 -fomit-frame-pointer \
	-mpreferred-stack-boundary=2 -fcf-protection=none -fno-align-functions -fno-align-jumps \
	-fno-align-labels -fno-align-loops

$(GUEST)/x86_bootsect.bin $(GUEST)/x86_bootsect.sym &: x86/bootsect.asm x86/order.inc x86/arch.mk \
		$(GUEST)/guest_abi.inc | $(GUEST)
	$(call short,NASM)$(NASM) -f bin $(X86_NASMFLAGS) --before '[map symbols]' -o $(GUEST)/x86_bootsect.bin $< \
		> $(GUEST)/x86_bootsect.map
	@awk '$$NF ~ /^godwit_/ { print $$(NF - 1), NF == 3 ? "T" : "A", $$NF }' \
		$(GUEST)/x86_bootsect.map > $(GUEST)/x86_bootsect.sym

$(GUEST)/x86_rom.entry.o: x86/rom.asm x86/order.inc x86/registers.inc x86/arch.mk \
		$(GUEST)/guest_abi.inc | $(GUEST)
	$(call short,NASM)$(NASM) -f elf32 $(X86_NASMFLAGS) -o $@ $<

$(GUEST)/x86_rom.o: $(WORKLOAD) x86/workload_arch.h x86/arch.mk | $(GUEST)
	$(call short,CC)$(X86_CC) $(WORKLOAD_CFLAGS) -Ix86 $(X86_CFLAGS) -c -o $@ $<

# Without what a 486 lacks, which the workload has: `order` runs on one. And without edi, where `order`
# has its position, which the harness compares wherever the guest is stopped.
$(GUEST)/x86_rom.identify.o: $(IDENTIFY) x86/identify_arch.h x86/selector.h x86/workload_arch.h x86/arch.mk | $(GUEST)
	$(call short,CC)$(X86_CC) $(WORKLOAD_CFLAGS) -Ix86 $(X86_CFLAGS) -march=i486 -ffixed-edi -c -o $@ $<

$(GUEST)/x86_rom.elf: x86/rom.ld $(GUEST)/x86_rom.entry.o $(GUEST)/x86_rom.o \
		$(GUEST)/x86_rom.identify.o
	$(call short,LD)$(X86_LD) -m elf_i386 -nostdlib -static --build-id=none -z noexecstack \
		--no-warn-rwx-segments -T x86/rom.ld -o $@ $(filter %.o,$^)

$(GUEST)/x86_rom.bin: $(GUEST)/x86_rom.elf
	$(call short,COPY)$(X86_OBJCOPY) -O binary $< $@

$(GUEST)/x86_rom.sym: $(GUEST)/x86_rom.elf
	$(call short,NM)$(X86_NM) --extern-only $< > $@.all && $(WITHOUT_WORKLOAD) $@.all > $@
