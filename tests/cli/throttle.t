#!/usr/bin/env perl
# What keeps a throttled migration from ending: a QEMU that knows avail-switchover-bandwidth must
# not go by the rate that it has measured, which is zero after a period without pages to send. The
# monitor's transcript shows what was set. The QEMUs of `make qemus` are tried if they are there.
#
# SPDX-License-Identifier: MIT
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Cli;
use File::Glob qw(bsd_glob);
use File::Temp qw(tempdir);
use Test::More;

plan skip_all => 'no qemu-system-x86_64' unless $qemu;

for my $binary ($qemu, unpacked()) {
    my $output = tempdir(CLEANUP => 1);
    my $run    = run(['run', 'file/plain', '-w', 'order', '--arch', 'x86_64', '--accel', 'tcg', '--qemu',
        $binary, '--keep', '-o', $output, '--allow-all-skipped']);
    is($run->{status}, 0, "$binary: exit status");
    my ($transcript) = bsd_glob("$output/*/source.qmp");
    if (!$transcript) {
        like($run->{out}, qr/^skip/m, "$binary: the scenario is skipped");
        next;
    }
    open my $file, '<', $transcript or die "$transcript: $!";
    my @set = grep { />.*migrate-set-parameters/ } <$file>;
    close $file;
    my @rates = map { /"avail-switchover-bandwidth":(\d+)/ ? $1 : 'none' } @set;
    cmp_ok(scalar @rates, '>=', 2, "$binary: it is throttled, and then it is not");
    my $knows = $run->{out} !~ /7\.2/ && grep { $_ ne 'none' } @rates;
    ok($knows || $binary eq $qemu, "$binary: the rate is set");
    next unless $knows;
    is($rates[0],  1048576, "$binary: the rate while it is throttled");
    is($rates[-1], 0,       "$binary: QEMU's own rate afterwards");
}

done_testing;
