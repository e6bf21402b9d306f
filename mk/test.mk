# Tests of the harness: its parts by themselves (tests/unit, one cmocka program each) and its command
# line (tests/cli, Perl that speaks TAP). Both run by mk/prove.pl.

UNIT_TESTS := $(patsubst %.c,$(O)/%,$(wildcard tests/unit/*.c))
FAKE_QEMU := $(O)/tests/fake-qemu
HOSTILE_QEMU := $(O)/tests/hostile-qemu
UNIT_LIBS = $(HARNESS_LIBS) $(shell pkg-config --libs cmocka)

# The tests of streams link with no more than these: stream/ knows nothing of VMs.
STREAM_OBJECTS := $(filter $(O)/harness/base/% $(O)/harness/stream/%,$(HARNESS_OBJECTS))
STREAM_TESTS := $(filter $(addprefix $(O)/tests/unit/,answers fault records relay),$(UNIT_TESTS))
$(UNIT_TESTS): UNIT_OBJECTS = $(HARNESS_OBJECTS)
$(STREAM_TESTS): UNIT_OBJECTS = $(STREAM_OBJECTS)

$(UNIT_TESTS): $(O)/tests/unit/%: tests/unit/%.c $(HARNESS_OBJECTS) $(OBJECT_LIST)
	@mkdir -p $(@D)
	$(call short,CC)$(CC) $(CFLAGS) $(HARNESS_CFLAGS) -MMD -MP -MF $@.d -o $@ $< $(UNIT_OBJECTS) $(LDFLAGS) \
		$(UNIT_LIBS)

# These run the guest's C code.
$(O)/tests/unit/stamp $(O)/tests/unit/cpu_identity: HARNESS_CPPFLAGS += -Iworkload -Itests/unit/guest

# All images and targets that there are, as the folders name them, for the test that they agree.
$(O)/tests/unit/machine: HARNESS_CPPFLAGS += -I$(O)/tests
$(O)/tests/unit/machine: $(O)/tests/images.h
# Each time, and anew only if it differs: no file is younger when a folder goes.
$(O)/tests/images.h: force
	@mkdir -p $(@D)
	@{ for image in $(IMAGES); do \
			macro=GODWIT_$$(echo $$image | tr a-z A-Z)_IDENTITY_ADDR; \
			printf '#include "%s.h"\n#ifndef %s\n#define %s 0\n#endif\n' $$image $$macro $$macro; \
		done; \
		printf '#define ALL_IMAGES(X)'; \
		for image in $(IMAGES); do printf ' X(%s, %s)' $$image $$(echo $$image | tr a-z A-Z); done; \
		printf '\n#define ALL_ARCHES'; printf ' "%s",' $$(mk/arches.sh); echo; } >$@.new
	@cmp -s $@.new $@ && rm $@.new || mv $@.new $@

$(FAKE_QEMU): tests/fake-qemu.c
	@mkdir -p $(@D)
	$(call short,CC)$(CC) $(CFLAGS) $(HARNESS_CFLAGS) -o $@ $< $(LDFLAGS) $(HARNESS_LIBS)

-include $(UNIT_TESTS:=.d)

.PHONY: check-unit check-cli
## check-unit: test the harness's parts
check-unit: $(UNIT_TESTS)
	$(call short,TEST)CMOCKA_MESSAGE_OUTPUT=TAP $(PROVE) $^

## check-cli: test the command line, with QEMUs that misbehave and with those that are installed
check-cli: $(O)/godwit $(FAKE_QEMU) $(HOSTILE_QEMU)
	$(call short,TEST)$(PROVE) $(filter-out $(ATTACKS),$(wildcard tests/cli/*.t))
