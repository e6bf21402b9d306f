#!/usr/bin/env perl
# The scenarios malformed/multifd/* and malformed/bitmaps/* can fail: QEMUs that get what is not damaged, and
# that end as if nothing were wrong.
#
# SPDX-License-Identifier: MIT
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Cli;
use Test::More;

plan skip_all => 'no qemu-system-x86_64' unless $qemu;

# One whose exit status is 0, whatever happens.
my $fine = qemu_but('*incoming*', qq{"$qemu" "\$@"; exit 0}, 'fine');

ok_rows('malformed/bitmaps/',
    ['bits/huge', $fine, qr/destination exited with status 0; after a failed migration it should exit/]);

# Without multifd there is no channel whose data could be changed.
my $alone = qemu_edited(q{s/("capability": ?"multifd", ?"state": ?)true/$1false/ if $from eq 'godwit';}, $qemu, 'alone');
ok_rows('malformed/multifd/',
    ['packet/magic', $alone, qr/the source sent nothing that the relay could change/],
    ['packet/version', $fine, qr/destination exited with status 0; after a failed migration it should exit/]);

# A destination that reads the stream as it was. The source writes by file:, which 7.2 does not have: its
# descriptors do not get through.
my ($newest) = unpacked();
SKIP: {
    skip 'no QEMU in build/qemus (make qemus)', 1 unless $newest;
    my $whole = qemu_edited(q{s/damaged[.]stream/migrate.stream/ if $from eq 'godwit';}, $newest, 'whole');
    ok_rows('malformed/bitmaps/',
        ['start/flags', $whole, qr/the destination took the stream/],
        ['node/unknown', $whole, qr/the destination reports nothing about the bitmap/]);
}

done_testing;
