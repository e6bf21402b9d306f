#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Saves a machine with a device, which has never run, into a file, and loads the file into another
QEMU. No Godwit in here: two QEMUs, QMP, no guest.

    device.py QEMU ARGUMENT...        for example: device.py qemu-system-x86_64 -device isa-vga

Exit status: 0 the machine survives it, 1 a QEMU dies or cannot load it, 2 that could not be tried.
"""
import atexit
import json
import os
import subprocess
import sys
import tempfile
import time

from qemu import program, version


class Machine:
    def __init__(self, name, binary, arguments):
        self.name = name
        self.migrates = False
        self.errors = open(name + ".errors", "w+")
        self.process = subprocess.Popen(
            [binary, "-nodefaults", "-display", "none", "-S", "-qmp", "stdio", *arguments],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors, text=True)
        atexit.register(self.process.kill)
        self.tell("qmp_capabilities")

    def tell(self, command, **arguments):
        try:
            self.process.stdin.write(json.dumps({"execute": command, "arguments": arguments}) + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass

    def migrate(self, command, uri):
        """Does it, and returns its last state, or None if QEMU has died."""
        self.tell("migrate-set-capabilities", capabilities=[{"capability": "events", "state": True}])
        self.tell(command, uri=uri)
        for line in self.process.stdout:
            if line.startswith("Bail out!"):  # an assertion of GLib's
                continue
            answer = json.loads(line)
            if "error" in answer:
                print(f"{self.name}: {answer['error']['desc']}")
                sys.exit(2)
            self.migrates = self.migrates or answer.get("event") == "MIGRATION"
            if answer.get("event") == "MIGRATION" and answer["data"]["status"] in ("completed", "failed"):
                return answer["data"]["status"]
        return None

    def end(self):
        """Returns whether it was killed, or ended because of the migration."""
        self.tell("quit")
        self.process.wait()
        self.errors.seek(0)
        said = self.errors.read().strip().splitlines()
        status = self.process.returncode
        how = f"killed by signal {-status}" if status < 0 else f"exit status {status}"
        print(f"{self.name}: {how}" + (f': "{said[-1]}"' if said and status else ""))
        if status > 0 and not self.migrates:
            sys.exit(2)
        return status != 0


def main():
    if len(sys.argv) < 3:
        print(__doc__, file=sys.stderr)
        sys.exit(2)
    binary, arguments = program(sys.argv[1]), sys.argv[2:]
    print(version(binary))
    with tempfile.TemporaryDirectory() as directory:
        os.chdir(directory)
        source = Machine("source", binary, arguments)
        # QEMU reports completion before the command has ended.
        if source.migrate("migrate", "exec:cat >part && mv part stream") == "completed":
            while not os.path.exists("stream"):
                time.sleep(0.01)
        died = source.end()
        if not died:
            destination = Machine("destination", binary, [*arguments, "-incoming", "defer"])
            destination.migrate("migrate-incoming", "exec:cat stream")
            died = destination.end()
        os.chdir("/")
        sys.exit(1 if died else 0)


if __name__ == "__main__":
    main()
