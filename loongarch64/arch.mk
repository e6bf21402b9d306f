# loongarch64: one flat image for -bios on virt.
#
# Debian 12 has no compiler for it. `make toolchain-loongarch64` unpacks Debian 13's, which is then
# taken from where it is.
#
# SPDX-License-Identifier: MIT

LOONGARCH64_TOOLS := $(call unpacked_tools,loongarch64-linux-gnu)
LOONGARCH64_CC ?= $(LOONGARCH64_TOOLS)gcc
LOONGARCH64_NM ?= $(LOONGARCH64_TOOLS)nm
LOONGARCH64_OBJCOPY ?= $(LOONGARCH64_TOOLS)objcopy

LOONGARCH64_RAM_BASE := 0

IMAGES += loongarch64_bios
WITHOUT_COMPILER += $(call without_compiler,$(LOONGARCH64_CC),loongarch64_bios)
COMPILER_OF_loongarch64_bios := make toolchain-loongarch64

.PHONY: toolchain-loongarch64
## toolchain-loongarch64: unpack Debian 13's cross compiler into build/toolchain, for make headers
toolchain-loongarch64:
	@mk/setup.sh qemus
	mk/toolchain.sh $(TOOLCHAINS) loongarch64-linux-gnu

# Nothing is left to the linker to relax.
LOONGARCH64_FLAGS := -march=loongarch64 -mabi=lp64s -mno-relax
LOONGARCH64_ASFLAGS = $(GUEST_ASFLAGS) $(LOONGARCH64_FLAGS) -Wl,--no-relax

# These hold patterns, and so do tp and r21: loongarch64/registers.S. Fewer for the compiler would
# cost it spills in its inner loops.
LOONGARCH64_FIXED := $(addprefix -ffixed-,a6 a7 t7 t8 s1 s2 s3 s4 s5 s6 s7 s8)

LOONGARCH64_WORKLOAD := -Iloongarch64 $(LOONGARCH64_FLAGS) -mcmodel=normal -mstrict-align -fomit-frame-pointer \
	$(LOONGARCH64_FIXED)

$(GUEST)/loongarch64_bios.o: $(WORKLOAD) loongarch64/workload_arch.h loongarch64/arch.mk | $(GUEST)
	$(call short,CC)$(LOONGARCH64_CC) $(WORKLOAD_CFLAGS) $(LOONGARCH64_WORKLOAD) -c -o $@ $<

$(GUEST)/loongarch64_bios.identify.o: $(IDENTIFY) loongarch64/identify_arch.h loongarch64/selector.h \
		loongarch64/workload_arch.h loongarch64/arch.mk | $(GUEST)
	$(call short,CC)$(LOONGARCH64_CC) $(WORKLOAD_CFLAGS) $(LOONGARCH64_WORKLOAD) -c -o $@ $<

LOONGARCH64_OBJECTS := $(GUEST)/loongarch64_bios.o $(GUEST)/loongarch64_bios.identify.o

$(GUEST)/loongarch64_bios.elf: loongarch64/boot.S loongarch64/registers.S $(LOONGARCH64_OBJECTS) \
		loongarch64/boot.ld loongarch64/arch.mk $(GUEST_PARAMS) | $(GUEST)
	$(call short,LD)$(LOONGARCH64_CC) $(LOONGARCH64_ASFLAGS) -DGODWIT_RAM_BASE=$(LOONGARCH64_RAM_BASE) -Wl,-n \
		-Wl,-T,loongarch64/boot.ld -o $@ loongarch64/boot.S loongarch64/registers.S \
		-x none $(LOONGARCH64_OBJECTS)

$(GUEST)/loongarch64_bios.bin: $(GUEST)/loongarch64_bios.elf
	$(call short,COPY)$(LOONGARCH64_OBJCOPY) -O binary $< $@

$(GUEST)/loongarch64_bios.sym: $(GUEST)/loongarch64_bios.elf
	$(call short,NM)$(LOONGARCH64_NM) --extern-only $< > $@.all && $(WITHOUT_WORKLOAD) $@.all > $@
