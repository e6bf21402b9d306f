# aarch64: one flat image for -kernel on virt.
#
# SPDX-License-Identifier: MIT

AARCH64_CC ?= aarch64-linux-gnu-gcc
AARCH64_NM ?= aarch64-linux-gnu-nm
AARCH64_OBJCOPY ?= aarch64-linux-gnu-objcopy

AARCH64_RAM_BASE := 0x40000000

IMAGES += aarch64_kernel

# x18 holds a number that never changes, the others hold patterns: aarch64/registers.S. Fewer for
# the compiler would cost it spills in its inner loops.
AARCH64_FIXED := $(addprefix -ffixed-x,14 15 16 17 18 20 21 22 23 24 25 26 27 28 29)

AARCH64_WORKLOAD := -Iaarch64 -mgeneral-regs-only -mstrict-align -fomit-frame-pointer $(AARCH64_FIXED)

$(GUEST)/aarch64_kernel.o: $(WORKLOAD) aarch64/workload_arch.h aarch64/arch.mk | $(GUEST)
	$(call short,CC)$(AARCH64_CC) $(WORKLOAD_CFLAGS) $(AARCH64_WORKLOAD) -c -o $@ $<

$(GUEST)/aarch64_kernel.identify.o: $(IDENTIFY) aarch64/identify_arch.h aarch64/selector.h aarch64/workload_arch.h \
		aarch64/arch.mk | $(GUEST)
	$(call short,CC)$(AARCH64_CC) $(WORKLOAD_CFLAGS) $(AARCH64_WORKLOAD) -c -o $@ $<

AARCH64_OBJECTS := $(GUEST)/aarch64_kernel.o $(GUEST)/aarch64_kernel.identify.o

$(GUEST)/aarch64_kernel.elf: aarch64/boot.S aarch64/registers.S $(AARCH64_OBJECTS) \
		aarch64/boot.ld aarch64/arch.mk $(GUEST_PARAMS) | $(GUEST)
	$(call short,LD)$(AARCH64_CC) $(GUEST_ASFLAGS) -DGODWIT_RAM_BASE=$(AARCH64_RAM_BASE) -Wl,-n \
		-Wl,-T,aarch64/boot.ld -o $@ aarch64/boot.S aarch64/registers.S \
		-x none $(AARCH64_OBJECTS)

$(GUEST)/aarch64_kernel.bin: $(GUEST)/aarch64_kernel.elf
	$(call short,COPY)$(AARCH64_OBJCOPY) -O binary $< $@

$(GUEST)/aarch64_kernel.sym: $(GUEST)/aarch64_kernel.elf
	$(call short,NM)$(AARCH64_NM) --extern-only $< > $@.all && $(WITHOUT_WORKLOAD) $@.all > $@
