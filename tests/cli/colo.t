#!/usr/bin/env perl
# The scenarios colo/* can fail: each meets a QEMU that reports another status than it has. An editor
# between Godwit and the QEMU's monitor sees to that.
#
# SPDX-License-Identifier: MIT
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Cli;
use Test::More;

# In older ones, no pair is made.
my ($newest) = grep { m{/11\.} } unpacked();
plan skip_all => 'no QEMU 11 in build/qemus (make qemus)' unless $newest;

my @rows = (
    ['plain/primary', q{s/"mode": "secondary"/"mode": "none"/ if $from eq 'qemu'},
        qr/destination's query-colo-status reports mode "none", expected "secondary"/],
    ['plain/secondary', q{s/"last-mode": "secondary"/"last-mode": "primary"/ if $from eq 'qemu'},
        qr/destination's query-colo-status reports last-mode "primary", expected "secondary"/],
    ['plain/secondary', q{s/("mode": )"secondary"/$1"primary"/ if /COLO_EXIT/},
        qr/destination left COLO as mode "primary", expected "secondary"/],
    ['plain/primary', q{s/"status": "colo"/"status": "active"/ if $from eq 'qemu' && !/"event"/},
        qr/(?:source|destination)'s migration is "active" instead of "colo"/],
    ['no-return-path', q{if ($from eq 'qemu' && $name eq 'source') { s/"status": "running"/"status": "paused"/ }},
        qr/source's run state after the refusal is "paused"/],
);
my $number = 0;
my @runs = run_all(2, map {
    my ($scenario, $edit) = @$_;
    [['run', "colo/$scenario", '--arch', 'x86_64', '--accel', 'tcg', '--workload', 'order', '--qemu', qemu_edited($edit, $newest, ++$number)]]
} @rows);
for my $row (@rows) {
    my ($scenario, $edit, $message) = @$row;
    my $run = shift @runs;
    is($run->{status}, 1, "colo/$scenario fails");
    like($run->{out}, $message, "colo/$scenario: $message") or diag($edit, $run->{out}, $run->{err});
}

done_testing;
