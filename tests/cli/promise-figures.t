#!/usr/bin/env perl
# The scenarios promise/auto-converge/* can fail: each meets a QEMU that throttles its guest by
# something else than it reports, or in other steps. An editor between Godwit and the QEMU's monitor
# sees to that.
#
# SPDX-License-Identifier: MIT
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Cli;
use Test::More;

my ($newest) = unpacked();
$newest ||= $qemu;
plan skip_all => 'no qemu-system-x86_64' unless $newest;

# Sets the initial throttle and the maximum to P, and reports it as 80.
sub other {
    my ($p) = @_;
    return qq{s/("(?:cpu-throttle-initial|max-cpu-throttle)"): ?\\d+/\$1:$p/g;
        s/("cpu-throttle-percentage"): \\d+/\$1: 80/};
}

my @rows = (
    ['auto-converge/speed', other(1),  qr/throttle of 80 %, but its guest ran at .* of its speed before: expected 40\.0 % or less/],
    ['auto-converge/speed', other(99), qr/throttle of 80 %, but let its guest run for .* of the time only: expected 6\.7 % or more/],
    ['auto-converge/speed', q{s/"cpu-throttle-initial":50/"cpu-throttle-initial":40/}, qr/throttle went from 0 % to 40 %, expected 50 %, and 30 % more/],
    ['auto-converge/tailslow', q{s/("cpu-throttle-tailslow"): ?true/$1:false/}, qr/throttle went from 20 % to 90 % in one step, although/],
);
my $number = 0;
my @runs = run_all(2, map {
    my ($scenario, $edit) = @$_;
    [['run', "promise/$scenario", '--arch', 'x86_64', '--accel', 'tcg', '--workload', 'order', '--qemu',
        qemu_edited($edit, $newest, ++$number)]]
} @rows);
for my $row (@rows) {
    my ($scenario, $edit, $message) = @$row;
    my $run = shift @runs;
    is($run->{status}, 1, "promise/$scenario fails");
    like($run->{out}, $message, "promise/$scenario: $message") or diag($edit, $run->{out}, $run->{err});
}

done_testing;
