#!/usr/bin/env perl
# The scenarios connections/* can fail: each meets a QEMU whose monitor does not pass on what should
# end the migration. An editor between Godwit and that monitor sees to it.
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

my $IDLE = q~if ($from eq 'godwit') { s/"migrate_cancel"/"query-status"/ }~;
my $PAUSED = q{$name eq 'source' && s/"status": "running"/"status": "paused"/};
my $FEWER = q{s/"multifd-channels":4/"multifd-channels":1/};
my @rows = (
    ['channel/silent/cancel', $IDLE, qr/timed out after .* to be cancelled/],
    # The relay waits for a fourth channel before it lets the main connection through.
    ['main/last', q{s/"multifd-channels":4/"multifd-channels":3/}, qr/timed out after .* proven live/],
    ['channel/cut', $PAUSED, qr/run state after the failed migration is "paused"/],
    ['channel/silent/yank', $FEWER, qr/multifd channel 1 was not recognized by what it sends/],
);

# A QEMU below 8.0 takes the first connection for the main one: nothing may overtake that.
@rows = grep { $_->[0] ne 'main/last' || $newest ne $qemu } @rows;

my $number = 0;
my @runs = run_all(2, map {
    my ($scenario, $edit) = @$_;
    [['run', "connections/$scenario", '--arch', 'x86_64', '--accel', 'tcg', '-w', 'order', '--qemu',
        qemu_edited($edit, $newest, ++$number), '--timeout-scale', '0.2']]
} @rows);
for my $row (@rows) {
    my ($scenario, $edit, $message) = @$row;
    my $run = shift @runs;
    is($run->{status}, 1, "connections/$scenario fails");
    like($run->{out}, qr/^ +what +.*$message/m, "connections/$scenario: $message")
        or diag($edit, $run->{out}, $run->{err});
}

done_testing;
