#!/usr/bin/env perl
# The scenarios exit-on-error/* can fail: each meets a QEMU that does the contrary of what it was
# told, or reports less or more. An editor between Godwit and the QEMU's monitor sees to that.
#
# SPDX-License-Identifier: MIT
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Cli;
use Test::More;

# The argument is younger than the installed QEMU.
my ($newest) = unpacked();
plan skip_all => 'no QEMU in build/qemus (make qemus)' unless $newest;

my $DIES  = q{s/"exit-on-error":false/"exit-on-error":true/};
my $LIVES = q{s/"exit-on-error":true/"exit-on-error":false/};
my $MUTE  = q{$from eq 'qemu' && $name eq 'destination' && s/, "error-desc": "[^"]*"//};
my $AGAIN = q{if (/"error".*already been started/) }
    . q{{ my ($id) = /"id": (\d+)/; $_ = qq({"return": {}, "id": $id}\n) }};
my $RUNS = q{$name eq 'destination' && s/"status": "inmigrate"/"status": "running"/};

my $ended = qr/destination's QEMU exited with status 1/;
my $still = qr/timed out after .* waiting for the destination's QEMU to end/;
my @rows = (
    (map { ["false/$_", $DIES, $ended] } qw(magic version uuid cut multifd quit-source)),
    (map { ["false/$_", $MUTE, qr/"failed" with error-desc "", expected/] } qw(version uuid cut)),
    ['false/cut', $AGAIN, qr/accepted a second migrate-incoming after its migration failed/],
    ['false/cut', $RUNS, qr/run state after its migration failed is "running"/],
    (map { ["true/$_", $LIVES, $still] } qw(magic uuid cut quit-source)),
);

my $number = 0;
my @runs = run_all(2, map {
    my ($scenario, $edit, $message) = @$_;
    [['run', "exit-on-error/$scenario", '--arch', 'x86_64', '--accel', 'tcg', '--qemu',
        qemu_edited($edit, $newest, ++$number), $message == $still ? ('--timeout-scale', '0.1') : ()]]
} @rows);
for my $row (@rows) {
    my ($scenario, $edit, $message) = @$row;
    my $run = shift @runs;
    is($run->{status}, 1, "exit-on-error/$scenario fails");
    like($run->{out}, qr/^ +what +.*$message/m, "exit-on-error/$scenario: $message") or diag($edit);
}

done_testing;
