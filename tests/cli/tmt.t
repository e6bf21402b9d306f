#!/usr/bin/env perl
# The test of tmt in examples/tmt: its metadata and its results have the members and values that tmt's
# schemas allow.
#
# SPDX-License-Identifier: MIT
use strict;
use warnings;
use Cwd qw(abs_path);
use FindBin;
use lib "$FindBin::Bin/lib";
use Cli;
use File::Temp qw(tempdir);
use JSON::PP;
use Test::More;

my $example = abs_path("$FindBin::Bin/../../examples/tmt");
my $yaml    = system('python3', '-c', 'import yaml') == 0;
my $python  = 'import json, sys, yaml; print(json.dumps(yaml.safe_load(open(sys.argv[1]))))';

# The keys that a test of tmt may have, with and without "+", which adds to what is inherited.
my %allowed = map { $_ => 1 } qw(adjust check component contact description duration enabled environment framework
    id link manual order path recommend require result summary tag test tier tty);
SKIP: {
    skip 'no python3-yaml', 1 unless $yaml;
    for my $file ('plan.fmf', 'migration.fmf') {
        open my $pipe, '-|', 'python3', '-c', $python, "$example/$file" or die "python3: $!";
        my $tree = eval { JSON::PP->new->utf8->decode(join '', <$pipe>) };
        close $pipe;
        ok $tree, "$file is YAML" or next;
        if ($file eq 'plan.fmf') {
            is join(' ', sort keys %$tree), 'discover execute prepare provision summary', 'the plan has the steps of tmt';
            next;
        }
        my @tests = map { $tree->{$_} } grep {m{^/}} keys %$tree;
        is @tests, 2, 'there are two tests';
        for my $node ($tree, @tests) {
            my @unknown = grep { !m{^/} && !$allowed{ s/\+$//r } } keys %$node;
            is "@unknown", '', 'no key that tmt does not know';
            like $node->{duration} // '1m', qr/^[0-9]+[smhd]?$/, 'the duration';
            is ref($node->{environment} // {}), 'HASH', 'the environment';
        }
        is $tree->{result}, 'custom', 'the results are those of results.yaml';
        ok -x "$example/run.sh" && $tree->{test} eq './run.sh', 'the program is there';
    }
}

# What run.sh leaves with ARGUMENTS: its status and the results.
sub results {
    my ($arguments) = @_;
    my $dir = tempdir(CLEANUP => 1);
    local @ENV{qw(TMT_TEST_DATA GODWIT GODWIT_ARGUMENTS)} = ($dir, $godwit, $arguments);
    my $status = system("'$example/run.sh' >'$dir/log' 2>&1") >> 8;
    my $list = eval { JSON::PP->new->utf8->decode(slurp("$dir/results.yaml")) } || [];
    for my $entry (@$list) {
        my @wrong = grep { !/^(name|result|duration|note)$/ } keys %$entry;
        push @wrong, 'name' unless $entry->{name} =~ m{^/};
        push @wrong, 'result' unless $entry->{result} =~ /^(pass|info|warn|error|fail|skip)$/;
        push @wrong, 'duration' unless ($entry->{duration} // '00:00:00') =~ /^[0-9]{2,}:[0-5][0-9]:[0-5][0-9]$/;
        push @wrong, 'note' if ref $entry->{note};
        is "@wrong", '', "a result that tmt takes: $entry->{name}";
    }
    return ($status, { map { $_->{name} => $_ } @$list });
}

my $crashes = fake('crashes');
my ($status, $results) = results("precopy/unix/plain --repeat 2 --qemu $crashes -w order");
is $status, 1, 'a failure: exit status';
is join(' ', map { "$_:$results->{$_}{result}" } sort keys %$results),
    '/x86_64/precopy/unix/plain/1:fail /x86_64/precopy/unix/plain/2:fail', 'a failure: a result for each repetition';
like $results->{'/x86_64/precopy/unix/plain/1'}{note} // '', qr/\S/, 'a failure: its message';
($status, $results) = results('--qemu /nonexistent');
isnt $status, 0, 'no QEMU: exit status';
is $results->{'/'}{result}, 'error', 'no QEMU: an error, not an empty file';
SKIP: {
    skip 'no qemu-system-x86_64', 3 unless $qemu;
    ($status, $results) = results("guest/suspend precopy/fd/file --arch x86_64 --qemu '$qemu' -w stamp");
    is $status, 0, 'a pass: exit status';
    my ($pass) = grep {m{precopy/fd/file$}} keys %$results;
    is $results->{ $pass // '' }{result}, 'pass', 'a pass';
    like $results->{ $pass // '' }{note}, qr/bytes equal/, 'a pass: what it proves';
}

done_testing();
