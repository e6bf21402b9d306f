#!/usr/bin/env perl
# The scenarios promise/* can fail: each meets a QEMU that was told another bandwidth, or another
# downtime. An editor between Godwit and the QEMU's monitor sees to that.
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

# Both bandwidths of plain, TLS and postcopy, and those of multifd.
my %high = (plain => 4 << 20, tls => 4 << 20, postcopy => 4 << 20, multifd => 48 << 20);
my %low = (plain => 1 << 20, tls => 1 << 20, postcopy => 1 << 20, multifd => 6 << 20);

sub edit {
    my ($from, $to) = @_;
    return qq{s/("max-(?:postcopy-)?bandwidth"): ?$from\\b/\$1:$to/};
}

my @rows;
for my $name (sort keys %high) {
    push @rows, ["bandwidth/$name", edit($low{$name}, 4 * $high{$name}), qr{source sent \d+ bytes in .*was set to $low{$name} }];
    # With TLS this is as without.
    push @rows, ["bandwidth/$name", edit($high{$name}, $low{$name}), qr{source sent \d+ bytes a second at most when .*to $high{$name}}]
        if $name ne 'tls';
}
# A downtime is too long, or never comes; the bandwidth for it is that of the migration, or too low.
my $stops = qr{stopped its guest with \d+ bytes left, although downtime-limit was 125 ms};
my $runs = qr{timed out after .* waiting for the source to stop its guest, which downtime-limit allows};
push @rows, ['downtime/limit', q{s/"downtime-limit": ?125\b/"downtime-limit":5000/}, $stops],
    ['downtime/limit', q{s/"downtime-limit": ?2000\b/"downtime-limit":1/}, $runs, '--timeout-scale', 0.1];
push @rows, ['downtime/available', q{s/("avail-switchover-bandwidth"): ?8388608/$1:0/}, $stops],
    ['downtime/available', q{s/("avail-switchover-bandwidth"): ?134217728/$1:0/}, $runs, '--timeout-scale', 0.1]
    if unpacked();
my $number = 0;
# One at a time: a busy host would send no faster than QEMU should.
my @runs = run_all(1, map {
    my ($scenario, $edit, undef, @more) = @$_;
    [['run', "promise/$scenario", '--arch', 'x86_64', '--accel', 'tcg', '--workload', 'order', '--qemu',
        qemu_edited($edit, $newest, ++$number), @more]]
} @rows);
for my $row (@rows) {
    my ($scenario, $edit, $message) = @$row;
    my $run = shift @runs;
    is($run->{status}, 1, "promise/$scenario fails");
    like($run->{out}, $message, "promise/$scenario: $message") or diag($edit, $run->{out}, $run->{err});
}

done_testing;
