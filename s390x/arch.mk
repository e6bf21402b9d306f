# s390x: one ELF image for -bios on s390-ccw-virtio.
#
# SPDX-License-Identifier: MIT

S390X_CC ?= s390x-linux-gnu-gcc
S390X_NM ?= s390x-linux-gnu-nm
S390X_STRIP ?= s390x-linux-gnu-strip

S390X_RAM_BASE := 0

IMAGES += s390x_bios

# z10 is the oldest machine that has the compare-and-branch instructions of the inner loop.
S390X_MACHINE := -m64 -march=z10

# r6 to r8 hold patterns (registers.S). Functions do not save them: they save registers from the first
# one used to r15. With one less for them the inner loops would not have enough.
S390X_WORKLOAD := $(S390X_MACHINE) -msoft-float -mpacked-stack -ffixed-r6 -ffixed-r7 -ffixed-r8

$(GUEST)/s390x_bios.o: $(WORKLOAD) s390x/workload_arch.h s390x/arch.mk | $(GUEST)
	$(call short,CC)$(S390X_CC) $(WORKLOAD_CFLAGS) -Is390x $(S390X_WORKLOAD) -c -o $@ $<

$(GUEST)/s390x_bios.identify.o: $(IDENTIFY) s390x/identify_arch.h s390x/selector.h s390x/workload_arch.h s390x/arch.mk | $(GUEST)
	$(call short,CC)$(S390X_CC) $(WORKLOAD_CFLAGS) -Is390x $(S390X_WORKLOAD) -c -o $@ $<

S390X_OBJECTS := $(GUEST)/s390x_bios.o $(GUEST)/s390x_bios.identify.o
S390X_SOURCES := s390x/boot.S s390x/registers.S

$(GUEST)/s390x_bios.elf: $(S390X_SOURCES) $(S390X_OBJECTS) s390x/boot.ld s390x/arch.mk \
		$(GUEST_PARAMS) | $(GUEST)
	$(call short,LD)$(S390X_CC) $(GUEST_ASFLAGS) $(S390X_MACHINE) -DGODWIT_RAM_BASE=$(S390X_RAM_BASE) \
		-Wl,-n -Wl,-T,s390x/boot.ld -o $@ $(S390X_SOURCES) -x none $(S390X_OBJECTS)

$(GUEST)/s390x_bios.bin: $(GUEST)/s390x_bios.elf
	$(call short,STRIP)$(S390X_STRIP) --strip-all -o $@ $<

$(GUEST)/s390x_bios.sym: $(GUEST)/s390x_bios.elf
	$(call short,NM)$(S390X_NM) --extern-only $< > $@.all && $(WITHOUT_WORKLOAD) $@.all > $@
