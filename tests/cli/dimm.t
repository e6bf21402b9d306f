#!/usr/bin/env perl
# The scenarios memory/dimm* can fail: a DIMM that is not migrated, or is elsewhere, and QEMUs that do
# not refuse what they must.
#
# SPDX-License-Identifier: MIT
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Cli;
use Test::More;

plan skip_all => 'no qemu-system-x86_64' unless $qemu;

my $number = 0;

# A QEMU whose arguments PROGRAM, Perl code, changes in @a.
sub with { my ($program) = @_; return qemu_but('*pc-dimm*', qq{exec perl -e 'my \@a = \@ARGV; $program exec \@a' "$qemu" "\$@"}, 'with-' . ++$number) }
sub edited { my ($edit, $real) = @_; return qemu_edited($edit, $real // $qemu, ++$number) }

# A shared DIMM of each side's own, and x-ignore-shared: it is not sent.
my $UNSENT = edited(q{s/"capabilities":\s*\[/"capabilities": [{"capability": "x-ignore-shared", "state": true},/},
    with('s/id=dimm-memory,.*/$&,share=on/ for @a;'));
# The answers to device_add, in order: the second one is given after the migration.
my $ADDS = q{our ($add, $adds); if ($from eq 'godwit' && /"device_add"/) { $add = /"id":\s*(\d+)/ && $1; $adds++ } }
    . q{my $answer = defined $add && $from eq 'qemu' && /"id": $add\b/;};

my @rows = (
    ['', $UNSENT, qr/twin: \d+ bytes in 19[23] pages differ/],
    ['', $UNSENT, qr/destination: 0x00 at offset 0x0 of the DIMM, expected 0x[0-9a-f]{2}/, '--oracle', 'page-order'],
    ['', with('grep { $_ eq "defer" } @a and s/^pc-dimm,/$&addr=0x140000000,/ for @a;'),
        qr/the DIMM is at 0x100000000 on the source and at 0x140000000 on the destination/],
    ['', edited(q{s/"return": \[.*\]/"return": []/ if m{"memdev": "/objects}}),
        qr/source: query-memory-devices lists \[\], expected the DIMM "dimm" alone/],
    ['/during', edited("$ADDS " . q~$_ = qq({"return": {}, "id": $add}\n) if $answer && $adds == 1~),
        qr/device_add during a migration: refused: the source obeyed/],
    ['/during', edited("$ADDS " . q~s/"desc": "[^"]*"/"desc": ""/ if $answer && $adds == 1~),
        qr/device_add during a migration: refused: the error has no class or no text/],
    ['/during', edited("$ADDS " . q~$_ = qq({"error": {"class": "GenericError", "desc": "no"}, "id": $add}\n) if $answer && $adds == 2~),
        qr/device_add after the migration: obeyed: the source refused it after the migration, too/],
);
ok_rows('memory/dimm', @rows);

done_testing;
