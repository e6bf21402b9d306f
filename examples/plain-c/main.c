/*
 * What a suite does with the vendored headers, in one small program:
 *
 *   guest write FILE PASSES   writes the x86 boot sector to FILE, to report every PASSES passes
 *   guest check DUMP START    checks the page order of a dump of guest memory from address START
 *
 * Exit status: 0 done and in order, 1 page order broken, 2 anything else.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "guest_abi.h"
#include "page_order.h"
#include "x86_bootsect.h"

#define FEED_SIZE 65536

static int fail(const char *what)
{
    fprintf(stderr, "guest: %s: %s\n", what, strerror(errno));
    return 2;
}

/* Stores VALUE in the guest's byte order. */
static void put_u32(unsigned char *bytes, unsigned long value)
{
    for (int i = 0; i < 4; i++) {
        int shift = GODWIT_X86_BOOTSECT_BIG_ENDIAN ? 24 - 8 * i : 8 * i;

        bytes[i] = (unsigned char)(value >> shift & 0xff);
    }
}

static int write_guest(const char *path, unsigned long passes)
{
    static unsigned char image[GODWIT_X86_BOOTSECT_FILE_SIZE]; /* zero-filled */
    unsigned char *array = image + GODWIT_X86_BOOTSECT_FILE_OFFSET;
    unsigned char *params = array + GODWIT_X86_BOOTSECT_PARAMS_OFFSET;
    FILE *file = fopen(path, "wb");

    if (!file) {
        return fail(path);
    }
    memcpy(array, godwit_x86_bootsect, GODWIT_X86_BOOTSECT_LENGTH);
    put_u32(params + GODWIT_PARAMS_OFF_PASSES_PER_REPORT, passes);

    size_t written = fwrite(image, 1, sizeof(image), file);

    if (fclose(file) != 0 || written != sizeof(image)) {
        return fail(path);
    }
    return 0;
}

static int check_dump(const char *path, uint64_t start)
{
    static unsigned char buffer[FEED_SIZE];
    struct godwit_page_order_window window = {start, 0, GODWIT_PAGE_SIZE, 0};
    struct godwit_page_order check;
    char sentence[200];
    FILE *file = fopen(path, "rb");
    long length;
    size_t got;

    if (!file || fseek(file, 0, SEEK_END) != 0 || (length = ftell(file)) < 0 ||
        fseek(file, 0, SEEK_SET) != 0) {
        return fail(path);
    }
    window.length = (uint64_t)length;
    if (godwit_page_order_init(&check, &window)) {
        while ((got = fread(buffer, 1, sizeof(buffer), file)) > 0 &&
               godwit_page_order_feed(&check, buffer, got)) {
        }
        godwit_page_order_finish(&check);
    }
    fclose(file);

    godwit_page_order_format(&check.result, sentence, sizeof(sentence));
    puts(sentence);
    switch (check.result.rule) {
    case GODWIT_PAGE_ORDER_HOLDS:
        return 0;
    case GODWIT_PAGE_ORDER_SECOND_EDGE:
    case GODWIT_PAGE_ORDER_BAD_STEP:
        return 1;
    default:
        return 2;
    }
}

int main(int argc, char **argv)
{
    if (argc == 4 && strcmp(argv[1], "write") == 0) {
        return write_guest(argv[2], strtoul(argv[3], NULL, 0));
    }
    if (argc == 4 && strcmp(argv[1], "check") == 0) {
        return check_dump(argv[2], strtoull(argv[3], NULL, 0));
    }
    fprintf(stderr, "usage: guest write FILE PASSES | guest check DUMP START\n");
    return 2;
}
