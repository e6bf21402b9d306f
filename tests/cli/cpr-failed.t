#!/usr/bin/env perl
# The scenarios cpr-failed/* can fail: each meets a QEMU that accepts what it must refuse, gives no
# reason, or loses the guest's run state. An editor between Godwit and the QEMU's monitor sees to that.
#
# SPDX-License-Identifier: MIT
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Cli;
use Test::More;

# cpr-transfer is younger than the installed QEMU.
my ($newest) = unpacked();
plan skip_all => 'no QEMU in build/qemus (make qemus)' unless $newest;

my $EVENT = '{"timestamp": {"seconds": 1, "microseconds": 1}, "event": "MIGRATION", '
    . '"data": {"status": "setup"}}';

# What QEMU refuses for that reason, it accepts.
sub accepts {
    my ($reason) = @_;
    return <<"END";
if (/"error".*$reason/) {
    my (\$id) = /"id": (\\d+)/;
    \$_ = qq({"return": {}, "id": \$id}\\n);
}
END
}
my $BEGINS = qq{if (/"error".*missing/) { \$_ = '$EVENT' . "\\n\$_" }};
my $MUTE   = q{$from eq 'qemu' && s/, "error-desc": "[^"]*"//};
my $PAUSED = q{$name eq 'source' && s/"status": "running"/"status": "paused"/};
my $STOPS  = q{if ($name eq 'source' && /"event": "RESUME"/ && $main::resumed++) { $_ = '' }};

my $accepted = qr/source accepted a migration in mode cpr-\w+ that must be refused/;
my $silent   = qr/query-migrate reports "failed" with error-desc "", expected "failed" with a reason/;
my @rows = (
    ['transfer/no-channel', accepts('missing'), $accepted],
    ['transfer/no-channel', $BEGINS, qr/refused migration is none, and setup by its events/],
    ['transfer/private', accepts('not compatible'), $accepted],
    ['transfer/nobody', $MUTE, $silent],
    ['transfer/nobody', $PAUSED, qr/run state after the CPR that failed is "paused"/],
    ['exec/no-command', accepts('requires setting'), $accepted],
    ['exec/bad-command', $MUTE, $silent],
    ['exec/bad-command', $STOPS, qr/timed out after .* waiting for .*RESUME/],
    ['exec/bad-file', $MUTE, $silent],
);

my $number = 0;
my @runs = run_all(2, map {
    my ($scenario, $edit) = @$_;
    [['run', "cpr-failed/$scenario", '--arch', 'x86_64', '--accel', 'tcg', '--qemu',
        qemu_edited($edit, $newest, ++$number), $edit eq $STOPS ? ('--timeout-scale', '0.1') : ()]]
} @rows);
for my $row (@rows) {
    my ($scenario, $edit, $message) = @$row;
    my $run = shift @runs;
  SKIP: {
        skip "$newest has no cpr-exec", 2 if $run->{out} =~ /^skip .* needs mode cpr-exec/m;
        is($run->{status}, 1, "cpr-failed/$scenario fails");
        like($run->{out}, qr/^ +what +.*$message/m, "cpr-failed/$scenario: $message")
            or diag($edit, $run->{out}, $run->{err});
    }
}

done_testing;
