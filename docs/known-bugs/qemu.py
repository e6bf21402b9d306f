# SPDX-License-Identifier: MIT
"""A QEMU and its QMP, for the scripts here, and a guest that writes to memory."""
import atexit
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile

STARTED = []


def end_all():
    for process in STARTED:
        process.kill()


# However the program is ended, its QEMUs are.
atexit.register(end_all)
signal.signal(signal.SIGTERM, lambda *_: sys.exit(2))

START_FOLDER = os.getcwd()


def fail(*exception):
    """Python's exit status for an uncaught exception is 1, which here means that QEMU has the bug."""
    sys.__excepthook__(*exception)
    sys.stderr.flush()
    end_all()
    os._exit(2)


sys.excepthook = fail

# A boot sector that adds one to the first byte of each page from START up to END, over and over. It
# writes to port 0xe9, which -debugcon shows, before the first time.
#
#       cli
#       out 0xe9, al
#       lgdt cs:[0x7c34]                32-bit segments
#       mov eax, cr0
#       or al, 1
#       mov cr0, eax
#       mov ax, 8
#       mov ds, ax
# 1:    mov edi, START
# 2:    inc byte [edi]
#       add edi, 4096                   the next page
#       cmp edi, END
#       jb 2b
#       jmp 1b
# 0x34: limit and address of the table at 0x3a: nothing, and data from 0 to 4 GiB
START, END, PAGE = 0x100000, 0x900000, 4096
GUEST = bytes.fromhex(
    "fae6e92e660f0116347c0f20c00c010f22c0b808008ed866bf0000100067fe07"
    "6681c7001000006681ff0000900072edebe566900f003a7c0000000000000000"
    "0000ffff00000092cf00").ljust(510, b"\0") + b"\x55\xaa"


def program(binary):
    """The path of BINARY: a name in PATH, or a path from the folder in which the script was started."""
    found = shutil.which(os.path.join(START_FOLDER, binary) if "/" in binary else binary)
    if not found:
        print(f"no QEMU: {binary}", file=sys.stderr)
        sys.exit(2)
    return found


@contextlib.contextmanager
def folder():
    """The program is in a folder of its own, with the boot sector as "disk" and a FIFO "console", whose
    descriptor this is, for what -debugcon or -serial show."""
    with tempfile.TemporaryDirectory() as directory:
        os.chdir(directory)
        os.mkfifo("console")
        console = os.open("console", os.O_RDWR)
        with open("disk", "wb") as disk:
            disk.write(GUEST)
        try:
            yield console
        finally:
            os.close(console)
            os.chdir("/")


class Qemu:
    """Started with ARGUMENTS and a monitor; whatever goes wrong with it ends the program with 2."""

    def __init__(self, binary, *arguments):
        self.process = subprocess.Popen(
            [program(binary), "-nodefaults", "-display", "none", "-qmp", "stdio", *arguments],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        STARTED.append(self.process)
        self.events = []
        self.read()
        self.tell("qmp_capabilities")
        self.enable("events")

    def read(self):
        line = self.process.stdout.readline()
        if not line:
            print("QEMU is gone", file=sys.stderr)
            sys.exit(2)
        return json.loads(line)

    def send(self, command, **arguments):
        request = {"execute": command, "arguments": arguments, "id": 1}
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()

    def ask(self, command, **arguments):
        """The answer, with "return" or "error" in it. Events that come before are kept."""
        self.send(command, **arguments)
        while "id" not in (answer := self.read()):
            self.events.append(answer)
        return answer

    def tell(self, command, **arguments):
        """What is returned; there has to be no error."""
        answer = self.ask(command, **arguments)
        if "error" in answer:
            print(f"{command}: {answer['error']['desc']}", file=sys.stderr)
            sys.exit(2)
        return answer["return"]

    def enable(self, *capabilities):
        self.tell("migrate-set-capabilities",
                  capabilities=[{"capability": name, "state": True} for name in capabilities])

    def set(self, **parameters):
        self.tell("migrate-set-parameters",
                  **{name.replace("_", "-"): value for name, value in parameters.items()})

    def state(self):
        return self.tell("query-migrate").get("status", "none")

    def await_event(self, name, **data):
        """Waits for an event with that DATA in it, whatever comes before."""
        while True:
            while self.events:
                event = self.events.pop(0)
                if event["event"] == name and data.items() <= event.get("data", {}).items():
                    return
            self.events.append(self.read())

    def ends(self, seconds):
        """The exit status, if the QEMU ends within so many SECONDS; prints what it does."""
        try:
            status = self.process.wait(seconds)
            print(f"the destination has ended with status {status}")
            return status
        except subprocess.TimeoutExpired:
            print("the destination lives")
            return None

    def end(self):
        self.process.kill()
        self.process.communicate()


@contextlib.contextmanager
def postcopy(binary, console, *capabilities):
    """Source and destination of a postcopy whose guest runs on the destination and waits for memory: it
    gets 4 KiB/s. Both have the CAPABILITIES, and both end."""
    machine = ("-machine", "pc,accel=tcg", "-m", "24", "-snapshot", "-drive",
               "file=disk,format=raw,if=ide", "-debugcon", "file:console",
               "-name", "guest,debug-threads=on")
    destination = Qemu(binary, *machine, "-incoming", "defer")
    source = Qemu(binary, *machine)
    try:
        os.read(console, 1)
        for side in destination, source:
            side.enable("postcopy-ram", *capabilities)
        destination.tell("migrate-incoming", uri="unix:migrate.sock")
        source.set(max_bandwidth=(END - START) // 8, max_postcopy_bandwidth=4096)
        source.tell("migrate", uri="unix:migrate.sock")
        source.await_event("MIGRATION_PASS")
        source.tell("migrate-start-postcopy")
        destination.await_event("RESUME")
        source.await_event("MIGRATION", status="postcopy-active")
        yield source, destination
    finally:
        source.end()
        destination.end()


def until_it_dies(binary, times, sides, outcome):
    """Takes OUTCOME(console, number) up to TIMES times, until SIGSEGV kills one of the SIDES. Prints how
    often each outcome came, and returns whether one was killed."""
    crash = f"killed by signal {int(signal.SIGSEGV)}"
    outcomes = []
    print(version(binary))
    with folder() as console:
        while len(outcomes) < times and crash not in outcomes:
            outcomes.append(outcome(console, len(outcomes)))
    for state in sorted(set(outcomes)):
        print(f"{outcomes.count(state)} of {len(outcomes)} {sides}: {state}")
    return crash in outcomes


def rom(pages):
    """The boot sector, where it would be loaded, as the BIOS's last 64 KiB: with an end that makes it
    PAGES, its table where the ROM is below 1 MiB, and a jump to it where a CPU begins."""
    guest = GUEST.replace(END.to_bytes(4, "little"), (START + pages * PAGE).to_bytes(4, "little"))
    guest = guest.replace((0x7c3a).to_bytes(4, "little"), (0xf7c3a).to_bytes(4, "little"))
    return (bytes(0x7c00) + guest).ljust(0xfff0, b"\0") + b"\xe9\x0d\x7c".ljust(16, b"\0")


def memory(side, name, pages):
    """The first bytes of the guest's PAGES. SIDE writes them into the file NAME."""
    side.tell("pmemsave", val=START, size=pages * PAGE, filename=name)
    with open(name, "rb") as file:
        return file.read()[::PAGE]


def version(binary):
    return subprocess.run([program(binary), "--version"], stdout=subprocess.PIPE, check=True,
                          text=True).stdout.splitlines()[0]
