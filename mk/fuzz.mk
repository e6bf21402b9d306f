# Fuzzing under AddressSanitizer and UBSan: the stream reader, and what judges guests by streams; and the
# protocol between two hosts. The fuzzer is clang's own; the harness is built for it in a folder of its own.

FUZZ_SECONDS ?= 60
FUZZ := build/fuzz
FUZZ_FLAGS := -O1 -g -fno-omit-frame-pointer -fno-sanitize-recover=all
FUZZ_OPTIONS = -max_total_time=$(FUZZ_SECONDS) -timeout=20 -rss_limit_mb=1500 -max_len=70000 \
	-artifact_prefix=$(abspath $(FUZZ))/ -print_final_stats=1

.PHONY: fuzz fuzz-stream fuzz-remote fuzzers
## fuzz: hostile streams, then hostile peers, each for [FUZZ_SECONDS=60]; finds stay in build/fuzz
fuzz: fuzz-stream fuzz-remote

## fuzz-stream: bytes that are almost a migration stream
fuzz-stream: fuzzers
	mkdir -p $(FUZZ)/corpus
	$(FUZZ)/stream-fuzzer $(FUZZ_OPTIONS) -dict=tests/fuzz/stream.dict $(FUZZ)/corpus tests/fuzz/seeds

# Without names of functions: what finds them is a child of the fuzzer, which looks for children that are
# left. Without a search for leaks: once in 30,000 inputs it reports 2032 bytes that GLib has for a thread,
# and never again for the same input. `make check-sanitize` looks for leaks in the same code.
## fuzz-remote: bytes that are almost what the other host of `godwit run --peer` sends
fuzz-remote: fuzzers
	mkdir -p $(FUZZ)/remote-corpus
	FUZZ_PATH='$(abspath tests/fuzz)' $(FUZZ)/remote-fuzzer $(FUZZ_OPTIONS) \
		-close_fd_mask=3 -print_funcs=0 -detect_leaks=0 -dict=$(abspath tests/fuzz/remote.dict) $(abspath $(FUZZ)/remote-corpus tests/fuzz/remote-seeds)

fuzzers:
	$(MAKE) O=$(FUZZ) CC=clang \
		CFLAGS='$(FUZZ_FLAGS) -fsanitize=fuzzer-no-link,address,undefined' \
		$(FUZZ)/stream-fuzzer $(FUZZ)/remote-fuzzer

$(O)/%-fuzzer: tests/fuzz/%.c $(wildcard tests/fuzz/*.h) $(HARNESS_OBJECTS)
	$(call short,CC)$(CC) $(CFLAGS) $(HARNESS_CFLAGS) -fsanitize=fuzzer -o $@ $< $(HARNESS_OBJECTS) \
		$(HARNESS_LIBS)
