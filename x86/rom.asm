; SPDX-License-Identifier: MIT
;
; x86_rom: the guest with both workloads as a 64 KiB ROM for -bios, in place of a BIOS, on pc and
; q35.
;
; Entered in real mode at the reset vector, 0xfffffff0 with cs base 0xffff0000, at a start and at a
; wake-up from suspend alike. RAM below 640 KiB and above 1 MiB, the TSC and the ROM itself are as
; a reset leaves them; everything else that is used is set up here: COM1, the console, and, to
; suspend, the power management registers. Memory and registers: order.inc; with the `stamp`
; workload the general registers are the C compiler's, and the others are told of in registers.inc.
; Memory that the boot sector does not use:
;   0x8000              the other CPUs' first instruction
;   0x30000             stacks, GODWIT_STACK_SIZE for each CPU, of both workloads
;   0x40000             identity table, with IDENTIFY only
;   0x50000             page tables, five pages, with a window above 4 GiB only
;
; All code is in one piece at the end of the ROM, where rom.ld puts it: the workload in C, then this
; file. The rest of the ROM is zero, so that a launcher need not carry more than that piece.
;
; The other CPUs are started by the first one through the local APIC, as far as the parameter block
; asks for them: in real mode, by a jump in RAM at 0x8000 that leads to the copy of the ROM below
; 1 MiB. A CPU's number is its APIC's.
;
; A window above 4 GiB is mapped by PAE paging, on each CPU, to the addresses that are the lower half
; of its own. No code but `paging` takes notice of that. All that this guest has for itself is
; mapped to where such a window must not be:
;   OWN                 the first 2 MiB of RAM; ebp and esp, from which all of it is reached, move
;   0xfee00000          the local APICs, as always
;   0xffe00000          the ROM, as always
; All pages are of 2 MiB, and marked as accessed and written to: the CPU never writes to the tables.
;
; Numbers: Intel SDM, volume 3 (modes, paging, local APIC); ACPI (power management); the data sheet of
; the PC16550D (COM1).

%include "guest_abi.inc"

RESET_VECTOR            equ 0xfff0      ; where in the ROM a reset enters

; A label's offset in the ROM, reckoned back from the reset vector: an assembler's constant.
%define ROM_OFFSET(label) (RESET_VECTOR - (godwit_start - label))
%define REAL_MODE(label) cs:ROM_OFFSET(label)

COM1_INTERRUPTS         equ 0x3f9
COM1_FIFO               equ 0x3fa
COM1_LINE_CONTROL       equ 0x3fb
COM1_MODEM_CONTROL      equ 0x3fc
COM1_DIVISOR_LOW        equ 0x3f8       ; while the line control's DIVISOR_ACCESS is set
COM1_DIVISOR_HIGH       equ 0x3f9
DIVISOR_115200          equ 1
DIVISOR_ACCESS          equ 1 << 7
LINE_8N1                equ 3
FIFO_ENABLE             equ 1 << 0
MODEM_READY             equ 3           ; data terminal ready, request to send

PCI_ADDRESS             equ 0xcf8
PCI_DATA                equ 0xcfc
%define PCI(device, function) (1 << 31 | (device) << 11 | (function) << 8)

; The host bridge says which machine it is: vendor and device of pc's; everything else is a q35.
HOST_BRIDGE             equ PCI(0, 0)
HOST_BRIDGE_I440FX      equ 0x12378086

; Power management: at 0x40 in the configuration space of both chips the base of the registers,
; and in a second register the bit that makes them answer.
PIIX4_PM                equ PCI(1, 3)
PIIX4_ENABLE            equ 0x80
PIIX4_ENABLE_IO         equ 1 << 0
ICH9_LPC                equ PCI(31, 0)
ICH9_ENABLE             equ 0x44
ICH9_ENABLE_ACPI        equ 1 << 7
PM_BASE_REGISTER        equ 0x40
PM_BASE_IO              equ 1 << 0      ; the base is one of I/O ports; reads as one
PM_BASE                 equ 0x600
PM_CONTROL              equ PM_BASE + 4

; Local APIC. INIT and STARTUP go to all CPUs but the one that sends them.
APIC_ID                 equ 0xfee00020
APIC_ID_SHIFT           equ 24
APIC_COMMAND            equ 0xfee00300
APIC_INIT               equ 0x000c4500
APIC_STARTUP            equ 0x000c4600  ; lowest byte: the page where they begin

STARTUP_CODE            equ 0x8000
FAR_JUMP                equ 0xea
ROM_SEGMENT             equ 0xf000      ; of the copy below 1 MiB

STACKS                  equ GODWIT_RAM_BASE + GODWIT_STACK_OFFSET
STACK_TOP               equ STACKS + GODWIT_STACK_SIZE
STACK_PAGE              equ 0x1000
STACK_PAGES             equ GODWIT_MAX_CPUS * GODWIT_STACK_SIZE / STACK_PAGE
NEAR_RETURN             equ 0xc3

; The first CPU's mailbox begins a page, which the others' are in.
MAILBOX_PAGE            equ 0x1000

; Paging. The directories come first, then the table of the pointers to them.
OWN                     equ 0xfe000000
DIRECTORIES             equ GODWIT_RAM_BASE + 0x50000
DIRECTORY_SIZE          equ 0x1000
DIRECTORY_COUNT         equ 4
POINTERS                equ DIRECTORIES + DIRECTORY_COUNT * DIRECTORY_SIZE
PRESENT                 equ 1 << 0
LARGE_PAGE              equ 0xe3        ; present, writable, accessed, written to, of 2 MiB
LARGE_PAGE_SIZE         equ 1 << 21
UNCACHED                equ 3 << 3
APIC_PAGE               equ 0xfee00000
ROM_PAGE                equ 0xffe00000
%define OWN_ENTRY(page) ebx + ((page) - OWN) / LARGE_PAGE_SIZE * 8
CR0_PAGING              equ 1 << 31
CPUID_EDX_PAE           equ 1 << 6
%define UPPER(field)    PARAM(field) + 4

; What this guest has for itself, wherever that is mapped; on the first CPU, whose mailbox is at ebp.
%define ITS(address)    ebp + (address) - godwit_mailbox

; How many CPUs there are beside the first; and, in each CPU's mailbox, what the ABI leaves to the
; guest.
%define MORE_CPUS       PARAM(FLAGS) + GODWIT_FLAGS_MORE_SHIFT / 8
%define FIRST_PAGE      ebp + GODWIT_MAILBOX_SIZE
%define STEP            ebp + GODWIT_MAILBOX_SIZE + 4

        ; A single CPU does not even ask whether it has an APIC.
%macro IDENTIFY_CPU 0
        xor     eax, eax
        movzx   ecx, byte [MORE_CPUS]
        jecxz   %%number_known
        mov     eax, [APIC_ID]
        shr     eax, APIC_ID_SHIFT
        cmp     eax, ecx
        ja      halt
%%number_known:
        imul    edx, eax, GODWIT_MAILBOX_STRIDE
        add     ebp, edx
        imul    edx, eax, GODWIT_STACK_SIZE
        add     esp, edx
        cmp     dword [UPPER(WINDOW_END)], 0
        je      %%mapped
        call    paging
        movzx   ecx, byte [MORE_CPUS]
%%mapped:

        mov     edx, [PARAM(PAGE_SIZE)]
        inc     ecx
        imul    ecx, edx
        mov     [STEP], ecx
        imul    edx, eax
        add     edx, [PARAM(WINDOW_START)]
        mov     [FIRST_PAGE], edx
        test    eax, eax
        jnz     begin
%endmacro

%macro CLEAR_OTHERS 0
        add     edi, GODWIT_MAILBOX_STRIDE - GODWIT_MAILBOX_SIZE
        movzx   ecx, byte [MORE_CPUS]
        imul    ecx, ecx, GODWIT_MAILBOX_STRIDE / 4
        rep stosd
%endmacro

        ; QEMU's APICs need no time between the messages. The second STARTUP is what hardware may
        ; need; a CPU that runs takes no notice of it.
%macro START_OTHERS 0
        movzx   ecx, byte [MORE_CPUS]
        jecxz   %%done
        mov     eax, ROM_OFFSET(other_cpu)
        shl     eax, 8
        mov     al, FAR_JUMP
        mov     [ITS(STARTUP_CODE)], eax
        mov     byte [ITS(STARTUP_CODE + 4)], ROM_SEGMENT >> 8

        mov     edi, APIC_COMMAND
        mov     dword [edi], APIC_INIT
        mov     eax, APIC_STARTUP | STARTUP_CODE >> 12
        mov     [edi], eax
        mov     [edi], eax

        mov     edi, ebp
%%next:
        add     edi, GODWIT_MAILBOX_STRIDE
%%wait:
        pause
        cmp     dword [edi + GODWIT_MAILBOX_OFF_MAGIC], GODWIT_MAILBOX_MAGIC
        jne     %%wait
        loop    %%next
%%done:
%endmacro

%macro UNLESS_FIRST 1
        test    ebp, MAILBOX_PAGE - 1
        jnz     %1
%endmacro

        ; In each turn of the window each CPU has one page.
%macro FIRST_TURN 0
        movzx   ecx, byte [MORE_CPUS]
%endmacro

%macro UNLESS_NEXT_TURN 1
        sub     ecx, 1
        jnc     %1
        movzx   ecx, byte [MORE_CPUS]
%endmacro

        ; Each page of stacks begins with an instruction that returns: workload/workload.h. The other
        ; CPUs do not run yet.
%macro STAMP_FILL 1
        test    dword [PARAM(FLAGS)], GODWIT_FLAG_STAMP | GODWIT_FLAG_IDENTIFY
        jz      %%order
        lea     edi, [ITS(STACKS)]
        mov     ecx, STACK_PAGES
%%page:
        mov     byte [edi], NEAR_RETURN
        add     edi, STACK_PAGE
        loop    %%page
        test    dword [PARAM(FLAGS)], GODWIT_FLAG_STAMP
        jz      %%order
        mov     eax, godwit_params
        call    godwit_stamp_fill
        jmp     %1
%%order:
%endmacro

%macro STAMP_RUN 0
        test    dword [PARAM(FLAGS)], GODWIT_FLAG_STAMP
        jz      %%order
        mov     eax, ebp
        and     eax, MAILBOX_PAGE - 1
        xor     edx, edx
        mov     ecx, GODWIT_MAILBOX_STRIDE
        div     ecx
        mov     esi, eax                ; the CPU's number
        mov     edx, eax
        mov     eax, godwit_params
        call    godwit_stamp_first
        mov     [MAILBOX(POSITION)], eax
        mov     [MAILBOX(POSITION) + 4], edx
        mov     dword [MAILBOX(MAGIC)], GODWIT_MAILBOX_MAGIC
        mov     eax, godwit_params
        mov     edx, ebp
        mov     ecx, esi
        call    godwit_stamp_run
%%order:
%endmacro

        ; With `stamp` the C code does it when the registers are set.
%macro IDENTIFY_START 0
        mov     eax, [PARAM(FLAGS)]
        and     eax, GODWIT_FLAG_STAMP | GODWIT_FLAG_IDENTIFY
        cmp     eax, GODWIT_FLAG_IDENTIFY
        jne     %%done
        mov     eax, ebp
        call    godwit_identify_start
%%done:
%endmacro

%macro IDENTIFY_AGAIN 0
        test    byte [PARAM(FLAGS)], GODWIT_FLAG_IDENTIFY
        jz      %%done
        UNLESS_FIRST %%done
        mov     eax, ebp
        call    godwit_identify_again
%%done:
%endmacro

        ; The window is in the same 4 GiB as its first page.
%macro STORE_UPPER 1
        mov     eax, [UPPER(WINDOW_START)]
        mov     [MAILBOX(%1) + 4], eax
%endmacro

%macro OUT_BYTE 2       ; port, value
        mov     dx, %1
        mov     al, %2
        out     dx, al
%endmacro

        ; ecx: PCI function; bl: its enable register; bh: the bit in that.
%macro SUSPEND 0
        mov     eax, HOST_BRIDGE
        mov     dx, PCI_ADDRESS
        out     dx, eax
        mov     dx, PCI_DATA
        in      eax, dx
        mov     ecx, PIIX4_PM
        mov     bx, PIIX4_ENABLE | PIIX4_ENABLE_IO << 8
        cmp     eax, HOST_BRIDGE_I440FX
        je      %%program
        mov     ecx, ICH9_LPC
        mov     bx, ICH9_ENABLE | ICH9_ENABLE_ACPI << 8
%%program:
        mov     dx, PCI_ADDRESS
        lea     eax, [ecx + PM_BASE_REGISTER]
        out     dx, eax
        mov     dx, PCI_DATA
        mov     eax, PM_BASE | PM_BASE_IO
        out     dx, eax

        mov     dx, PCI_ADDRESS
        mov     eax, ecx
        mov     al, bl
        out     dx, eax
        mov     dx, PCI_DATA
        in      al, dx
        or      al, bh
        out     dx, al

        mov     dx, PM_CONTROL
        mov     ax, SLEEP_TYPE_S3 | SLEEP_ENABLE
        out     dx, ax
%endmacro

        global  godwit_ram_base, godwit_mailbox, godwit_params, godwit_suspend_me, godwit_start
        global  godwit_identity
godwit_identity         equ GODWIT_RAM_BASE + GODWIT_IDENTITY_OFFSET

        ; The C code takes its first three arguments in eax, edx and ecx (-mregparm=3). It and what
        ; it calls may change these three.
        extern  godwit_stamp_fill, godwit_stamp_first, godwit_stamp_run
        extern  godwit_identify_start, godwit_identify_again
godwit_arch_print       equ console
godwit_arch_halt        equ halt
        global  godwit_arch_print, godwit_arch_halt

        section .text
        bits    16
start:
        cli

        ; COM1: 115200 baud, 8N1, no interrupts.
        OUT_BYTE COM1_LINE_CONTROL, DIVISOR_ACCESS
        OUT_BYTE COM1_DIVISOR_LOW, DIVISOR_115200
        OUT_BYTE COM1_DIVISOR_HIGH, 0
        OUT_BYTE COM1_LINE_CONTROL, LINE_8N1
        OUT_BYTE COM1_INTERRUPTS, 0
        OUT_BYTE COM1_FIFO, FIFO_ENABLE
        OUT_BYTE COM1_MODEM_CONTROL, MODEM_READY

other_cpu:
%include "order.inc"

        ; Turns paging on. eax: the CPU's number. Returns with ebp and esp in OWN. Keeps eax; changes
        ; all else. Without PAE, reports CR4 and halts: there is no other way to the window.
paging:
        pop     esi
        test    eax, eax
        jnz     .tables_made
        push    eax
        mov     eax, 1
        cpuid
        test    edx, CPUID_EDX_PAE
        jz      .impossible

        mov     ebx, DIRECTORIES
        mov     eax, LARGE_PAGE
        mov     ecx, [UPPER(WINDOW_START)]
.window:
        mov     [ebx], eax
        mov     [ebx + 4], ecx
        add     ebx, 8
        add     eax, LARGE_PAGE_SIZE
        cmp     eax, OWN
        jb      .window

        mov     edi, ebx
        mov     ecx, (POINTERS - DIRECTORIES - (OWN / LARGE_PAGE_SIZE) * 8) / 4
        xor     eax, eax
        rep stosd                       ; now edi is at POINTERS
        mov     dword [OWN_ENTRY(OWN)], LARGE_PAGE
        mov     dword [OWN_ENTRY(APIC_PAGE)], APIC_PAGE | LARGE_PAGE | UNCACHED
        mov     dword [OWN_ENTRY(ROM_PAGE)], ROM_PAGE | LARGE_PAGE

        mov     eax, DIRECTORIES | PRESENT
        mov     cl, DIRECTORY_COUNT     ; the rest of ecx is zero
.pointer:
        mov     [edi], eax
        mov     dword [edi + 4], 0
        add     edi, 8
        add     eax, DIRECTORY_SIZE
        loop    .pointer
        pop     eax

.tables_made:
        mov     ecx, cr4
        or      ecx, CR4_PAE
        mov     cr4, ecx
        mov     ecx, POINTERS
        mov     cr3, ecx
        mov     ecx, cr0
        or      ecx, CR0_PAGING
        mov     cr0, ecx
        jmp     .on
.on:
        add     ebp, OWN
        add     esp, OWN
        jmp     esi

.impossible:
        mov     edi, ebp
        mov     ecx, GODWIT_MAILBOX_SIZE / 4
        xor     eax, eax
        rep stosd
        mov     byte [MAILBOX(FAULT_ADDRESS)], REGISTER_CR4
        mov     byte [MAILBOX(FAULT_EXPECTED)], CR4_PAE
        mov     byte [MAILBOX(STATE)], GODWIT_STATE_FAULT_REGISTER
        mov     dword [MAILBOX(MAGIC)], GODWIT_MAILBOX_MAGIC
        mov     al, GODWIT_CONSOLE_FAULT
        call    console
        jmp     halt

%include "registers.inc"

        ; rom.ld has this at RESET_VECTOR.
        align   16, db 0
        bits    16
godwit_start:
        jmp     start
        align   16, db 0
