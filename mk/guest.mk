# Guests: images, symbol lists and the committed headers made from them.
#
# Each architecture's arch.mk names its images and says how they are made:
#
#   IMAGES += NAME              for each image, and rules for
#   $(GUEST)/NAME.bin           the file exactly as QEMU loads it, and
#   $(GUEST)/NAME.sym           its exported symbols, lines "HEXADDRESS TYPE NAME" as nm prints them
#
# Exported symbols begin with godwit_. Every image has: godwit_image (the address of the file's
# first byte), godwit_start (the first instruction), godwit_params, godwit_mailbox, godwit_ram_base.
# Assembler sources include godwit/guest_abi.h with -DGODWIT_RAM_BASE=... ; nasm sources include
# $(GUEST)/guest_abi.inc.

GUEST := build/guest
IMAGES :=
include $(wildcard */arch.mk)

GUEST_HEADERS := $(patsubst %,gen/%.h,$(IMAGES))
GUEST_ABI := include/godwit/guest_abi.h

# Same sources, same bytes, wherever they are built.
GUEST_ASFLAGS := -x assembler-with-cpp -nostdlib -nostdinc -static -no-pie -Iinclude \
	-Wl,--build-id=none -Wl,-z,noexecstack -Wl,--no-warn-rwx-segments

.PHONY: bootsect headers check-headers
## bootsect: assemble every guest image into build/guest/ (needs nasm and the cross toolchains)
bootsect: $(IMAGES:%=$(GUEST)/%.bin) $(IMAGES:%=$(GUEST)/%.sym)

$(GUEST):
	mkdir -p $@

# The ABI's plain numbers as nasm %defines. -dM lists macros, the character and string ones that
# only C wants are not among them.
$(GUEST)/guest_abi.inc: $(GUEST_ABI) mk/guest.mk | $(GUEST)
	$(CC) -E -dM -undef -DGODWIT_ABI_MACROS_ONLY -x c $< \
		| LC_ALL=C sort | sed -n 's/^#define \(GODWIT_[A-Z0-9_]*\) \([0-9(].*\)$$/%define \1 \2/p' > $@.tmp
	mv $@.tmp $@
