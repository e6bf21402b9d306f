/*
 * The parameter block, as an image has it that nobody has changed: for each boot.S, which includes this
 * where the block is to be, aligned to 8 bytes. x86/order.inc has it for another assembler.
 *
 * SPDX-License-Identifier: MIT
 */
godwit_params:
        .long   GODWIT_PARAMS_MAGIC
        .long   GODWIT_ABI_VERSION
        .quad   GODWIT_RAM_BASE + GODWIT_WINDOW_OFFSET
        .quad   GODWIT_RAM_BASE + GODWIT_WINDOW_END_OFFSET
        .long   GODWIT_PAGE_SIZE
        .long   GODWIT_PASSES_PER_REPORT
        .long   0 /* flags */
        .long   0 /* page_ticks */
        .quad   0 /* seed */
