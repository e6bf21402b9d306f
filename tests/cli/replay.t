#!/usr/bin/env perl
# The folder of a run has a script that repeats it without Godwit; or it says why it has none.
#
# SPDX-License-Identifier: MIT
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Cli;
use Test::More;

plan skip_all => 'no qemu-system-x86_64' unless $qemu;

# A QEMU that passes $MORE to the source only, and so cannot migrate to itself.
my $unlike = script_file('qemu-system-x86_64', <<"END");
#!/bin/sh
case "\$*" in
*-incoming*) exec "$qemu" "\$@" ;;
*-name*) exec "$qemu" "\$@" -device virtio-rng-pci ;;
*) exec "$qemu" "\$@" ;;
esac
END

# The folder of SCENARIO, run with --keep and more arguments.
sub folder_of {
    my ($scenario, @args) = @_;
    my $run = run(['run', $scenario, '--arch', 'x86_64', '--accel', 'tcg', '--keep', @args]);
    my ($folder) = glob "$run->{dir}/cwd/godwit-output/0*";
    return ($folder, $run);
}

# Runs SCRIPT with a folder of its own for temporary files. Returns status, output, and what it left.
sub replay {
    my ($folder, $script) = @_;
    mkdir "$folder/tmp";
    my $said = `TMPDIR=$folder/tmp sh $folder/$script 2>&1`;
    my $status = $? >> 8;
    my @left = glob "$folder/tmp/*";
    my @processes = grep { readlink("$_/cwd") && index(readlink("$_/cwd"), $folder) == 0 } glob '/proc/[0-9]*';
    is("@processes", '', "$script: no process is left");
    return ($status, $said, @left);
}

sub changed {
    my ($folder, $name, $change) = @_;
    local $_ = slurp("$folder/replay.sh");
    $change->() or die "$name: the script has nothing to change";
    open my $file, '>', "$folder/$name" or die "$name: $!";
    print $file $_;
    close $file or die "$name: $!";
    return $name;
}

my ($folder, $run) = folder_of('precopy/unix/plain');
is($run->{status}, 0, 'a run that passes');
ok(-x "$folder/replay.sh", 'it leaves a script');
like(slurp("$folder/report.txt"), qr/^    replay\.sh +repeats the run without Godwit$/m, 'the report names it');
is(`shellcheck -s sh $folder/replay.sh 2>&1`, '', 'shellcheck finds nothing in it') if `which shellcheck`;
my ($status, $said, @left) = replay($folder, 'replay.sh');
is($status, 0, 'the script: exit status');
like($said, qr/^source: \{"execute":"migrate",.*^memory of source and destination: equal\n.*^migration: completed; memory: equal$/ms,
    'it migrates, and memory is equal');
is("@left", '', 'it leaves nothing');

# The destination's guest goes on before the comparison.
my $early = changed($folder, 'early.sh', sub {
    s/^(compare .*)$/send destination 99 '{"execute":"cont","id":99}'\nconsole destination B\n$1/m });
($status, $said, @left) = replay($folder, $early);
is($status, 1, 'memory that differs: exit status');
like($said, qr/differ.*^migration: completed; memory: DIFFERENT$/ms, 'it says so');
like($said, qr/^files: \Q@left\E$/m, 'the files are kept, and named');

# Another binary.
$said = `QEMU=/bin/false TMPDIR=$folder/tmp sh $folder/replay.sh 2>&1`;
like($said, qr/^source: QEMU has ended: /m, 'QEMU=PATH takes that binary');
is($? >> 8, 1, 'a binary that ends at once: exit status');

# A migration that fails does so again, for the same reason.
($folder, $run) = folder_of('precopy/unix/plain', '--qemu', $unlike);
is($run->{status}, 1, 'a run that fails');
($status, $said) = replay($folder, 'replay.sh');
is($status, 1, 'its script: exit status');
like($said, qr/^destination: QEMU has ended: .*load of migration failed|^destination: MIGRATION failed$/m,
    'it shows the failure');

# What a script cannot do.
my %without = (
    'relay/drop-page' => 'it takes Godwit to inject the fault',
    'faults/active/cut' => 'Godwit closed the connection between the QEMUs',
    'precopy/fd/socket' => 'a file descriptor was passed with the next command',
    'guest/suspend' => 'no QEMU was told to migrate',
);
for my $scenario (sort keys %without) {
    ($folder) = folder_of($scenario, '-w', 'order');
    ok(!-e "$folder/replay.sh", "$scenario: no script");
    like(slurp("$folder/report.txt"), qr/^There is no replay\.sh: $without{$scenario}\.$/m, 'the report says why');
}

done_testing;
