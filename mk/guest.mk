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
#
# The workload in C is compiled once for each image that has it, by a rule of the architecture's:
#
#   $(GUEST)/NAME.o: $(WORKLOAD) ARCH/workload_arch.h ARCH/arch.mk | $(GUEST)
#           $(ARCH_CC) $(WORKLOAD_CFLAGS) -IARCH FLAGS -c -o $@ $<
#
# The first of $(WORKLOAD) is the source, the others are what it includes. FLAGS keep the compiler
# away from floating-point and vector registers, and from those that hold patterns. The identity
# table is compiled likewise, from $(IDENTIFY) and ARCH/identify_arch.h into $(GUEST)/NAME.identify.o.
# Both workloads call it, so its FLAGS must suit every CPU that `order` runs on.
#
# A compiler that Debian 12 does not have can be unpacked into $(TOOLCHAINS) by mk/toolchain.sh. An
# image that needs one is left out where it is not there:
#
#   PREFIX := $(call unpacked_tools,TRIPLET)                      the one unpacked, or the system's
#   WITHOUT_COMPILER += $(call without_compiler,$(ARCH_CC),NAME)  NAME, if there is no compiler
#   COMPILER_OF_NAME := make toolchain-ARCH                       how to get one

GUEST := build/guest
GUEST_ABI := include/godwit/guest_abi.h
GUEST_PARAMS := workload/params.S $(GUEST_ABI)
WORKLOAD := workload/stamp.c workload/workload.h workload/identify.h include/godwit/stamp.h \
	$(GUEST_ABI) mk/guest.mk
IDENTIFY := workload/identify.c $(filter-out workload/stamp.c,$(WORKLOAD))
IMAGES :=

TOOLCHAINS ?= build/toolchain
unpacked_tools = $(if $(wildcard $(TOOLCHAINS)/$(1)/complete),$(abspath $(TOOLCHAINS))/$(1)/bin/)$(1)-
WITHOUT_COMPILER :=
without_compiler = $(if $(shell command -v $(1)),,$(2))

include $(wildcard */arch.mk)

GUEST_HEADERS := $(patsubst %,gen/%.h,$(IMAGES))

# What is left out is named each time, with what helps.
IMAGES_HERE := $(filter-out $(WITHOUT_COMPILER),$(IMAGES))
LEFT_OUT := $(WITHOUT_COMPILER:%=left-out/%)

# Same sources, same bytes, wherever they are built.
GUEST_ASFLAGS := -x assembler-with-cpp -nostdlib -nostdinc -static -no-pie -Iinclude -Iworkload \
	-Wl,--build-id=none -Wl,-z,noexecstack -Wl,--no-warn-rwx-segments

# Freestanding and without data: no calls of memset(), no tables of addresses, no unwinding. Nothing
# in the object tells where or when it was made.
WORKLOAD_CFLAGS := -std=gnu11 -O2 -g0 -Wall -Wextra -Wshadow -Wconversion -Iinclude \
	-ffreestanding -fno-builtin -fno-tree-loop-distribute-patterns -fno-jump-tables \
	-fno-tree-switch-conversion -fno-stack-protector -fno-asynchronous-unwind-tables -fno-unwind-tables \
	-fno-pic -fno-pie -fno-ident -fno-reorder-functions

# A symbol list without what a guest's own parts call each other by.
WITHOUT_WORKLOAD := sed '/ godwit_\(stamp\|arch\|identify\)_/d'

.PHONY: bootsect headers check-headers $(LEFT_OUT)
$(LEFT_OUT): left-out/%:
	@echo "$* is left out: there is no compiler for it here ($(COMPILER_OF_$*) brings one)"

## bootsect: assemble every guest image into build/guest/ (needs nasm and the cross toolchains)
bootsect: $(IMAGES_HERE:%=$(GUEST)/%.bin) $(IMAGES_HERE:%=$(GUEST)/%.sym) $(LEFT_OUT)

$(GUEST):
	@mkdir -p $@

# The ABI's plain numbers as nasm %defines. -dM lists macros, the character and string ones that
# only C wants are not among them.
$(GUEST)/guest_abi.inc: $(GUEST_ABI) mk/guest.mk | $(GUEST)
	$(call short,GEN)$(CC) -E -dM -undef -DGODWIT_ABI_MACROS_ONLY -x c $< > $@.macros
	@LC_ALL=C sort $@.macros | sed -n 's/^#define \(GODWIT_[A-Z0-9_]*\) \([0-9(].*\)$$/%define \1 \2/p' > $@.tmp
	@mv $@.tmp $@

# The host program that makes headers. Only what is asked for by name needs it: an ordinary build
# takes gen/*.h as committed and never runs any rule below.
MKHEADER := build/mkheader

$(MKHEADER): gen/mkheader.c $(GUEST_ABI) | $(GUEST)
	$(call short,CC)$(CC) -std=gnu11 -O2 -g -Wall -Wextra -Wshadow -Wconversion -Iinclude \
		$$(pkg-config --cflags glib-2.0) -o $@ $< $$(pkg-config --libs glib-2.0)

# One phony target an image, so that `make headers/x86_rom` makes that header alone.
GUEST_HEADER_TARGETS := $(IMAGES:%=headers/%)
.PHONY: $(GUEST_HEADER_TARGETS)

## headers: make gen/*.h anew from the guest images; headers/IMAGE makes one
headers: $(IMAGES_HERE:%=headers/%) $(LEFT_OUT)

$(GUEST_HEADER_TARGETS): headers/%: $(GUEST)/%.bin $(GUEST)/%.sym $(MKHEADER)
	$(MKHEADER) --name=$* --image=$(GUEST)/$*.bin --symbols=$(GUEST)/$*.sym --output=gen/$*.h

$(GUEST)/%.h: $(GUEST)/%.bin $(GUEST)/%.sym $(MKHEADER)
	$(call short,GEN)$(MKHEADER) --name=$* --image=$(GUEST)/$*.bin --symbols=$(GUEST)/$*.sym --output=$@

## check-headers: fail, naming them, if committed headers are not what the guest sources make
check-headers: $(IMAGES_HERE:%=$(GUEST)/%.h) $(LEFT_OUT)
	@status=0; for image in $(IMAGES_HERE); do \
		cmp -s $(GUEST)/$$image.h gen/$$image.h && continue; status=1; \
		echo "gen/$$image.h is not what its sources make: run make headers/$$image" >&2; \
	done; \
	for header in $(filter-out $(GUEST_HEADERS),$(wildcard gen/*.h)); do \
		echo "$$header belongs to no image: remove it" >&2; status=1; \
	done; exit $$status
