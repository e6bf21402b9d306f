#!/usr/bin/env perl
# The scenarios memory/virtio-mem* can fail: memory that is not migrated or not discarded, sizes that
# do not arrive, and QEMUs that do not refuse what they must.
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
sub with {
    my ($program, $rest) = @_;
    $rest //= '';
    return qemu_but('*virtio-mem-pci*', qq{exec perl -e 'my \@a = \@ARGV; $program exec \@a' "$qemu" "\$@" $rest},
        'with-' . ++$number);
}
sub edited { my ($edit, $real) = @_; return qemu_edited($edit, $real // $qemu, ++$number) }

# Each side's memory is a file of its own, and x-ignore-shared: it is not sent, and what was in the
# destination's stays there.
my $UNSENT = edited(q{s/"capabilities":\s*\[/"capabilities": [{"capability": "x-ignore-shared", "state": true},/},
    with('s/id=plug-memory,.*/$&,share=on/ for @a;'));
my $ON_DESTINATION = 'grep { $_ eq "defer" } @a and';

my @rows = (
    ['', $UNSENT, qr/twin: \d+ bytes in \d+ pages differ/],
    ['', $UNSENT, qr/destination: 0x[0-9a-f]{2} at offset 0x0 of the virtio-mem device, expected 0x[0-9a-f]{2}/,
        '--oracle', 'page-order'],
    ['', with("$ON_DESTINATION s/^virtio-mem-pci,/\$&memaddr=0x101000000,/ for \@a;"),
        qr/the memory of virtio-mem is at 0x100000000 on the source and at 0x101000000 on the destination/],
    ['', with('s/requested-size=5M/requested-size=3M/ for @a;'),
        qr/source: virtio-mem answers PLUG of block 4 with NACK, expected ACK/],
    # What is requested during the migration.
    ['', edited(q{s/6291456/7340032/ if $from eq 'godwit' && /"qom-set"/}),
        qr/source: virtio-mem has 4194304 bytes plugged of 7340032 requested, expected 4194304 of 6291456/],
    ['/undriven', edited(q{s/"requested-size": 6291456/"requested-size": 4194304/ if $name eq 'destination'}),
        qr/destination: virtio-mem has 0 bytes plugged of 4194304 requested, expected 0 of 6291456/],
    ['/undriven', edited(q{s/"size": 0,/"size": 1048576,/ if $name eq 'destination'}),
        qr/destination: virtio-mem has 1048576 bytes plugged of 6291456 requested, expected 0 of 6291456/],
    ['', edited(q{s/"device": 4184/"device": 4185/g}), qr/source: query-pci lists no virtio-mem/],
    ['', edited(q{s/virtio-pci-notify-virtio-mem/notify/g}),
        qr/no address leads to virtio-pci-notify-virtio-mem/, 'skip'],
    ['/refused/block-size', with("$ON_DESTINATION s/block-size=2M/block-size=1M/ for \@a;"),
        qr/the source's migration ended as completed instead of failed/],
    ['/refused/address', with("$ON_DESTINATION s/,memaddr=.*//, s/block-size=1M/block-size=2M/ for \@a;"),
        qr/the destination's virtio-mem has another "memaddr", and it ended without naming that: ".*block-size/],
);
ok_rows('memory/virtio-mem', @rows);
ok_rows('background-snapshot/virtio-mem',
    ['', edited(q{s/"size": 4194304,/"size": 5242880,/ if $name eq 'destination'}),
        qr/destination: virtio-mem has 5242880 bytes plugged of 4194304 requested, expected 4194304 of 4194304/]);

done_testing;
