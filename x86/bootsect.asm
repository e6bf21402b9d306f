; SPDX-License-Identifier: MIT
;
; x86_bootsect: the `order` guest as a boot sector, for any PC with a BIOS.
;
; Entered in real mode at 0x7c00, where the BIOS puts the first sector of a disk, with cs = 0 at a
; start and cs = 0x07c0 at a wake-up from suspend, by one CPU: there is no room in a sector to start
; others, nor for the `stamp` workload. Of the BIOS it uses nothing but the ACPI tables and the state
; in which it leaves COM1, the console. Memory and registers: order.inc. While the machine is
; suspended the BIOS must leave the sector, the mailbox and the window alone.

%include "guest_abi.inc"
%define REAL_MODE(label) label
%define FIRST_PAGE      PARAM(WINDOW_START)
%define STEP            PARAM(PAGE_SIZE)

STACK_TOP               equ 0x7000

%macro IDENTIFY_CPU 0
%endmacro
%macro CLEAR_OTHERS 0
%endmacro
%macro START_OTHERS 0
%endmacro
%macro UNLESS_FIRST 1
%endmacro
%macro FIRST_TURN 0
%endmacro
%macro UNLESS_NEXT_TURN 1
%endmacro
%macro STAMP_FILL 1
%endmacro
%macro STAMP_RUN 0
%endmacro
%macro IDENTIFY_START 0
%endmacro
%macro IDENTIFY_AGAIN 0
%endmacro
%macro STORE_UPPER 1
%endmacro

; ACPI tables: where the root pointer may be, and offsets of the fields that lead on from it.
RSDP_FIRST              equ 0xe0000
RSDP_END                equ 0x100000
RSDP_STEP               equ 16
RSDP_RSDT               equ 16
RSDT_ENTRIES            equ 36
FADT_FACS               equ 36
FADT_PM1A_CONTROL       equ 64
FACS_WAKING_VECTOR      equ 12

        ; A BIOS wakes up into the waking vector. That and the register that suspends are found
        ; through the ACPI tables; a machine without them is left to halt.
%macro SUSPEND 0
        mov     esi, RSDP_FIRST - RSDP_STEP
%%place:
        add     esi, RSDP_STEP
        cmp     esi, RSDP_END
        je      halt
        cmp     dword [esi], 'RSD '
        jne     %%place
        cmp     dword [esi + 4], 'PTR '
        jne     %%place

        mov     esi, [esi + RSDP_RSDT]
        add     esi, RSDT_ENTRIES
%%table:
        lodsd
        cmp     dword [eax], 'FACP'
        jne     %%table

        mov     edx, [eax + FADT_FACS]
        mov     dword [edx + FACS_WAKING_VECTOR], godwit_start
        mov     edx, [eax + FADT_PM1A_CONTROL]
        mov     eax, SLEEP_TYPE_S3 | SLEEP_ENABLE
        out     dx, ax
%endmacro

        org     0x7c00
        bits    16
godwit_image:
godwit_start:
        cli
        xor     ax, ax
        mov     ds, ax

%include "order.inc"

        ; The signature ends the sector; nasm refuses a negative count, should the code reach it.
        times   510 - ($ - $$) db 0
        dw      0xaa55
