# SPDX-License-Identifier: MIT
# x86 guests: a boot sector and a ROM, the same for i386 and x86_64. nasm alone makes the images,
# and its map the symbol lists; the map has lines "REAL VIRTUAL NAME" for labels and "VALUE NAME"
# for absolute symbols, and asking for it changes no byte of the image.
IMAGES += x86_bootsect x86_rom

X86_NASMFLAGS := -f bin -Wall -Werror -Ix86/ -I$(GUEST)/ -DGODWIT_RAM_BASE=0

$(GUEST)/x86_%.bin $(GUEST)/x86_%.sym: x86/%.asm x86/order.inc x86/arch.mk \
		$(GUEST)/guest_abi.inc | $(GUEST)
	$(NASM) $(X86_NASMFLAGS) --before '[map symbols]' -o $(GUEST)/x86_$*.bin $< \
		> $(GUEST)/x86_$*.map
	awk '$$NF ~ /^godwit_/ { print $$(NF - 1), NF == 3 ? "T" : "A", $$NF }' \
		$(GUEST)/x86_$*.map > $(GUEST)/x86_$*.sym
