#!/usr/bin/env perl
# The scenarios address/* can fail: each meets a QEMU that listens elsewhere, or does not know the
# argument. An editor between Godwit and the QEMU's monitor sees to that.
#
# SPDX-License-Identifier: MIT
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Cli;
use Test::More;

my ($newest) = unpacked();
plan skip_all => 'no QEMU in build/qemus (make qemus)' unless $newest;

my @rows = (
    ['tcp/ipv6', q{s/\[::1\]/127.0.0.1/}, qr/reports that it listens at 127\.0\.0\.1, expected ::1/],
    ['unix/channels', q{s/"channels"/"chanels"/}, qr/Parameter 'chanels' is unexpected/],
    ['file/channels', q{s/"channels"/"chanels"/}, qr/Parameter 'chanels' is unexpected/],
);
my $number = 0;
my @runs = run_all(2, map {
    [['run', "address/$_->[0]", '--arch', 'x86_64', '--accel', 'tcg', '--qemu',
        qemu_edited($_->[1], $newest, ++$number)]]
} @rows);
for my $row (@rows) {
    my ($scenario, $edit, $message) = @$row;
    my $run = shift @runs;
  SKIP: {
        skip 'no IPv6 here', 2 if $run->{out} =~ /^skip .* needs the IPv6 address/m;
        is($run->{status}, 1, "address/$scenario fails");
        like($run->{out}, qr/^ +what +.*$message/m, "address/$scenario: $message")
            or diag($edit, $run->{out}, $run->{err});
    }
}

done_testing;
