# Tests. Everything speaks TAP and is run by mk/prove.pl, which is prove, and tells at its end what
# failed; `make check` is one run of all that is quick.

export CMOCKA_MESSAGE_OUTPUT = TAP
PROVE = GODWIT=$(abspath $(O)/godwit) FAKE_QEMU=$(abspath $(FAKE_QEMU)) HOSTILE_QEMU=$(abspath $(HOSTILE_QEMU)) \
	MITM_PROGRAM=$(abspath $(MITM)) mk/prove.pl

.PHONY: check check-scenarios check-lint check-all check-sanitize check-valgrind check-repeat \
	check-hold bench bench-suite format conformance-table fault-table

## check: set up, build, and all quick tests: units, headers, lint, bad input, scenarios
check:
	@mk/setup.sh build run guests test
	@$(MAKE) --no-print-directory build bootsect $(MKHEADER) $(UNIT_TESTS) $(FAKE_QEMU) $(HOSTILE_QEMU) $(MITM)
	$(call short,TEST)$(PROVE) $(UNIT_TESTS) tests/check/*.t tests/vendor/*.t $(filter-out $(ATTACKS),$(wildcard tests/cli/*.t))

.PHONY: man
## man: fill the man pages with the texts of --help and of the results' schema
man: build
	mk/man.pl $(O)/godwit docs/man/*

.PHONY: check-devices
## check-devices: each device that each QEMU has, on each architecture [QEMUS="PATH ..."]
check-devices: build
	$(O)/godwit run 'device/*' --accel tcg --accept-known @tests/accepted-bugs -j $(shell nproc) \
		$(QEMUS:%=--qemu %)

.PHONY: device-table
## device-table: write docs/devices.md's table anew [REPORTS="FILE ..."], reports of device/* as JSON
device-table:
	mk/device-table.pl docs/devices.md $(REPORTS)

.PHONY: check-machines check-cpus
## check-machines: each machine type that each QEMU has, on each architecture [QEMUS="PATH ..."]
check-machines: build
	$(O)/godwit run 'machine/*' --accel tcg --accept-known @tests/accepted-bugs -j $(shell nproc) \
		$(QEMUS:%=--qemu %)

## check-cpus: each CPU model that each QEMU has, on each architecture [QEMUS="PATH ..."]
check-cpus: build
	$(O)/godwit run 'cpu/*' --accel tcg --accept-known @tests/accepted-bugs -j $(shell nproc) \
		$(QEMUS:%=--qemu %)

# Parts of check-hostile and check-mitm, a minute and a half. They kill at random instants, and not part
# of `make check` as long as one of them fails once in some runs for a reason that is not known.
ATTACKS := tests/cli/hostile.t tests/mitm/mitm.t

.PHONY: check-attacks
## check-attacks: a part of check-hostile and of check-mitm
check-attacks: build $(FAKE_QEMU) $(HOSTILE_QEMU) $(MITM)
	$(PROVE) $(ATTACKS)

## check-scenarios: every scenario on every architecture, the slow ones too
check-scenarios: build
	$(O)/godwit run --accel tcg --slow --accept-known @tests/accepted-bugs -j $(shell nproc)

## check-lint: only the static checks
check-lint:
	$(PROVE) tests/check/lint.t

## check-sanitize: units and x86_64 scenarios with AddressSanitizer and UBSan
check-sanitize:
	$(MAKE) O=build/sanitize CFLAGS='-O1 -g -fno-omit-frame-pointer -fno-sanitize-recover=all \
		-fsanitize=address,undefined' build check-unit check-cli
	build/sanitize/godwit run --slow --arch x86_64 --accel tcg --accept-known @tests/accepted-bugs

## check-valgrind: the x86_64 scenarios with the harness under valgrind
check-valgrind: build
	valgrind --quiet --error-exitcode=99 --leak-check=full --show-leak-kinds=definite \
		--errors-for-leak-kinds=definite --trace-children=yes \
		--trace-children-skip='*qemu-system*,*/ip,*/tc,*/unshare,*/nsenter' --child-silent-after-fork=yes \
		$(O)/godwit run --arch x86_64 --accel tcg --accept-known @tests/accepted-bugs --timeout-scale 10

## check-repeat: the main scenarios 20 times, and 20 times with all cores loaded [REPEAT=20] [GLOBS=...]
check-repeat: build
	GODWIT=$(abspath $(O)/godwit) sh tests/repeat.sh $(or $(REPEAT),20) $(GLOBS)

## check-hold: migrations that must not converge yet, on a busy host, the guest stopped at random [ROUNDS=1] [QEMUS="PATH ..."]
check-hold: build $(O)/tests/stall
	GODWIT=$(abspath $(O)/godwit) STALL=$(abspath $(O)/tests/stall) tests/stress/hold.sh \
		$(or $(ROUNDS),1) $(QEMUS)

.PHONY: check-compare check-lab
## check-compare: whether `godwit compare` finds a known slowdown, and none between equals [QEMU=qemu-system-x86_64]
check-compare: build $(O)/tests/slow.so
	GODWIT=$(abspath $(O)/godwit) tests/compare.sh $(abspath $(O)/tests/slow.so) $(or $(QEMU),qemu-system-x86_64)

## check-lab: compare and each preset of sweep, once for each architecture and QEMU [QEMUS="build/qemus/10.0 ..."]
check-lab: build
	GODWIT=$(abspath $(O)/godwit) tests/lab.sh $(QEMUS)

$(O)/tests/slow.so: tests/stress/slow.c
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(HARNESS_CFLAGS) -shared -fPIC -o $@ $< $(LDFLAGS) -ldl

.PHONY: measured
## measured: compare QEMU 7.2, 10.0 and 11.1, and write docs/measured.md anew [BUDGET=8m]
measured: build
	GODWIT=$(abspath $(O)/godwit) mk/measured.sh docs/measured.md $(or $(BUDGET),8m) qemu-system-x86_64 \
		build/qemus/10.0 build/qemus/11.1

.PHONY: check-hosts
## check-hosts: two hosts: all that can run there, and each of them dying in each state [QEMUS="PATH ..."]
check-hosts: build
	QEMUS='$(QEMUS)' $(PROVE) tests/hosts/*.t

.PHONY: check-pages check-pages-load
## check-pages-load: whether a page of 10,000 results opens in two seconds, on a quiet host [QEMU=qemu-system-x86_64]
check-pages-load: build
	GODWIT=$(abspath $(O)/godwit) tests/pages-load.sh $(abspath $(O))/pages $(or $(QEMU),qemu-system-x86_64)

## check-pages: whether the pages that Godwit writes can be read by all, in Chromium [QEMU=qemu-system-x86_64]
check-pages: build
	GODWIT=$(abspath $(O)/godwit) tests/pages.sh $(abspath $(O))/pages $(or $(QEMU),qemu-system-x86_64)

$(O)/tests/stall: tests/stress/stall.c
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(HARNESS_CFLAGS) -o $@ $< $(LDFLAGS)

## check-all: everything, the slow ones included
check-all: check check-scenarios check-sanitize check-valgrind check-repeat check-hold check-mitm check-hostile \
	check-qemu-suite

## bench: how long each phase of each scenario takes: median and spread [RUNS=5] [GLOBS=...]
bench: build
	$(O)/godwit bench --accel tcg --runs $(or $(RUNS),5) $(or $(GLOBS),precopy/unix/plain \
		precopy/tcp/plain 'precopy/unix/suspend/*' precopy/bad-dest postcopy/plain)

## bench-suite: how long a test takes in Godwit's catalogue and in QEMU's own migration-test
bench-suite: build
	tests/bench-suite.sh

## format: clang-format over every C file of ours
format:
	clang-format -i $$(git ls-files '*.c' '*.h' | grep -v '^gen/.*\.h$$')

## conformance-table: write docs/conformance.md's tables anew, a column each of [QEMUS="PATH ..."]
conformance-table: build
	mk/conformance-table.pl $(O)/godwit docs/conformance.md $(or $(QEMUS),qemu-system-x86_64)

## fault-table: write docs/oracles.md's table of wire faults anew, from all of [QEMUS="PATH ..."] [RUNS=10]
fault-table: build
	mk/fault-table.sh $(O)/godwit docs/oracles.md $(or $(RUNS),10) $(or $(QEMUS),qemu-system-x86_64)
