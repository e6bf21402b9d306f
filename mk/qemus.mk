# QEMUs newer than the installed one, and what is tested on them.

QEMUS ?= build/qemus
QEMU_VERSIONS ?= 10.0 11.1

.PHONY: qemus
## qemus: unpack newer QEMUs from Debian's newer suites into build/qemus [QEMU_VERSIONS="10.0 11.1"]
qemus:
	@mk/setup.sh qemus
	mk/qemus.sh $(QEMUS) $(QEMU_VERSIONS)
