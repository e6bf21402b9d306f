#!/usr/bin/env perl
# Results are an interface: what --format json writes is what docs/results.schema.json says, of each
# outcome that a scenario can have. The schema is seen to refuse what is wrong.
#
# SPDX-License-Identifier: MIT
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Cli;
use JSON::PP ();
use Test::More;

my $schema = "$FindBin::Bin/../../docs/results.schema.json";
my ($python) = grep { system("$_ -c 'import jsonschema' >/dev/null 2>&1") == 0 } qw(python3 /usr/bin/python3);
plan skip_all => 'no python3 with jsonschema (Debian: python3-jsonschema)' unless $python;

# Whether the file is as the schema says.
sub valid {
    my ($path, $name, @how) = @_;
    my $said = `$python $FindBin::Bin/lib/schema.py @how '$schema' '$path' 2>&1`;
    return is($? . $said, 0, $name);
}

sub document_of { return JSON::PP->new->utf8->decode(slurp($_[0])) }

# The results of a run in a file, which is valid.
sub written {
    my ($name, @args) = @_;
    my $run  = run([@args, '--format', 'json:results.json']);
    my $path = "$run->{dir}/cwd/results.json";
    valid($path, "$name: valid, and nothing undescribed", '--strict') or diag($run->{err});
    return ($path, document_of($path));
}

my @fails = ('--accel', 'tcg', '--qemu', fake('crashes'));
my ($path, $document) = written('failures and what did not run', 'run', 'precopy/unix/plain',
    'precopy/tcp/plain', @fails, qw(-j1 --until-fail --repeat 2));
is_deeply([map { $_->{status} } @{$document->{results}}], [qw(fail error error error)],
    'failures and what did not run: statuses');
is($document->{results}[1]{kind}, 'not-run', 'what did not run: kind');
(undef, $document) = written('a skip', qw(run guest/suspend --allow-all-skipped --accel tcg --qemu),
    fake('crashes-riscv64'));
is($document->{results}[0]{status}, 'skip', 'a skip: status');
(undef, $document) = written('a skip while it runs', qw(run precopy/unix/plain --allow-all-skipped --accel tcg --qemu),
    fake('poor'));
(undef, $document) = written('hostile words', qw(run precopy/unix/plain --accel tcg --qemu), fake('hostile-crashes'));
is($document->{results}[0]{status}, 'fail', 'hostile words: status');

# The schema refuses what it must.
my %damage = (
    'another version' => sub { $_[0]{format} = 2 },
    'no selection' => sub { delete $_[0]{selection} },
    'an unknown status' => sub { $_[0]{results}[0]{status} = 'good' },
    'no scenario' => sub { delete $_[0]{results}[0]{scenario} },
    'a time that is text' => sub { $_[0]{results}[0]{ms} = 'long' },
    'a shard 0' => sub { $_[0]{selection}{shard} = 0 },
);
for my $name (sort keys %damage) {
    my $damaged = document_of($path);
    $damage{$name}->($damaged);
    my $file = script_file('damaged.json', '');
    open my $handle, '>', $file or die "$file: $!";
    print $handle JSON::PP->new->utf8->encode($damaged);
    close $handle or die "$file: $!";
    system("$python $FindBin::Bin/lib/schema.py '$schema' '$file' >/dev/null 2>&1");
    is($? >> 8, 1, "the schema refuses $name");
}
{
    my $more = document_of($path);
    $more->{results}[0]{later} = 1;
    my $file = script_file('more.json', '');
    open my $handle, '>', $file or die "$file: $!";
    print $handle JSON::PP->new->utf8->encode($more);
    close $handle or die "$file: $!";
    valid($file, 'a member that comes later is no error for a reader');
    system("$python $FindBin::Bin/lib/schema.py --strict '$schema' '$file' >/dev/null 2>&1");
    is($? >> 8, 1, 'but Godwit itself must not write it');
}

# The fingerprint: equal for each shard and on each run, different for any other selection.
my @selections = map { (written("selection $_->[0]", 'run', 'precopy/*/plain', @fails, @{$_->[1]}))[1]{selection} } (
    ['1/2', ['--shard', '1/2', '--seed', 1]],
    ['2/2', ['--shard', '2/2', '--seed', 2, '--timeout-scale', 2]],
    ['of other settings', ['--shard', '1/2', '--cpus', 2]],
    ['with repetitions', ['--shard', '1/2', '--repeat', 2]]);
is_deeply([map { $_->{shard} } @selections[0, 1]], [1, 2], 'selection: the shard');
is_deeply([map { $_->{shards} } @selections[0, 1]], [2, 2], 'selection: of how many');
is($selections[0]{scenarios}, scalar(split /\n/, run(['list', 'precopy/*/plain'])->{out}), 'selection: scenarios of all shards');
is($selections[1]{fingerprint}, $selections[0]{fingerprint}, 'selection: shards have one fingerprint');
isnt($selections[$_]{fingerprint}, $selections[0]{fingerprint}, "selection: another fingerprint ($_)") for 2, 3;
my ($other) = (written('selection of another binary', qw(run precopy/*/plain --shard 1/2 --accel tcg --qemu),
    script_file('qemu-system-x86_64', "exec '" . fake('crashes') . "' \"\$@\"\n")))[1];
isnt($other->{selection}{fingerprint}, $selections[0]{fingerprint}, 'selection: another binary');

SKIP: {
    skip 'no qemu-system-x86_64', 1 unless $qemu;
    my @real = ('--accel', 'tcg', '--arch', 'x86_64');
    (undef, $document) = written('a pass, kept; checks; a fault', qw(run -w stamp --keep -o kept precopy/unix/plain
        conformance/refusals/addresses relay/stale-page), @real, '--set', 'xbzrle-cache-size=1048576');
    my %status = map { $_->{scenario} => $_->{status} } @{$document->{results}};
    like(join(' ', map { $status{$_} // '' } qw(precopy/unix/plain relay/stale-page)), qr/\A(?:pass|known) (?:pass|known|skip)\z/, 'a pass');
    (undef, $document) = written('a measured run', qw(migrate --unthrottled -w order --window 0x100000:0x300000
        --dirty-rate 10000), @real);
    ok(exists $document->{results}[0]{measurements}{transfer}{samples}[0]{throttle_percent}, 'a measured run: samples');
    (undef, $document) = written('a fault that is found', 'migrate', @real, '--fault', 'flip-bit');
    is($document->{results}[0]{kind}, 'oracle', 'a fault that is found: kind');
    is_deeply([@{$document->{selection}}{qw(shard shards scenarios repetitions)}], [1, 1, 1, 1], 'migrate: the selection');
}

done_testing();
