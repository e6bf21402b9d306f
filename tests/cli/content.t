#!/usr/bin/env perl
# Content of the workload stamp for which the user does not choose reaches the guest: mixed by
# default, and that of the scenario if it has one.
#
# SPDX-License-Identifier: MIT
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Cli;
use File::Temp qw(tempdir);
use Test::More;

my ($newest) = unpacked();
$newest ||= $qemu;
plan skip_all => 'no qemu-system-x86_64' unless $newest;

my ($SPARSE, $ZERO, $CONTENT) = (0x20000, 0x40000, 0x60000);    # GODWIT_FLAG_*
my $dir = tempdir(CLEANUP => 1);
my @rows = (
    ['precopy/unix/plain', 'stamp', $SPARSE | $ZERO],
    ['precopy/unix/xbzrle', 'stamp', $SPARSE],
    ['precopy/unix/plain', 'stamp:zero', $ZERO],
    ['precopy/unix/plain', 'stamp:whole', 0],
);
my $number = 0;
my @runs = run_all(2, map {
    my ($scenario, $workload) = @$_;
    [['run', $scenario, '--arch', 'x86_64', '--accel', 'tcg', '--workload', $workload, '--qemu', $newest,
        '--keep', '--output', "$dir/" . ++$number]]
} @rows);
for my $i (0 .. $#rows) {
    my ($scenario, $workload, $wanted) = @{$rows[$i]};
    is($runs[$i]{status}, 0, "$scenario, $workload") or diag($runs[$i]{out}, $runs[$i]{err});
    my ($path) = glob "$dir/@{[$i + 1]}/*/result.json";
    my ($flags) = map { /"flags":\s*(\d+)/ } slurp($path);
    is($flags & $CONTENT, $wanted, 'its content is in the guest');
}
done_testing;
