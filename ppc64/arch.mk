# ppc64: one flat image for -bios on pseries.
#
# SPDX-License-Identifier: MIT

PPC64_CC ?= powerpc64-linux-gnu-gcc
PPC64_NM ?= powerpc64-linux-gnu-nm
PPC64_OBJCOPY ?= powerpc64-linux-gnu-objcopy

PPC64_RAM_BASE := 0

IMAGES += ppc64_bios

PPC64_MACHINE := -m64 -mbig-endian

# r14 to r16 hold patterns, and r2 and r13, which the compiler leaves alone as it is (registers.S).
# Calls are plain branches in the second ELF ABI; loops would be unrolled with their constants in them.
PPC64_WORKLOAD := $(PPC64_MACHINE) -mabi=elfv2 -mcpu=power5 -msoft-float -mno-altivec -mno-vsx \
	-fno-unroll-loops -ffixed-r14 -ffixed-r15 -ffixed-r16

$(GUEST)/ppc64_bios.o: $(WORKLOAD) ppc64/workload_arch.h ppc64/arch.mk | $(GUEST)
	$(call short,CC)$(PPC64_CC) $(WORKLOAD_CFLAGS) -Ippc64 $(PPC64_WORKLOAD) -c -o $@ $<

# r22 is where `order` has its position, which the harness compares wherever the guest is stopped.
$(GUEST)/ppc64_bios.identify.o: $(IDENTIFY) ppc64/identify_arch.h ppc64/selector.h ppc64/workload_arch.h ppc64/arch.mk | $(GUEST)
	$(call short,CC)$(PPC64_CC) $(WORKLOAD_CFLAGS) -Ippc64 $(PPC64_WORKLOAD) -ffixed-r22 -c -o $@ $<

PPC64_OBJECTS := $(GUEST)/ppc64_bios.o $(GUEST)/ppc64_bios.identify.o
PPC64_SOURCES := ppc64/boot.S ppc64/registers.S

$(GUEST)/ppc64_bios.elf: $(PPC64_SOURCES) $(PPC64_OBJECTS) ppc64/boot.ld ppc64/arch.mk \
		$(GUEST_PARAMS) | $(GUEST)
	$(call short,LD)$(PPC64_CC) $(GUEST_ASFLAGS) $(PPC64_MACHINE) -DGODWIT_RAM_BASE=$(PPC64_RAM_BASE) \
		-Wl,-n -Wl,-T,ppc64/boot.ld -o $@ $(PPC64_SOURCES) -x none $(PPC64_OBJECTS)

$(GUEST)/ppc64_bios.bin: $(GUEST)/ppc64_bios.elf
	$(call short,COPY)$(PPC64_OBJCOPY) -O binary $< $@

$(GUEST)/ppc64_bios.sym: $(GUEST)/ppc64_bios.elf
	$(call short,NM)$(PPC64_NM) --extern-only $< > $@.all && $(WITHOUT_WORKLOAD) $@.all > $@
