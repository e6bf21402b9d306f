#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""COLO under TCG: the secondary's guest runs on without the last writes to a page that it writes all the
time. Nothing of Godwit in here: two QEMUs, QMP, a boot sector whose guest checks its own memory.

    colo-lost-page.py [QEMU]                                         default: qemu-system-x86_64

The guest counts in each word of a page, and first looks whether the word is as it left it. If not, it
writes X to port 0xe9 and halts. COLO makes checkpoints, after each of which the secondary's guest goes on
as the primary's does.
Exit status: 0 the secondary's guest found its memory right until there were 40 checkpoints; 1 it did not;
2 that could not be tried.
"""
import os
import sys
import time

from qemu import Qemu, folder, version

# The guest, at 0x7c00:
#
#       cli
#       mov ax, 0x2000
#       mov ds, ax
#       mov es, ax
#       xor edx, edx                    what each word should be
#       xor eax, eax
#       xor di, di
#       mov cx, 1024
#       rep stosd
#       out 0xe9, al
#       mov ebx, 1                      what it becomes
# 1:    xor di, di
# 2:    cmp [di], edx
#       jne 3f
#       mov [di], ebx
#       add di, 4
#       cmp di, 4096
#       jb 2b
#       inc edx
#       inc ebx
#       jmp 1b
# 3:    mov al, 'X'
#       out 0xe9, al
# 4:    hlt
#       jmp 4b
GUEST = bytes.fromhex(
    "fa b80020 8ed8 8ec0 6631d2 6631c0 31ff b90004 66f3ab e6e9 66bb01000000"
    "31ff 663915 7512 66891d 83c704 81ff0010 72ef 6642 6643 ebe7"
    "b058 e6e9 f4 ebfd").ljust(510, b"\0") + b"\x55\xaa"


def main():
    binary = sys.argv[1] if len(sys.argv) > 1 else "qemu-system-x86_64"
    print(version(binary), flush=True)
    with folder() as console:
        with open("disk", "wb") as disk:
            disk.write(GUEST)
        os.mkfifo("other")
        other = os.open("other", os.O_RDWR | os.O_NONBLOCK)
        machine = ["-machine", "pc,accel=tcg", "-m", "64", "-drive", "file=disk,format=raw,snapshot=on"]
        source = Qemu(binary, *machine, "-debugcon", "file:console")
        os.read(console, 1)  # the guest works
        destination = Qemu(binary, *machine, "-debugcon", "file:other", "-incoming", "defer")
        for side in source, destination:
            side.enable("return-path", "x-colo")
        source.set(x_checkpoint_delay=200)
        destination.tell("migrate-incoming", uri="unix:migrate.sock")
        source.tell("migrate", uri="unix:migrate.sock")
        destination.await_event("RESUME")
        if source.state() != "colo":
            print(f"the source: {source.state()}", file=sys.stderr)
            return 2
        for checkpoint in range(40):
            time.sleep(0.2)
            try:
                if b"X" in os.read(other, 100):
                    print(f"after about {checkpoint + 1} checkpoints, the secondary's guest found another "
                          "word than it had written")
                    return 1
            except BlockingIOError:
                pass
        print("the secondary's guest found its memory right")
        return 0


sys.exit(main())
