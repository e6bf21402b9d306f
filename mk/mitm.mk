# The man in the middle: whatever is done to a guest's memory, or to what its QEMU says, must not end
# as a pass nor as a known bug.

MITM := $(O)/tests/mitm

$(MITM): tests/mitm/mitm.c include/godwit/stamp.h $(GUEST_ABI)
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(HARNESS_CFLAGS) -o $@ $< $(LDFLAGS) $(HARNESS_LIBS)

.PHONY: check-mitm
## check-mitm: tamper with guests and answers between Godwit and QEMU; nothing may pass [MITM_QEMUS="DIR ..."]
check-mitm: build $(MITM)
	MITM_PROGRAM=$(abspath $(MITM)) MITM_QEMUS="$(or $(MITM_QEMUS),/usr/bin $(abspath $(wildcard $(QEMUS)/*/bin)))" \
		GODWIT=$(abspath $(O)/godwit) tests/mitm/mitm.t --all
