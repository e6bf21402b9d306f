# QEMUs newer than the installed one, and what is tested on them.

QEMUS_FOLDER ?= build/qemus
QEMU_VERSIONS ?= 10.0 11.1

.PHONY: qemus check-matrix check-load qemu-coverage
## qemus: unpack newer QEMUs from Debian's newer suites into build/qemus [QEMU_VERSIONS="10.0 11.1"]
qemus:
	@mk/setup.sh qemus
	mk/qemus.sh $(QEMUS_FOLDER) $(QEMU_VERSIONS)

# An hour and more on two cores: not a part of check-all. MATRIX_RESULTS=DIR keeps what each of its two
# runs has found, and takes it from there if it is there already. MATRIX_SLOW=all runs the slow scenarios,
# too, which takes two hours more.
## check-matrix: all on each QEMU, the main families from each to each other; writes docs/matrix.md
check-matrix: build qemus
	mk/matrix.pl $(O)/godwit docs/matrix.md $(shell nproc) /usr/bin \
		$(addprefix $(QEMUS_FOLDER)/,$(QEMU_VERSIONS))

## check-load: the whole catalogue on three QEMUs on a host that is busy with [LOOPS=2] processors, memory and disk
check-load: build qemus
	@mk/setup.sh load
	GODWIT=$(abspath $(O)/godwit) LOAD_JSON=$(O)/load.json tests/load.sh $(or $(LOOPS),2) /usr/bin \
		$(addprefix $(QEMUS_FOLDER)/,$(QEMU_VERSIONS))

# Three quarters of an hour on two cores: not a part of check-all. mk/qemu-coverage.sh names what else
# can be set.
## qemu-coverage: what of QEMU's migration code the scenarios reach; writes docs/coverage.md [GLOBS=...]
qemu-coverage: build
	@mk/setup.sh build run qemus suite coverage
	mk/qemus.sh $(QEMUS_FOLDER) 10.0
	mk/qemu-coverage.sh $(O)/godwit $(O)/qemu-coverage $(QEMUS_FOLDER)/10.0 $(GLOBS)
