# Fuzzing: the stream reader, and what judges guests by streams, under AddressSanitizer and UBSan.
# The fuzzer is clang's own; the harness is built for it in a folder of its own.

FUZZ_SECONDS ?= 60
FUZZ := build/fuzz
FUZZ_FLAGS := -O1 -g -fno-omit-frame-pointer -fno-sanitize-recover=all

.PHONY: fuzz fuzzer
## fuzz: bytes that are almost a migration stream, for [FUZZ_SECONDS=60]; finds stay in build/fuzz
fuzz:
	$(MAKE) O=$(FUZZ) CC=clang \
		CFLAGS='$(FUZZ_FLAGS) -fsanitize=fuzzer-no-link,address,undefined' fuzzer
	mkdir -p $(FUZZ)/corpus
	$(FUZZ)/stream-fuzzer -max_total_time=$(FUZZ_SECONDS) -timeout=20 -rss_limit_mb=1500 \
		-max_len=70000 -artifact_prefix=$(FUZZ)/ -dict=tests/fuzz/stream.dict \
		-print_final_stats=1 $(FUZZ)/corpus tests/fuzz/seeds

fuzzer: $(O)/stream-fuzzer

$(O)/stream-fuzzer: tests/fuzz/stream.c tests/fuzz/stream.h $(HARNESS_OBJECTS)
	$(call short,CC)$(CC) $(CFLAGS) $(HARNESS_CFLAGS) -fsanitize=fuzzer -o $@ $< $(HARNESS_OBJECTS) \
		$(HARNESS_LIBS)
