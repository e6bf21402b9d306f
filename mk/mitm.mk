# A man in the middle between Godwit and QEMU: whatever it does to a guest's memory, or to what its
# QEMU says, must not end as a pass or as a known bug. `make check-attacks` runs a part of this.

MITM := $(O)/tests/mitm

$(MITM): tests/mitm/mitm.c include/godwit/stamp.h $(GUEST_ABI)
	@mkdir -p $(@D)
	$(call short,CC)$(CC) $(CFLAGS) $(HARNESS_CFLAGS) -o $@ $< $(LDFLAGS) $(HARNESS_LIBS)

MITM_QEMUS ?= /usr/bin $(abspath $(wildcard $(QEMUS_FOLDER)/*/bin))

.PHONY: check-mitm
## check-mitm: tamper with guests and QEMUs' answers: nothing may pass [MITM_QEMUS="DIR ..."] [ROWS=PATTERN]
check-mitm: build $(MITM) $(FAKE_QEMU)
	GODWIT=$(abspath $(O)/godwit) FAKE_QEMU=$(abspath $(FAKE_QEMU)) MITM_PROGRAM=$(abspath $(MITM)) \
		MITM_QEMUS="$(MITM_QEMUS)" tests/mitm/mitm.t --all $(if $(ROWS),'$(ROWS)')
