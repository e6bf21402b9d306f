#!/usr/bin/env perl
# The scenarios multifd/postcopy/* and faults/multifd/* can fail: each meets a QEMU that reports something else, or was told
# another number of channels. An editor between Godwit and the QEMU's monitor sees to that. A QEMU
# that refuses the combination is skipped.
#
# SPDX-License-Identifier: MIT
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Cli;
use Test::More;

my ($newest) = grep { /11\./ } unpacked();
plan skip_all => 'no QEMU that takes multifd with postcopy (make qemus)' unless $newest;

my $TAKES = q~if (/"error".*cannot cancel/) { my ($id) = /"id": (\d+)/; $_ = qq({"return": {}, "id": $id}\n) }~;
my $IDLE  = q~if ($from eq 'godwit') { s/"migrate_cancel"/"query-status"/ }~;

my @rows = map { ["multifd/postcopy/$_->[0]", @$_[1, 2]] } (
    ['held', q{s/"multifd-bytes": \d+/"multifd-bytes": 0/}, qr/no bytes were sent over the multifd channels/],
    ['zstd', q{s/"multifd-bytes": (\d+)/"multifd-bytes": ${1}000/}, qr/bytes were sent over the multifd channels for pages of some \d+ bytes/],
    ['channels/changed', q{s/"multifd-channels":5/"multifd-channels":4/}, qr/has 5 TCP connections .*expected 6/],
    ['preempt', q{s/\{"capability":"postcopy-preempt","state":true\}/{"capability":"events","state":true}/}, qr/has 5 TCP connections .*expected 6/],
    ['cancel/postcopy-active', $TAKES, qr/source accepted migrate_cancel in postcopy-active, expected a refusal/],
    ['channels/fewer', q{s/"exec-oob": ?"yank".*?"id"/"exec-oob":"query-yank","id"/}, qr/timed out after .* waiting for the source's migration to end/],
    ['channels/more', q{$name eq 'source' && s/"status": "running"/"status": "paused"/}, qr/run state after the failed migration is "paused"/],
    ['cancel/active', $IDLE, qr/instead of "?cancelled|timed out after .* to be cancelled/],
);
push @rows, (
    ['faults/multifd/active/cut', q{$name eq 'source' && s/"status": "running"/"status": "paused"/}, qr/run state after the failed migration is "paused"/],
    ['faults/multifd/device/kill-source', q{$name eq 'source' && s/"status": "device"/"status": "active"/}, qr/migration is active instead of device|timed out after/],
    ['faults/multifd/postcopy-active/kill-destination', q{$name eq 'source' && s/"status": "(?:finish-migrate|postmigrate|paused)"/"status": "running"/}, qr/the source is alone in a postcopy, .* run state "running"/],
    ['faults/multifd/postcopy-paused/stop-source', q{$name eq 'destination' && s/"status": "postcopy-paused"/"status": "active"/}, qr/timed out after .* postcopy-paused/],
);

my $number = 0;
my @runs = run_all(2, map {
    my ($scenario, $edit) = @$_;
    [['run', $scenario, '--arch', 'x86_64', '--accel', 'tcg', '-w', 'order', '--qemu',
        qemu_edited($edit, $newest, ++$number), '--timeout-scale', '0.2']]
} @rows);
for my $row (@rows) {
    my ($scenario, $edit, $message) = @$row;
    my $run = shift @runs;
    is($run->{status}, 1, "$scenario fails");
    like($run->{out}, qr/^ +what +.*$message/m, "$scenario: $message")
        or diag($edit, $run->{out}, $run->{err});
}

done_testing;
