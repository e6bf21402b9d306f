# Installing, and a source archive.

PREFIX ?= /usr/local
VERSION := $(shell sed -n 's/^.define GODWIT_VERSION "\(.*\)"/\1/p' harness/base/version.h)

.PHONY: install dist
## install: godwit, its man page and the vendorable headers, into $(DESTDIR)$(PREFIX)
install: build
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/share/man/man1 \
		$(DESTDIR)$(PREFIX)/include/godwit
	install -m 755 $(O)/godwit $(DESTDIR)$(PREFIX)/bin/godwit
	install -m 644 docs/godwit.1 $(DESTDIR)$(PREFIX)/share/man/man1/godwit.1
	install -m 644 include/godwit/*.h gen/*.h $(DESTDIR)$(PREFIX)/include/godwit

## dist: build/godwit-VERSION.tar.gz of what is committed
dist:
	mkdir -p build
	git archive --format=tar.gz --prefix=godwit-$(VERSION)/ -o build/godwit-$(VERSION).tar.gz HEAD
