# s390x: one ELF image for -bios on s390-ccw-virtio.
#
# SPDX-License-Identifier: MIT

S390X_CC ?= s390x-linux-gnu-gcc
S390X_NM ?= s390x-linux-gnu-nm
S390X_STRIP ?= s390x-linux-gnu-strip

S390X_RAM_BASE := 0

IMAGES += s390x_bios

# z10 is the oldest machine that has the compare-and-branch instructions of the inner loop.
$(GUEST)/s390x_bios.elf: s390x/boot.S s390x/boot.ld s390x/arch.mk $(GUEST_ABI) | $(GUEST)
	$(S390X_CC) $(GUEST_ASFLAGS) -m64 -march=z10 -DGODWIT_RAM_BASE=$(S390X_RAM_BASE) \
		-Wl,-n -Wl,-T,s390x/boot.ld -o $@ s390x/boot.S

$(GUEST)/s390x_bios.bin: $(GUEST)/s390x_bios.elf
	$(S390X_STRIP) --strip-all -o $@ $<

$(GUEST)/s390x_bios.sym: $(GUEST)/s390x_bios.elf
	$(S390X_NM) --extern-only $< > $@
