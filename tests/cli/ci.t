#!/usr/bin/env perl
# The recipes in examples/ci: the array job of Slurm leaves parts that can be
# merged; the others are YAML whose commands have options that godwit knows.
#
# SPDX-License-Identifier: MIT
use strict;
use warnings;
use Cwd qw(abs_path);
use FindBin;
use lib "$FindBin::Bin/lib";
use Cli;
use File::Temp qw(tempdir);
use Test::More;

my $recipes = abs_path("$FindBin::Bin/../../examples/ci");
my $dir     = tempdir(CLEANUP => 1);
my $fake    = fake('crashes');

for my $part (1, 2) {
    my %array = (ID => $part, MIN => 1, MAX => 2, STEP => 1, COUNT => 2);
    local @ENV{qw(GODWIT GODWIT_ARGUMENTS)} = ($godwit, "'precopy/*/plain' -w order --qemu '$fake'");
    local @ENV{map {"SLURM_ARRAY_TASK_$_"} keys %array} = values %array;
    my $status = system("cd '$dir' && sh '$recipes/slurm.sh' >'log-$part' 2>&1") >> 8;
    is $status, 1, "slurm.sh, part $part: the status is that of the run";
    like slurp("$dir/log-$part"), qr/shard $part of 2: SLURM_ARRAY_TASK_ID=$part/, "slurm.sh, part $part: it is a part";
}
my $merge = run(['report', 'merge', '--gate', '-f', 'text', map {"$dir/part-$_.json"} 1, 2]);
is $merge->{status}, 1, 'slurm.sh: the parts can be merged';
like $merge->{out}, qr/^0 passed, 2 failed/m, 'slurm.sh: the parts are the whole';
my $half = run(['report', 'merge', '-f', 'text', "$dir/part-1.json"]);
is $half->{status}, 2, 'slurm.sh: one part is not the whole';

# Each option of a command of godwit in the recipes is one that its help lists.
for my $file (map {"$recipes/$_"} qw(gitlab.yml github-action.yml kubernetes.yml slurm.sh)) {
    my $text = slurp($file) =~ s/^ *#.*$//mgr;
    my ($count, @unknown) = (0);
    while ($text =~ /(?:godwit|\$\{GODWIT:-godwit\}") (run|report)\b((?: |\\\n|\n +(?=--)|[^\n])*)/g) {
        my ($command, $words) = ($1, $2);
        my $help = run([$command, '--help'])->{out};
        $count++;
        push @unknown, grep { $help !~ /^  (?:-\w, )?--\Q$_\E\b/m } $words =~ /(?<![\w-])--([a-z][a-z-]+)/g;
    }
    ok $count, "$file: it runs godwit";
    is "@unknown", '', "$file: its options exist";
}
SKIP: {
    skip 'no python3-yaml', 3 if system('python3', '-c', 'import yaml') != 0;
    for my $file (qw(gitlab.yml github-action.yml kubernetes.yml)) {
        is system('python3', '-c', 'import sys, yaml; list(yaml.safe_load_all(open(sys.argv[1])))', "$recipes/$file"),
            0, "$file is YAML";
    }
}

done_testing();
