#!/usr/bin/env perl
# The scenarios promise/* can fail: each meets a QEMU that was told another bandwidth. An editor
# between Godwit and the QEMU's monitor sees to that.
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
    push @rows, [$name, edit($low{$name}, 4 * $high{$name}), qr{source sent \d+ bytes in .*was set to $low{$name} }],
        [$name, edit($high{$name}, $low{$name}), qr{source sent \d+ bytes a second at most when .*to $high{$name}}];
}
my $number = 0;
# One at a time: a busy host would send no faster than QEMU should.
my @runs = run_all(1, map {
    [['run', "promise/bandwidth/$_->[0]", '--arch', 'x86_64', '--accel', 'tcg', '--qemu',
        qemu_edited($_->[1], $newest, ++$number)]]
} @rows);
for my $row (@rows) {
    my ($scenario, $edit, $message) = @$row;
    my $run = shift @runs;
    is($run->{status}, 1, "promise/bandwidth/$scenario fails");
    like($run->{out}, $message, "promise/bandwidth/$scenario: $message") or diag($edit, $run->{out}, $run->{err});
}

done_testing;
