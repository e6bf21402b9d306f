# riscv64: one flat image for -bios on virt.
#
# SPDX-License-Identifier: MIT

RISCV64_CC ?= riscv64-linux-gnu-gcc
RISCV64_NM ?= riscv64-linux-gnu-nm
RISCV64_OBJCOPY ?= riscv64-linux-gnu-objcopy

RISCV64_RAM_BASE := 0x80000000

IMAGES += riscv64_bios

# `order` takes no instructions but those that every 64-bit CPU of QEMU's has, `stamp` those that
# multiply, too. Nothing is left to the linker to relax.
RISCV64_FLAGS := -mabi=lp64 -mno-relax
RISCV64_ASFLAGS = $(GUEST_ASFLAGS) $(RISCV64_FLAGS) -march=rv64i_zicsr_zifencei

# These hold patterns, and so do gp and tp: riscv64/registers.S. Fewer for the compiler would cost it
# spills in its inner loops.
RISCV64_FIXED := $(addprefix -ffixed-,a6 a7 s1 s2 s3 s4 s5 s6 s7 s8 s9 s10 s11)

RISCV64_WORKLOAD := -Iriscv64 $(RISCV64_FLAGS) -mcmodel=medany -mstrict-align -fomit-frame-pointer \
	$(RISCV64_FIXED)

$(GUEST)/riscv64_bios.o: $(WORKLOAD) riscv64/workload_arch.h riscv64/arch.mk | $(GUEST)
	$(call short,CC)$(RISCV64_CC) $(WORKLOAD_CFLAGS) $(RISCV64_WORKLOAD) -march=rv64im_zicsr -c -o $@ $<

$(GUEST)/riscv64_bios.identify.o: $(IDENTIFY) riscv64/identify_arch.h riscv64/selector.h riscv64/workload_arch.h \
		riscv64/arch.mk | $(GUEST)
	$(call short,CC)$(RISCV64_CC) $(WORKLOAD_CFLAGS) $(RISCV64_WORKLOAD) -march=rv64i_zicsr -c -o $@ $<

RISCV64_OBJECTS := $(GUEST)/riscv64_bios.o $(GUEST)/riscv64_bios.identify.o

$(GUEST)/riscv64_bios.elf: riscv64/boot.S riscv64/registers.S $(RISCV64_OBJECTS) \
		riscv64/boot.ld riscv64/arch.mk $(GUEST_PARAMS) | $(GUEST)
	$(call short,LD)$(RISCV64_CC) $(RISCV64_ASFLAGS) -DGODWIT_RAM_BASE=$(RISCV64_RAM_BASE) -Wl,-n \
		-Wl,-T,riscv64/boot.ld -o $@ riscv64/boot.S riscv64/registers.S \
		-x none $(RISCV64_OBJECTS)

$(GUEST)/riscv64_bios.bin: $(GUEST)/riscv64_bios.elf
	$(call short,COPY)$(RISCV64_OBJCOPY) -O binary $< $@

$(GUEST)/riscv64_bios.sym: $(GUEST)/riscv64_bios.elf
	$(call short,NM)$(RISCV64_NM) --extern-only $< > $@.all && $(WITHOUT_WORKLOAD) $@.all > $@
