# Godwit. `make help` lists what can be made; the rules are in mk/ and in each architecture's
# arch.mk.
.DELETE_ON_ERROR:
.DEFAULT_GOAL := build
MAKEFLAGS += --no-builtin-rules

# Rules print one short line each, "  CC  TARGET". `make V=1` prints the whole commands instead.
V ?= 0
short = $(if $(filter 0,$(V)),@printf '  %-5s %s\n' '$(1)' '$@';)

# make itself sets CC to cc.
ifeq ($(origin CC),default)
CC := gcc
endif
NASM ?= nasm

.PHONY: help run setup
## run: the quickstart: set up, build, one precopy and one postcopy migration per architecture
run:
	@mk/setup.sh build run
	@$(MAKE) --no-print-directory build
	@$(O)/godwit run precopy/unix/plain postcopy/plain

## setup: install the Debian packages that build, run, bootsect and check need
setup:
	@mk/setup.sh build run guests test

## help: this list
help:
	@sed -n 's/^## \([a-z0-9-]*\): /\1\t/p' $(MAKEFILE_LIST) | sort | expand -t 24

include mk/guest.mk mk/vendor.mk mk/harness.mk mk/test.mk mk/check.mk mk/hostile.mk mk/mitm.mk mk/fuzz.mk mk/qemus.mk mk/install.mk
