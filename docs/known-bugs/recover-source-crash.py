#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The source of a postcopy migration may die when it is recovered before the thread that reads the
return path has seen that the connection is lost. No Godwit in here: two QEMUs, a boot sector, and
QMP.

    recover-source-crash.py [QEMU] [TIMES]        default: qemu-system-x86_64 100

That thread is held for some milliseconds here, as if it had to wait for a CPU. A QEMU that waits
for the thread before it reports postcopy-paused cannot die so. The program ends with the first
source that dies.
Exit status: 0 no source dies, 1 one does, 2 that could not be tried.
"""
import contextlib
import ctypes
import glob
import os
import signal
import sys
import time

from qemu import postcopy, until_it_dies

LIBC = ctypes.CDLL(None, use_errno=True)
PTRACE_SEIZE, PTRACE_INTERRUPT, PTRACE_DETACH, WALL = 0x4206, 0x4207, 17, 0x40000000
# The names of the thread, before QEMU 9.1 and since.
RETURN_PATH = ("return path", "mig/src/rp-thr", "mig/src/return")
# For how long it is held after the source was told to recover, in seconds; each in turn.
DELAYS = (0, 0.0005, 0.002)
# A recovery that is not at its end after so many seconds has none.
PATIENCE = 3


def return_path(process):
    """The thread that reads the return path."""
    names = []
    for path in glob.glob(f"/proc/{process.pid}/task/*/comm"):
        with open(path, encoding="ascii") as comm:
            names.append(comm.read().strip())
        if names[-1] in RETURN_PATH:
            return int(path.split("/")[-2])
    print("no thread reads the return path:", ", ".join(names), file=sys.stderr)
    return sys.exit(2)


def ptrace(request, task):
    if LIBC.ptrace(request, task, 0, 0):
        print("ptrace:", os.strerror(ctypes.get_errno()), file=sys.stderr)
        sys.exit(2)


@contextlib.contextmanager
def held(task):
    """The thread, and no other one, does not run meanwhile."""
    ptrace(PTRACE_SEIZE, task)
    ptrace(PTRACE_INTERRUPT, task)
    os.waitpid(task, WALL)
    try:
        yield
    finally:
        ptrace(PTRACE_DETACH, task)


def out_of_patience(*_):
    raise TimeoutError


def next_state(source, *states):
    """The first of these states that the source reports, "killed by signal N", or None."""
    signal.signal(signal.SIGALRM, out_of_patience)
    signal.alarm(PATIENCE)
    try:
        while line := source.process.stdout.readline():
            for state in states:
                if f'"status": "{state}"' in line:
                    return state
        return f"killed by signal {-source.process.wait()}"
    except TimeoutError:
        return None
    finally:
        signal.alarm(0)


def recover(binary, console, delay):
    """What becomes of the source, as words."""
    with postcopy(binary, console) as (source, destination):
        with held(return_path(source.process)):
            source.send("migrate-pause")
            if next_state(source, "postcopy-paused") != "postcopy-paused":
                return "waits for the thread"
            destination.await_event("MIGRATION", status="postcopy-paused")
            destination.tell("migrate-recover", uri="unix:recover.sock")
            source.send("migrate", uri="unix:recover.sock", resume=True)
            time.sleep(delay)
        return next_state(source, "postcopy-active", "completed", "postcopy-paused") or \
            "postcopy-recover, for good"


def main():
    binary = sys.argv[1] if len(sys.argv) > 1 else "qemu-system-x86_64"
    times = int(sys.argv[2]) if len(sys.argv) > 2 else 100
    return until_it_dies(binary, times, "sources",
                         lambda console, number: recover(binary, console, DELAYS[number % len(DELAYS)]))


sys.exit(main())
