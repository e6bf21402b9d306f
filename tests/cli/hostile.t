#!/usr/bin/env perl
# A small part of `make check-hostile`: every twentieth of its attacks. See tests/hostile.
#
# Runs alone: its parts keep all processors busy, and count what the host has left.
#
# SPDX-License-Identifier: MIT
use strict;
use warnings;
use FindBin;
use Test::More;

my $parts = "$FindBin::Bin/../hostile";
$ENV{HOSTILE_SCALE} = 0.05;
for my $part (qw(storm qemu exhaustion)) {
    open my $output, '-|', 'sh', '-c', 'exec "$0" "$1" 2>&1', $^X, "$parts/$part.t" or die "sh: $!";
    my @lines = readline $output;
    close $output;
    my $status = $?;
    my ($why) = map { /^1\.\.0 # SKIP (.*)/ ? $1 : () } @lines;
    SKIP: {
        skip "$part: $why", 1 if defined $why;
        is($status, 0, $part) or diag grep { !/^ok / } @lines;
    }
}
done_testing();
