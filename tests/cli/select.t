#!/usr/bin/env perl
# What is run, how often, and for whom: globs, shards, repetitions; and the commands beside `run`.
#
# SPDX-License-Identifier: MIT
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Cli;
use File::Temp qw(tempdir);
use JSON::PP ();
use Test::More;

# Every scenario fails on this one, and quickly.
my @quick = ('--slow', '--accel', 'tcg', '--qemu', fake('crashes'));

# The names of all scenarios that match.
sub listed {
    return map { (split)[0] } split /\n/, run(['list', @_])->{out};
}

# The names of all results of a run, in order, and the run.
sub results_of {
    my $run = run(['run', '--format', 'json', @_]);
    my $report = eval { JSON::PP->new->utf8->decode($run->{out}) } || {};
    return ($run, map { $_->{scenario} } @{$report->{results} || []});
}

# How each of a run's results ended.
sub statuses_of {
    my $report = eval { JSON::PP->new->utf8->decode($_[0]->{out}) } || {};
    return map { ($_->{kind} // '') eq 'not-run' ? 'not-run' : $_->{status} } @{$report->{results} || []};
}

# Help.
my $help = run(['--help']);
is($help->{status}, 0, '--help: exit status');
my @commands = $help->{out} =~ /^  (\w+) {2,}\w/mg;
is_deeply(\@commands, [qw(run list migrate doctor selftest bench compare sweep compat stream serve report)], '--help: the commands');
is(run([$_])->{out}, $help->{out}, "$_: the same") for qw(-h help);
like(run(['--version'])->{out}, qr/\Agodwit \d+\.\d+\.\d+\n\z/, '--version');
for my $command (@commands) {
    my $shown = run([$command, '--help']);
    is($shown->{status}, 0, "$command --help: exit status");
    like($shown->{out}, qr/\AUsage:\n  godwit $command \[OPTION.*--help /s, "$command --help: it helps");
    is($shown->{err}, '', "$command --help: nothing on standard error");
    is(run([$command, '-h'])->{out}, $shown->{out}, "$command -h: the same");
}

# List.
my @listed = listed();
my @all = grep { !m{/NAME$} } @listed; # prototypes come last
my @prototypes = grep { m{/NAME$} } @listed;
is_deeply(\@listed, [@all, sort @prototypes], 'list: prototypes come last');
ok(scalar(grep { $_ eq 'device/NAME' } @prototypes), 'list: a prototype');
cmp_ok(scalar @all, '>', 10, 'list: there are scenarios');
is_deeply(\@all, [sort @all], 'list: in order');
is_deeply([listed('precopy/*')], [grep {m{^precopy/}} @all], 'list: a glob');
is_deeply([listed('precopy/tcp/plain', 'precopy/*/plain')],
    [qw(precopy/tcp/plain precopy/unix/plain)], 'list: two globs, what matches both once');
is_deeply([listed('precopy/?nix/plain')], ['precopy/unix/plain'], 'list: any character');
is_deeply([listed('poke/*')], [qw(poke/machine poke/NAME)], 'list: a glob that names a scenario and a prototype');
my $names = run(['list', '--qemu-names', 'precopy/unix/plain'])->{out};
like($names, qr{\Aprecopy/unix/plain +/migration/precopy/unix/plain\n\z}, 'list: names in QEMU');

# Globs and shards choose what is run: each part once, all of it together.
my ($run, @whole) = results_of('*/plain', @quick);
is($run->{status}, 1, 'run: exit status of a failure');
@whole = sort @whole; # what is skipped is told first
is_deeply(\@whole, [listed('*/plain')], 'run: what list lists');
for my $count (1, 2, 3, @whole + 1) {
    my @parts = map { [(results_of('*/plain', @quick, '--shard', "$_/$count"))[1 .. @whole]] } 1 .. $count;
    my @sizes = sort { $a <=> $b } map { scalar grep {defined} @$_ } @parts;
    is_deeply([sort grep {defined} map {@$_} @parts], \@whole, "--shard I/$count: each scenario once");
    cmp_ok($sizes[-1] - $sizes[0], '<=', 1, "--shard I/$count: parts of equal size");
}

# A preset chooses scenarios. A glob of it that names none would be refused.
my @preset = results_of('--preset', 'upgrade', '--accel', 'tcg', '-w', 'order', '-j4',
    '--timeout-scale', '0.15', '--qemu-src', fake('crashes'), '--qemu-dst', fake('hangs'));
my ($preset, @chosen) = @preset;
is($preset->{status}, 1, '--preset: exit status of a failure');
is_deeply([grep { $_ eq 'precopy/unix/plain' || $_ eq 'postcopy/plain' } sort @chosen],
    [qw(postcopy/plain precopy/unix/plain)], '--preset: what migrates');
is_deeply([grep {m{^(faults|cancel|conformance|relay)/}} @chosen], [], '--preset: nothing of one side alone');

# --quick runs what the list marks as quick, with one workload.
my @marked = sort map { /^(\S+) .* \(quick\)$/ ? $1 : () } split /\n/, run(['list'])->{out};
my ($quick, @ran) = results_of('--quick', '--accel', 'tcg', '-j4', '--timeout-scale', '0.15',
    '--qemu', fake('crashes'));
is($quick->{status}, 1, '--quick: exit status of a failure');
is_deeply([sort @ran], \@marked, '--quick: what the list marks, each once');
cmp_ok(scalar @marked, '>=', 8, '--quick: a scenario for each main way to migrate');
{
    # run() chooses the workload `order`, which takes the least time.
    my $kept = tempdir(CLEANUP => 1);
    my $output = join ' ', map {"'$_'"} ($ENV{GODWIT} // 'build/godwit', qw(run --quick --accel tcg -j4),
        '--timeout-scale', '0.15', '--qemu', fake('crashes'), '--output', $kept);
    like(scalar `$output 2>&1`, qr/^FAIL +x86_64 stamp +precopy\/unix\/plain/m, '--quick: the workload is stamp');
}

# Repetitions, in whole rounds, one at a time or several.
for my $jobs (1, 3) {
    my (undef, @names) = results_of(qw(precopy/unix/plain precopy/tcp/plain), @quick, "-j$jobs",
        '--repeat', 3);
    my %times;
    $times{$_}++ for @names;
    is_deeply(\%times, {'precopy/unix/plain' => 3, 'precopy/tcp/plain' => 3},
        "--repeat 3 -j$jobs: each three times");
    is_deeply([sort @names[0, 1]], [qw(precopy/tcp/plain precopy/unix/plain)],
        "--repeat 3 -j$jobs: in rounds") if $jobs == 1;
}
for my $more ([], ['--repeat', 5]) {
    my ($ended, @names) = results_of('precopy/unix/plain', @quick, '-j1', '--until-fail', @$more);
    is($ended->{status}, 1, "--until-fail @$more: exit status");
    is(scalar @names, @$more ? 5 : 1, "--until-fail @$more: as many results as were asked for");
    is_deeply([statuses_of($ended)], ['fail', @$more ? ('not-run') x 4 : ()],
        "--until-fail @$more: ended by the first failure");
    is_deeply($ended->{left}, [], "--until-fail @$more: nothing is left behind");
}
{
    my ($ended, @names) = results_of('precopy/unix/plain', @quick, qw(-j2 --until-fail --repeat 8));
    is($ended->{status}, 1, '--until-fail, two at a time: exit status');
    is(scalar @names, 8, '--until-fail, two at a time: as many results as were asked for');
    cmp_ok(scalar(grep { $_ eq 'fail' } statuses_of($ended)), '<=', 2,
        '--until-fail, two at a time: who waits for its turn has none');
    is_deeply($ended->{left}, [], '--until-fail, two at a time: nothing is left behind');
}

# Known bugs that are accepted, on each target: from the command line, a file, and a pipe, which can be
# read only once.
my $ids = script_file('accepted', "# a comment\n\nsuspend-lost # another\ntcg-hot-page\n");
for my $case (
    ['the command line', [], 'suspend-lost,tcg-hot-page'],
    ['two options', [], qw(suspend-lost --accept-known tcg-hot-page)],
    ['a file', [], "\@$ids"],
    ['a pipe', [command => ['sh', '-c', 'cat "$0" | "$@"', $ids, $godwit]], '@/dev/stdin'],
) {
    my ($name, $how, @accepted) = @$case;
    my $accepts = run(['run', '-w', 'order,stamp', '--format', 'json', @quick, 'precopy/unix/plain',
        '--accept-known', @accepted], @$how);
    my $report = eval { JSON::PP->new->utf8->decode($accepts->{out}) } || {};
    my @again = map { $_->{again} =~ /--accept-known (\S+)/ ? $1 : 'nothing' } @{$report->{results} || []};
    is_deeply(\@again, [('tcg-hot-page,suspend-lost') x 2], "--accept-known, by $name: of both targets");
}

# Nothing ran: that is no success, unless it may be. Skipped before it runs, and while it does.
for my $fake (qw(crashes-riscv64 poor)) {
    my $name = $fake eq 'poor' ? 'precopy/unix/plain' : 'guest/suspend';
    my @args = ($name, '--accel', 'tcg', '--qemu', fake($fake));
    my @commands = (['run', @args], ['run', @args, '--repeat', 1, '--format', 'junit'],
        $fake eq 'poor' ? (['migrate', @args[1 .. $#args]], ['selftest', 'relay/stale-page', @args[1 .. $#args]]) : (),
        ['bench', '-n1', @args]);
    for my $command (@commands) {
        my $skipped = run($command);
        is($skipped->{status}, 2, "@$command[0, 1]: exit status when nothing ran");
        like($skipped->{err}, qr/^godwit: nothing ran: (the only scenario was|all \d+ scenarios were) skipped /m,
            "@$command[0, 1]: it says so");
        my $allowed = run([@$command, '--allow-all-skipped']);
        is($allowed->{status}, 0, "@$command[0, 1] --allow-all-skipped: exit status");
        is($allowed->{err}, '', "@$command[0, 1] --allow-all-skipped: nothing on standard error");
    }
}
{
    my $empty = run(['run', 'precopy/unix/plain', @quick, '--shard', '2/2']);
    is($empty->{status}, 2, 'an empty shard: exit status');
    like($empty->{err}, qr/^godwit: nothing ran: no scenario is left to run /m, 'an empty shard: it says so');
    my $allowed = run(['run', 'precopy/unix/plain', @quick, '--shard', '2/2', '--allow-all-skipped']);
    is($allowed->{status}, 0, 'an empty shard --allow-all-skipped: exit status');
}

# One that runs is enough.
{
    my $some = run(['run', qw(precopy/unix/plain guest/suspend --accel tcg --qemu), fake('crashes-riscv64')]);
    is($some->{status}, 1, 'one skipped, one failed: exit status');
    is($some->{err}, '', 'one skipped, one failed: nothing on standard error');
}

# What cannot be run while the oracles are tested is not wrong.
{
    my $selftest = run(['selftest', 'relay/stale-page', '--accel', 'tcg', '--qemu', fake('poor')]);
    like($selftest->{out}, qr/^relay\/stale-page +0 +skipped 2$/m, 'selftest: a skip in its row');
    like($selftest->{out}, qr/, 0 wrong; 2 skipped$/m, 'selftest: skips in the sum');
    unlike($selftest->{out}, qr/WRONG/, 'selftest: a skip is not wrong');
}

SKIP: {
    skip 'no qemu-system-x86_64', 1 unless $qemu;
    my @real = ('--accel', 'tcg', '--qemu', $qemu);

    # What passes does not end it: three rounds, and the third crashes.
    my $crashes = fake('crashes');
    my $third = script_file('third', <<"END");
case \$PWD in
*/0003-*) exec $crashes "\$@" ;;
esac
exec $qemu "\$@"
END
    my ($ended, @names) = results_of('precopy/unix/plain', '--accel', 'tcg', '--qemu', $third,
        '-j1', '--until-fail');
    is($ended->{status}, 1, '--until-fail, two passes first: exit status');
    is(scalar @names, 3, '--until-fail, two passes first: ended by the first failure');

    # A passed run is kept too, and its job is readable.
    my $kept = run(['run', 'precopy/unix/plain', @real, '--keep', '-o', 'a/b']);
    is($kept->{status}, 0, 'run: exit status of a pass');
    my $folder = "$kept->{dir}/cwd/a/b/0001-x86_64-precopy-unix-plain";
    my $result = eval { JSON::PP->new->utf8->decode(slurp("$folder/result.json")) } || {};
    is($result->{scenario}, 'precopy/unix/plain', '--keep: the result');
    is($result->{folder}, $folder, '--keep: where it is');
    like(slurp("$folder/source.qmp"), qr/> \{"execute":"migrate"/, '--keep: the transcript');
    like(slurp("$folder/source.serial"), qr/\AAB+\z/, '--keep: the console');

    # One migration by flags; two binaries.
    my @flags = (['--stopped'], [qw(--transport tcp --memory 160 --page-size 8192)],
        ['--read-memory', 'pmemsave', '--window', '0x100000:0x900000']);
    my @once = run_all(3, map { [['migrate', '--accel', 'tcg', '--qemu-src', $qemu,
                '--qemu-dst', $qemu, @$_]] } @flags);
    for my $args (@flags) {
        my $once = shift @once;
        is($once->{status}, 0, "migrate @$args: exit status") or diag($once->{out}, $once->{err});
        like($once->{out}, qr/^(ok|known) +x86_64 +migrate .* bytes equal, \d+ pages in order/,
            "migrate @$args: what it proved");
        is_deeply($once->{left}, [], "migrate @$args: nothing is left behind");
    }

    # Several sources and destinations: from each to each.
    my @copies = map { script_file("copy-$_", "exec '$qemu' \"\$@\"") } 1 .. 3;
    my $pairs = run(['run', '-w', 'order', 'precopy/fd/file', '--accel', 'tcg', '--arch', 'x86_64',
        (map { ('--qemu-src', $_) } @copies[0, 1]), (map { ('--qemu-dst', $_) } @copies[1, 2])]);
    my @pairs = map { s/^[\d.]+(?: to [\d.]+)? ?//r } $pairs->{out} =~ /^\w+ +x86_64 (\S.*?) +precopy/mg;
    is_deeply([sort @pairs], [sort '', map {"($_)"} "$copies[0] to $copies[1]",
        "$copies[0] to $copies[2]", "$copies[1] to $copies[2]"], '--qemu-src and --qemu-dst, twice each: four pairs')
        or diag($pairs->{out}, $pairs->{err});

    # The doctor.
    my $doctor = run(['doctor', @real]);
    is($doctor->{status}, 0, 'doctor: exit status');
    like($doctor->{out}, qr/^host +\w+ .* \d+ processors, \d+ MiB available$/m, 'doctor: the host');
    like($doctor->{out}, qr/^x86_64 +\Q$qemu\E: QEMU \d+\.\d+\.\d+/m, 'doctor: the binary');
    like($doctor->{out}, qr/can run \d+ of ${\scalar @all} scenarios/, 'doctor: what it can run');
    ok_clean($doctor, 'doctor: nothing is left behind');
    my ($able) = $doctor->{out} =~ /can run (\d+) of/;
    cmp_ok(($doctor->{out} =~ tr/\n//), '<', 40, 'doctor: it fits on a screen');
    my $verbose = run(['doctor', '--verbose', @real]);
    is(scalar(() = $verbose->{out} =~ /cannot run \S+: needs /g), @all - $able,
        'doctor --verbose: each scenario that cannot run');
    my %short = map { /(\d+) scenarios? on 1 target: (.*)/ ? ($2 => $1) : () } split /\n/, $doctor->{out};
    my %long;
    $long{$1}++ while $verbose->{out} =~ /cannot run \S+: ([^:\n]*)/g;
    is_deeply(\%short, \%long, 'doctor: the reasons are counted');

    # The benchmark.
    my $bench = run(['bench', '-n', 1, 'precopy/unix/plain', @real]);
    is($bench->{status}, 0, 'bench: exit status');
    like($bench->{out}, qr/^x86_64 +precopy\/unix\/plain( +[\d.]+ \S+){8}$/m, 'bench: a row of medians');
    like($bench->{out}, qr/^1 runs? each/m, 'bench: as many runs as asked for');

    # Targets do not mix: of two QEMUs of one version, one crashes; each with two workloads.
    my $works = script_file('works', qq(exec $qemu "\$@"\n));
    my $hurts = script_file('hurts', <<"END");
case "\$*" in
*'-name source'*) exec $crashes "\$@" ;;
esac
exec $qemu "\$@"
END
    my $two = run(['bench', '-n1', '-w', 'order,stamp', 'precopy/unix/plain', '--accel', 'tcg', '--qemu', $works, '--qemu', $hurts]);
    is($two->{status}, 1, 'bench, two QEMUs: exit status');
    my @rows = grep {/precopy\/unix\/plain/} split /\n/, $two->{out};
    is(scalar @rows, 4, 'bench, two QEMUs and two workloads: four rows');
    for my $case ([$works, 0], [$works, 1], [$hurts, 0], [$hurts, 1]) {
        my ($path, $stamp) = @$case;
        my $name = $path eq $works ? 'the one that works' : 'the one that crashes';
        my @mine = grep { /\Q($path)\E/ && /\bstamp\b/ == $stamp } @rows;
        is(scalar @mine, 1, "bench, two QEMUs: $name has one row a workload");
        like($mine[0] // '', $path eq $works ? qr/plain( +[\d.]+ \S+){8}$/ : qr/plain( +-){8}$/,
            "bench, two QEMUs: $name has its own times");
    }
    ok_clean($bench, 'bench: nothing is left behind');
}

done_testing();
