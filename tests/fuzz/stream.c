/*
 * The fuzzer of the stream reader, for clang's libFuzzer: see mk/fuzz.mk.
 *
 * SPDX-License-Identifier: MIT
 */
#include "stream.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    /* Anything from single bytes on, and the same for the same input. */
    const size_t piece = 1 + size * 2654435761u % 5000;
    fuzz_stream(data, size, size < 2000 ? 1 : piece);
    return 0;
}
