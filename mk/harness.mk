# The harness: build/godwit. Tests link HARNESS_OBJECTS, which is all of it but main. (No archive:
# machines and scenarios are found through linker sections, and nothing would pull them out of one.)
#
# Needs a C compiler, GLib, jansson, GnuTLS and GSL; the guests come from the committed headers in gen/.
# O=DIR builds somewhere else than build/, for other flags beside the usual ones.

O ?= build
CFLAGS ?= -O2 -g
WARNINGS := -Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes
PKGS := gio-unix-2.0 gnutls gsl jansson libxxhash zlib
HARNESS_CPPFLAGS := $(CPPFLAGS) -D_GNU_SOURCE -Iharness -Iinclude -Igen
HARNESS_CFLAGS = -std=gnu11 $(WARNINGS) $(HARNESS_CPPFLAGS) $(shell pkg-config --cflags $(PKGS))
HARNESS_LIBS = $(shell pkg-config --libs $(PKGS))

HARNESS_SOURCES := $(filter-out harness/main.c,$(wildcard harness/*.c harness/*/*.c)) \
	$(wildcard */machine.c)
HARNESS_OBJECTS := $(HARNESS_SOURCES:%.c=$(O)/%.o)

# The objects by the names of their sources. The file changes when one disappears, which makes no
# object newer: whatever is linked from the objects is then linked again. A build folder that is named
# in another way is the same: a test that installs must not link what others run.
OBJECT_LIST := $(O)/harness/objects

.PHONY: build
## build: build/godwit, from the committed guest headers (no cross toolchain needed)
build: $(O)/godwit

# Writes the words into the target, unless they are in it already.
record_words = @mkdir -p $(@D); words='$(1)'; echo "$$words" | cmp -s - $@ || echo "$$words" >$@

# Other flags make every object anew.
$(O)/harness/flags: force
	$(call record_words,$(CC) $(CFLAGS) $(HARNESS_CFLAGS))

$(O)/%.o: %.c $(O)/harness/flags
	@mkdir -p $(@D)
	$(call short,CC)$(CC) $(CFLAGS) $(HARNESS_CFLAGS) -MMD -MP -c -o $@ $<

# A script as a C string.
$(O)/harness/%.inc: harness/%.sh
	@mkdir -p $(@D)
	$(call short,GEN)sed 's/[\\"]/\\&/g; s/.*/"&\\n"/' $< >$@

$(O)/harness/report/replay.o: $(O)/harness/report/replay_head.inc
$(O)/harness/report/replay.o: private HARNESS_CPPFLAGS += -I$(O)/harness/report

.PHONY: force
$(OBJECT_LIST): force
	$(call record_words,$(HARNESS_SOURCES))

$(O)/godwit: $(O)/harness/main.o $(HARNESS_OBJECTS) $(OBJECT_LIST)
	$(call short,LD)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $(filter %.o,$^) $(HARNESS_LIBS)

-include $(HARNESS_OBJECTS:.o=.d) $(O)/harness/main.d
