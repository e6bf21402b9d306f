# Attacks on the harness: storms of signals, QEMUs that misbehave, and a host that has too little of
# everything. They take the installed x86_64 QEMU. Each program in tests/hostile speaks TAP; what they
# have counted is printed at the end. About 20 minutes on two processors that are idle.
#
# HOSTILE_SCALE=0.1 takes a tenth, HOSTILE_SEED=N repeats the instants of an earlier run,
# HOSTILE_JOBS=N is how many run at a time, HOSTILE_ONLY=REGEX takes what is called so, and
# HOSTILE="storm qemu exhaustion" names the parts.

HOSTILE ?= storm qemu exhaustion
HOSTILE_COUNTS := $(O)/tests/hostile-counts

.PHONY: check-hostile
## check-hostile: storms, hostile QEMUs, exhaustion: nothing left, hung or falsely passed [HOSTILE_SCALE=1]
check-hostile: $(O)/godwit $(FAKE_QEMU) $(HOSTILE_QEMU)
	@rm -f $(HOSTILE_COUNTS)
	@HOSTILE_COUNTS=$(abspath $(HOSTILE_COUNTS)) $(PROVE) $(HOSTILE:%=tests/hostile/%.t); \
		status=$$?; echo; cat $(HOSTILE_COUNTS); exit $$status

$(HOSTILE_QEMU): tests/hostile/hostile-qemu.c
	@mkdir -p $(@D)
	$(call short,CC)$(CC) $(CFLAGS) $(HARNESS_CFLAGS) -o $@ $< $(LDFLAGS) $(HARNESS_LIBS)
