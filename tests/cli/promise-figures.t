#!/usr/bin/env perl
# The scenarios of figures that QEMU reports can fail: each meets a QEMU that reports something else
# than it does. An editor between Godwit and the QEMU's monitor sees to that.
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
    ['auto-converge/speed', other(1),  qr/throttle of 80 %, but its guest ran at .* of its speed before: expected 70\.0 % or less/],
    ['auto-converge/tailslow', q{s/("cpu-throttle-tailslow"): ?true/$1:false/}, qr/throttle went from 20 % to 90 % in one step, although/],
    ['downtime/expected', q{s/("expected-downtime": \d+)/${1}0/}, qr/reported an expected downtime of \d{4,} ms, but what was left took/],
    ['downtime/expected', q{s/("downtime": \d+)\d\b/$1/}, qr/reported a downtime of \d+ ms, in which it sent \d+ bytes over a network that needs/],
    ['remaining', q{s/("remaining": \d+)/${1}00/g}, qr/reports ram.remaining: \d+ in iteration 1, expected \d+ or less/],
    ['remaining', q{s/("remaining"): 0\b/$1: 1/ if /"completed"/}, qr/reports ram.remaining: 1 after the migration, expected 0/],
);
my $number = 0;
my @runs = run_all(3, map {
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
