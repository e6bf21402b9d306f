# Installing, and a source archive. mk/install.sh has the list of files.

PREFIX ?= /usr/local
VERSION := $(shell sed -n 's/^.define GODWIT_VERSION "\(.*\)"/\1/p' harness/base/version.h)

# What to install: the command, the guests for other suites, or both.
PARTS ?= command guests

# Runs on the machine that builds; set it for a cross build.
CC_FOR_BUILD ?= $(CC)

.PHONY: install uninstall images check-images dist
## install: godwit, its documents and the guests, into $(DESTDIR)$(PREFIX) [PARTS="command guests"]
install: $(if $(filter command,$(PARTS)),build) $(if $(filter guests,$(PARTS)),images)
	DESTDIR='$(DESTDIR)' PREFIX='$(PREFIX)' mk/install.sh install $(O) $(PARTS)

## uninstall: remove from $(DESTDIR)$(PREFIX) what `make install` puts there
uninstall:
	DESTDIR='$(DESTDIR)' PREFIX='$(PREFIX)' mk/install.sh uninstall $(O) $(PARTS)

## images: the guest images as files, from the committed headers (no cross toolchain needed)
images: $(IMAGES:%=$(O)/images/%)

$(O)/images/%: gen/mkimage.c gen/%.h
	@mkdir -p $(@D)
	$(call short,GEN)$(CC_FOR_BUILD) -std=c99 -Wall -Wextra -Igen -DHEADER='"$*.h"' -DIMAGE=$* \
		-DPREFIX=GODWIT_$(shell echo $* | tr '[:lower:]' '[:upper:]') -o $@.program gen/mkimage.c && \
		$@.program >$@ && rm -f $@.program

## check-images: fail unless the image files are what the guest sources make, byte for byte
check-images: images $(IMAGES_HERE:%=$(GUEST)/%.bin) $(LEFT_OUT)
	@for image in $(IMAGES_HERE); do cmp $(O)/images/$$image $(GUEST)/$$image.bin || exit 1; done

# A quarter of an hour, and a network: not a part of any check.
SUITE ?= bookworm
.PHONY: deb deb-check
## deb: build and try the Debian packages of HEAD in a clean Debian [SUITE=bookworm|trixie] [OLDER=COMMIT]
deb:
	@mk/setup.sh qemus
	OLDER='$(OLDER)' mk/deb.sh $(SUITE) build/deb/$(SUITE)

## deb-check: install, upgrade, remove, purge and run what make deb has built [SUITE=bookworm|trixie]
deb-check:
	@mk/setup.sh qemus
	mk/deb.sh $(SUITE) build/deb/$(SUITE) piuparts try

# The bytes depend on the commit alone: neither on the user's umask, nor on git's own way to compress,
# which is not the same in each version.
DIST := godwit-$(VERSION)
.PHONY: check-dist
## dist: build/godwit-VERSION.tar.gz of what is committed, the same bytes each time
dist:
	@git diff --quiet HEAD || echo 'dist: what is not committed is not in the archive' >&2
	@mkdir -p $(O)
	git -c tar.umask=0022 archive --format=tar --prefix=$(DIST)/ -o $(O)/$(DIST).tar HEAD
	gzip -9nf $(O)/$(DIST).tar
	@sha256sum $(O)/$(DIST).tar.gz

## check-dist: build and test the archive of make dist, in a folder of its own
check-dist: dist
	rm -rf $(O)/dist
	mkdir -p $(O)/dist
	tar -xzf $(O)/$(DIST).tar.gz -C $(O)/dist
	$(MAKE) -C $(O)/dist/$(DIST) O=build build images check-unit
	$(O)/dist/$(DIST)/build/godwit --version
	rm -rf $(O)/dist

# What a Debian has of it: the RPMs of another distribution are built there, by the same file.
RPM_FOLDER := build/rpm
.PHONY: rpm
## rpm: build and lint the RPM packages of HEAD (rpmbuild and rpmlint), into build/rpm
rpm: dist
	@command -v rpmbuild >/dev/null && command -v rpmlint >/dev/null || \
		{ echo 'rpm: needs rpmbuild and rpmlint: apt-get install rpm rpmlint' >&2; exit 2; }
	rpmlint --strict --config mk/package/rpmlint.toml mk/package/godwit.spec
	mkdir -p $(RPM_FOLDER)
	cp $(O)/$(DIST).tar.gz $(RPM_FOLDER)
	rpmbuild -bb --nodeps --define '_topdir $(abspath $(RPM_FOLDER))' \
		--define '_sourcedir $(abspath $(RPM_FOLDER))' mk/package/godwit.spec >$(RPM_FOLDER)/log 2>&1 || \
		{ tail -n 20 $(RPM_FOLDER)/log >&2; exit 1; }
	rpmlint --strict --config mk/package/rpmlint.toml $(RPM_FOLDER)/RPMS/*/*.rpm

# Minutes, and a network.
.PHONY: oci
## oci: an OCI image with godwit and three QEMUs, from packages, in build/oci
oci: build qemus
	mk/oci.sh $(O) $(QEMUS_FOLDER) build/oci
