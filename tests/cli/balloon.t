#!/usr/bin/env perl
# The scenarios memory/balloon* can fail: numbers that do not arrive, and a device that is not there or
# does not ask for free pages. That wrong pages are found is tested in tests/unit/pattern.c.
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
    my ($program) = @_;
    return qemu_but('*virtio-balloon*', qq{exec perl -e 'my \@a = \@ARGV; $program exec \@a' "$qemu" "\$@"},
        'with-' . ++$number);
}
sub edited { my ($edit, $real) = @_; return qemu_edited($edit, $real // $qemu, ++$number) }

my @rows = (
    # What query-balloon reports: one page less.
    ['', edited(q{s/"actual": (\d+)/'"actual": ' . ($1 - 4096 * ($name eq 'destination'))/e}),
        qr/destination: query-balloon reports \d+ bytes, expected \d+ with 64 pages in the balloon/],
    ['/undriven', edited(q{s/"actual": (\d+)/'"actual": ' . ($1 - 4096 * ($name eq 'destination'))/e}),
        qr/destination: query-balloon reports \d+ bytes, expected \d+ with 0 pages in the balloon/],
    # What is wanted during the migration: one page more.
    ['', edited(q{our $asked; $_ = s/"value":(\d+)/'"value":' . ($1 - 4096)/er if /"execute":"balloon"/ && $asked++}),
        qr/destination: the balloon asks for 161 pages, expected 160/],
    ['', edited(q{s/"device": 4165/"device": 4166/g}), qr/source: query-pci lists no virtio-balloon/],
    ['/free-page-hint', with('s/,free-page-hint=on// for @a;'),
        qr/the source's virtio-balloon with free-page-hint=on has no such feature/],
    # With postcopy-ram on, a QEMU never asks for free pages.
    ['/free-page-hint', edited(q{s/"capabilities":\s*\[/"capabilities": [{"capability": "postcopy-ram", "state": true},/}),
        qr/timed out after .* waiting for (?:the virtio-balloon to ask for free pages|the source's answer to|an answer)/,
        '--timeout-scale', '0.2'],
);
ok_rows('memory/balloon', @rows);
ok_rows('background-snapshot/balloon', ['', edited(q{s/"actual": (\d+)/'"actual": ' . ($1 - 4096 * ($name eq 'destination'))/e}),
    qr/destination: query-balloon reports \d+ bytes, expected \d+ with 64 pages in the balloon/]);

done_testing;
