# Godwit. `make help` lists what can be made; the rules are in mk/ and in each architecture's arch.mk.
.DELETE_ON_ERROR:
.DEFAULT_GOAL := build
MAKEFLAGS += --no-builtin-rules

CC ?= gcc
NASM ?= nasm

include mk/guest.mk
include mk/vendor.mk
include mk/harness.mk
