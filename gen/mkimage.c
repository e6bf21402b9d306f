/*
 * Writes one guest image to standard output, exactly as QEMU loads it: the array of the committed
 * header, with the zeros that the file has around it. Installing needs no cross compiler this way.
 *
 * Compiled once per image, with -DHEADER='"x86_rom.h"' -DIMAGE=x86_rom -DPREFIX=GODWIT_X86_ROM.
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdio.h>
#include <string.h>

#include HEADER

#define JOIN_(left, right) left##right
#define JOIN(left, right)  JOIN_(left, right)

int main(void)
{
    static unsigned char file[JOIN(PREFIX, _FILE_SIZE)];
    memcpy(file + JOIN(PREFIX, _FILE_OFFSET), JOIN(godwit_, IMAGE), JOIN(PREFIX, _LENGTH));
    if (fwrite(file, 1, sizeof(file), stdout) != sizeof(file) || fflush(stdout) != 0) {
        perror("mkimage: standard output");
        return 1;
    }
    return 0;
}
