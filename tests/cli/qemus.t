#!/usr/bin/env perl
# Every QEMU that is there, installed or unpacked by `make qemus`, loads its own modules and no other
# QEMU's: it lists its devices, which loads all of them, and Godwit's probing finds it usable. QEMUS
# names the folder of the unpacked ones.
#
# SPDX-License-Identifier: MIT
use strict;
use warnings;
use Cwd qw(abs_path);
use FindBin;
use lib "$FindBin::Bin/lib";
use Cli;
use Test::More;

my $folder  = $ENV{QEMUS} || abs_path("$FindBin::Bin/../..") . '/build/qemus';
chomp(my @targets = `"$FindBin::Bin/../../mk/arches.sh"`);

for my $place ('installed', map {"$folder/$_"} qw(10.0 11.1)) {
  SKIP: {
        my @folders = $place eq 'installed' ? split(/:/, $ENV{PATH}) : "$place/bin";
        skip "no QEMU in $place (make qemus)", 1
            unless grep { -x "$_/qemu-system-x86_64" } @folders;
        for my $target (@targets) {
            my ($binary) = grep { -x } map {"$_/qemu-system-$target"} @folders;
          SKIP: {
                skip "$place: no QEMU for $target", 2 unless $binary;
                my $run = run(['-device', 'help'], command => [$binary]);
                is($run->{status}, 0, "$place: -device help for $target")
                    or diag("$run->{err}\n(an older tree: make qemus unpacks it anew)");
                my $probe = run(['doctor', '--arch', $target, '--qemu', $binary, '--accel', 'tcg']);
                skip "$place: $1", 1 if $probe->{err} =~ /^godwit: ($target .* is left out: its pages .*)/m;
                is($probe->{status}, 0, "$place: godwit doctor for $target")
                    or diag($probe->{err});
            }
        }
    }
}

done_testing();
