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

# QEMU 7.2 skips one of these scenarios, and now and then meets a known bug in the others
# (multifd-cancel-hangs).
my ($newest) = unpacked();
plan skip_all => 'no QEMU in build/qemus (make qemus)' unless $newest;

my $IDLE = q~if ($from eq 'godwit') { s/"migrate_cancel"/"query-status"/ }~;
my $PAUSED = q{$name eq 'source' && s/"status": "running"/"status": "paused"/};
my $FEWER = q{s/"multifd-channels":4/"multifd-channels":1/};
my @rows = (
    ['channel/silent/cancel', $IDLE, qr/timed out after .* to be cancelled/],
    # The relay waits for a fourth channel before it lets the main connection through.
    ['main/last', q{s/"multifd-channels":4/"multifd-channels":3/}, qr/timed out after .* proven live/],
    ['channel/cut', $PAUSED, qr/run state after the failed migration is "paused"/],
    ['preempt/silent', q{s/(postcopy-preempt"[^\}]*)true/${1}false/}, qr/was not recognized as the preempt channel/],
    ['preempt/cut', q{$name eq 'destination' && s/"status": "postcopy-paused"/"status": "active"/}, qr/timed out after .* postcopy-paused/],
    # The relay waits for channel 3 before it lets the others through.
    ['channel/reversed', q{s/"multifd-channels":4/"multifd-channels":3/}, qr/timed out after .* proven live/],
    ['channel/slow', $FEWER, qr/multifd channel 1 was not recognized by what it sends/],
    ['preempt/late', q{s/(postcopy-preempt"[^\}]*)true/${1}false/}, qr/run state without the preempt channel is|was not recognized as the preempt channel/],
    ['preempt/page', q{s/(postcopy-preempt"[^\}]*)true/${1}false/}, qr/timed out after .* to pass over the preempt channel/],
    ['preempt/header', q{$name eq 'destination' && s/"status": "postcopy-paused"/"status": "active"/}, qr/timed out after .* postcopy-paused/],
    ['channel/silent/yank', $FEWER, qr/multifd channel 1 was not recognized by what it sends/],
);

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
