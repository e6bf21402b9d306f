#!/bin/sh
# SPDX-License-Identifier: MIT
#
# The C compiler of `make qemu-coverage`. It instruments the files of QEMU that migrate and that
# track dirty memory, and no others, so that QEMU stays nearly as fast as it was. It links
# counters.c into every program.
folder=${0%/*}
step=linking
source=
for word; do
    case $word in
    -c | -E | -S | --version | -v | -dM | -print* | -###) step=compiling ;;
    *.c) source=$word ;;
    esac
done
case $step,$source in
compiling,*/tests/* | compiling,*stub*) ;;
compiling,*/migration/*.c | compiling,*/system/dirtylimit.c | compiling,*/system/physmem.c | compiling,*/system/memory.c)
    # A function that is inlined before gcc adds the counters would count as not called. Each counter
    # gets a section, which counters.ld collects.
    set -- "$@" --coverage -fno-early-inlining -fprofile-update=atomic -fprofile-abs-path -fdata-sections
    ;;
linking,)
    set -- "$@" "$folder/counters.c" -lgcov -Wl,--wrap=__gcov_exit "-Wl,-T,$folder/counters.ld"
    ;;
esac
exec gcc "$@"
