# Godwit's headers in other suites: copying them there, and tests of the copies.

.PHONY: vendor check-vendor check-qemu-suite
## vendor: copy guest headers to DEST=dir [ARCH="x86 aarch64 ..."] [STYLE=godwit|qemu]
vendor:
	@DEST='$(DEST)' ARCH='$(ARCH)' STYLE='$(STYLE)' sh gen/vendor.sh

## check-vendor: test the header generator, vendored copies and the examples
check-vendor: $(MKHEADER)
	prove tests/vendor/*.t

# Minutes long, and it fetches QEMU's source: not a part of `make check`.
## check-qemu-suite: run QEMU's own migration-test with Godwit's guests [QEMU_SUITES="bookworm ..."]
check-qemu-suite:
	@mk/setup.sh build run suite
	tests/vendor/qemu-suite.sh $(QEMU_SUITES)
