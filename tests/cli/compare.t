#!/usr/bin/env perl
# compare: is one QEMU, or one setting, slower than another? No measured time decides here but one that
# is tens of times another, by a limit of the bandwidth.
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

plan skip_all => 'no qemu-system-x86_64' unless $qemu;

my $dir = tempdir(CLEANUP => 1);
# A small window, so that a run takes half a second.
my @guest = ('--arch', 'x86_64', '--accel', 'tcg', '--window', '0x100000:0x500000', '--dirty-rate', 20000);
my @on = (@guest, '--scenarios', 'precopy/unix/plain');

sub report_of {
    my ($file) = @_;
    return eval { JSON::PP->new->utf8->decode(slurp("$dir/$file")) } || {};
}

sub verdicts_of {
    my ($report) = @_;
    return map { ("$_->{scenario} $_->{metric}" => $_->{verdict}) } @{$report->{rows}};
}

# What is wrong with the command line.
for my $case (
    [[], qr/^godwit: compare needs --a QEMU, and --b QEMU or --set-b NAME=VALUE$/],
    [['--a', "$dir/nowhere"], qr/^godwit: .*nowhere/],
    [['--a', $qemu, '--b', "$dir/nowhere"], qr/^godwit: .*nowhere/],
    [['--a', $qemu, '--budget', 'soon'], qr/^godwit: --budget needs a time, for example .*"soon"$/],
    [['--a', $qemu, '--budget', '0s'],   qr/--budget needs a time/],
    [['--a', $qemu, '--budget', '-5m'],  qr/--budget needs a time/],
    [['--a', $qemu, '--budget', '5'],    qr/--budget needs a time/],
    [['--a', $qemu, '--tolerance', '5'], qr/^godwit: --tolerance needs a percentage, for example 5%, not "5"$/],
    [['--a', $qemu, '--tolerance', 'nan%'],       qr/--tolerance needs a percentage/],
    [['--a', $qemu, '--tolerance', 'inf%'],       qr/--tolerance needs a percentage/],
    [['--a', $qemu, '--tolerance-downtime', '2'], qr/--tolerance-downtime needs a time, for example 2ms, not "2"$/],
    [['--a', $qemu, '--runs', '0'],               qr/--runs needs a number of 1 or more/],
    [['--a', $qemu, '--set-b', 'multifd'],        qr/a setting is NAME=VALUE/],
    [['--a', $qemu, '--set-b', 'max-bandwidth=9223372036854775808'], qr/does not fit into 64 bits/],
    [['--a', $qemu, '--set-b', 'no-such=1'],      qr/^godwit: \S+ \(QEMU \S+\) has no migration parameter or capability "no-such"$/],
    [['--a', $qemu, '--set-a', 'no-such=1'],      qr/"no-such"$/],
    [['--a', $qemu, '--set', 'no-such=1'],        qr/"no-such"$/],
    [['--a', $qemu, '--set', 'multifd=4'],        qr/"multifd" is a migration capability, which is on or off$/],
    [['--a', $qemu, '--qemu', $qemu],             qr/leave out --qemu/],
    [['--a', $qemu, '-f', 'tap'],                 qr/unknown format "tap" \(expected text, json, csv, html, bmf, openmetrics or runs-csv/],
    [['--a', $qemu, '-w', 'order,stamp'],         qr/one workload at a time/],
    [['--a', $qemu, 'no/such'],                   qr/no scenario matches "no\/such"/],
    [['--a', $qemu, '--', '-m', '1G', 'x'],       qr/^godwit: /],
) {
    my ($args, $message) = @$case;
    my $run = run(['compare', '--arch', 'x86_64', '--accel', 'tcg', @$args]);
    is($run->{status}, 2, "@$args: exit status") or diag $run->{out};
    my ($last) = reverse split /\n/, $run->{err};
    like($last, $message, "@$args: the reason");
    is($run->{out}, '', "@$args: no report");
}

# A scenario with steps of its own cannot be compared.
my $own = run(['compare', '--arch', 'x86_64', '--accel', 'tcg', '--a', $qemu, '--scenarios', 'cancel/after/active']);
is($own->{status}, 2, 'a scenario with steps of its own: exit status');
like($own->{err}, qr/none of these scenarios can be compared: needs a migration whose speed can be measured/, 'the reason');

# One whose step only looks can be measured: the step is left out.
my ($looked, $multifd) = results_by_scenario('multifd/tcp/uri/plain', '--unthrottled', qw(--arch x86_64 --accel tcg
    --window 0x100000:0x500000 --dirty-rate 20000 --qemu), $qemu);
is($looked->{status}, 0, 'a step that only looks: exit status') or diag $looked->{out};
cmp_ok($multifd->{'multifd/tcp/uri/plain'}{measurements}{pace}{total_ms} // 0, '>', 0, 'a step that only looks: measured');

# A against A, with two runs each: nothing can be told, and that is not "same".
my $equal = run(['compare', @on, '--a', $qemu, '--b', $qemu, '-n', 2, '--seed', 7, '-f', 'text', '-f', "json:$dir/equal",
    '-f', "runs-csv:$dir/equal.runs",
    '-f', "csv:$dir/equal.csv", '-f', "html:$dir/equal.html", '-f', "bmf:$dir/equal.bmf", '-f', "openmetrics:$dir/equal.om"]);
is($equal->{status}, 0, 'A/A: exit status') or diag $equal->{err};
like($equal->{err}, qr/^godwit: A and B are the same QEMU with the same settings: this is an A\/A test/m, 'A/A: said so');
like($equal->{out}, qr/^A\/A test: /m, 'A/A: in the report');
like($equal->{out}, qr/^  total +[\d.]+ ms +[\d.]+ ms +[\d.]+ +[\d.]+ .*cannot tell$/m, 'A/A: a row');
like($equal->{out}, qr/^geometric mean/m, 'A/A: the geometric mean');
my $report = report_of('equal');
my %verdict = verdicts_of($report);
is(join(' ', grep { $_ ne 'cannot tell' } values %verdict), '', 'two runs: nothing can be told');
for my $metric ('total', 'blackout', 'downtime', 'setup', 'bytes') {
    ok(exists $verdict{"precopy/unix/plain $metric"}, "there is a row of $metric");
}
ok(exists $verdict{'geometric mean total'}, 'there is a geometric mean');
is($report->{seed}, 7, 'the seed');
ok($report->{alike}, 'they are alike');
is($report->{ended}, 'runs', 'it ended after the runs');
is_deeply([map { $_->{passed} } @{$report->{scenarios}[0]{runs}}{'A', 'B', "A'"}], [2, 2, 2], 'two runs of each arm');
is(scalar @{$report->{scenarios}[0]{rounds}}, 2, 'two rounds');
for my $round (@{$report->{scenarios}[0]{rounds}}) {
    is(scalar(grep { $round->{$_}{total} > 0 && $round->{$_}{bytes} > 1 << 20 } 'A', 'B', "A'"), 3, 'all arms measured');
}
my @csv = split /\n/, slurp("$dir/equal.csv");
is(scalar @csv, 1 + @{$report->{rows}}, 'CSV: a line a row');
is(scalar(grep { tr/,// != $csv[0] =~ tr/,// } @csv), 0, 'CSV: as many columns in each');

# The raw runs, with facts about the host.
my ($heads, @raw) = split /\n/, slurp("$dir/equal.runs");
like($heads, qr/^scenario,arm,round,ended,status,source_version,.*,load,wall_ms,blackout_resolution_ms,total_ms,blackout_ms,.*,bytes,source_CPU_ms,.*,kernel,cpu,governor,hugepages,cpus,memory_mib,message$/,
    'runs-csv: its columns');
is(scalar @raw, 6, 'runs-csv: a line a run');
is_deeply([map { /^precopy\/unix\/plain,([^,]+),(\d+),"\d{4}-\d\d-\d\dT[\d:]{8}\.\d{3}Z","pass",/ ? "$1 $2" : $_ } @raw],
    ['A 1', 'B 1', "A' 1", "A' 2", 'B 2', 'A 2'], 'runs-csv: in the order of the runs');
is($report->{host_facts}{cpus}, (split /,/, $raw[0])[-3], 'runs-csv: the host is that of the JSON');

# What services read that follow figures over time, in seconds and bytes.
sub quartiles { my @sorted = sort { $a <=> $b } @_; return ($sorted[0] + $sorted[1]) / 2; }
my $median = quartiles(map { $_->{B}{total} / 1000 } @{$report->{scenarios}[0]{rounds}});
my $bmf = report_of('equal.bmf');
is(join(', ', sort keys %$bmf), 'precopy/unix/plain A, precopy/unix/plain B', 'BMF: the benchmarks');
my $followed = $bmf->{'precopy/unix/plain B'}{'total-time'};
ok(abs($followed->{value} - $median) < 1e-6 && $followed->{lower_value} <= $median && $median <= $followed->{upper_value}, 'BMF: the median');
my @metrics = split /\n/, slurp("$dir/equal.om");
is($metrics[-1], '# EOF', 'OpenMetrics: the end');
my ($line) = grep { /^godwit_total_time_seconds\{scenario="precopy\/unix\/plain",arm="B",.*quantile="0\.5"\} / } @metrics;
my ($value) = ($line // '') =~ / ([\d.e-]+)$/;
ok(defined $value && abs($value - $median) < 1e-6, 'OpenMetrics: the median');
is(scalar(grep { !/^(?:# (?:TYPE|UNIT|HELP) godwit_[a-z_]+ |# EOF$|godwit_[a-z_]+\{(?:[a-z_]+="[^"\\]*",?)+\} [-+\d.e]+$)/ } @metrics),
    0, 'OpenMetrics: no other lines');
my %units = map { /^# UNIT (\S+) (\S+)$/ ? ($1 => $2) : () } @metrics;
is(scalar(grep { !/_\Q$units{$_}\E$/ } keys %units), 0, 'OpenMetrics: each name ends with its unit');

my $doubt = qr/^  a blackout is at most so much too long: A [\d.]+ ms, B [\d.]+ ms, A' [\d.]+ ms \(medians\)$/m;
like($equal->{out}, $doubt, 'text: the resolution of the blackout');
like(slurp("$dir/equal.html"), qr/a blackout is at most so much too long: A /, 'HTML: the resolution of the blackout');
ok_page("$dir/equal.html", 'A/A, HTML', 'ratios of B and A', 'differences of B and A', 'distribution of the blackout',
    'total times in the order of the runs', "A: the guest's speed and its dirty rate", 'B: rate of the transfer', 'B: states of both sides');
ok(exists $report->{scenarios}[0]{runs}{$_}{traced}{waterfall}, "A/A: one more run of $_ is traced") for 'A', 'B';
is(scalar(grep { exists $_->{waterfall} } map { @{$_->{measured}} } values %{$report->{scenarios}[0]{runs}}), 0, 'A/A: no run of a round is traced');
is_deeply([map { scalar @{$_->{measured}} } @{$report->{scenarios}[0]{runs}}{'A', 'B', "A'"}], [2, 2, 2], 'A/A: what each run measured');
ok_clean($equal, 'nothing is left behind');

# The accelerator is chosen by a guest that never waits, whatever the dirty rate: where there is /dev/kvm
# this took longer than the deadline.
my $chosen = run(['compare', '--arch', 'x86_64', '--a', $qemu, '--scenarios', 'precopy/unix/plain', '-n', 1]);
is($chosen->{status}, 0, 'no accelerator is named: exit status') or diag $chosen->{err};

# A with a limit of its bandwidth is far slower, and the JSON says why. The guest of this scenario is
# stopped, so that any bandwidth suffices.
my $slow = run(['compare', @guest, 'precopy/fd/file', '--a', $qemu, '-n', 7, '--set', 'downtime-limit=300', '--set-b', 'max-bandwidth=6000000', '-f', "json:$dir/slow", '-f', 'text']);
is($slow->{status}, 1, 'a limit of the bandwidth: exit status') or diag $slow->{err}, $slow->{out};
$report  = report_of('slow');
%verdict = verdicts_of($report);
is($verdict{'precopy/fd/file total'}, 'slower', 'the total time is called slower');
is($verdict{'geometric mean total'}, 'slower', 'so is the geometric mean');
my ($total) = grep { $_->{metric} eq 'total' } @{$report->{rows}};
cmp_ok($total->{effect}{low}, '>', 1.05, 'its interval is beyond the tolerance');
cmp_ok($total->{p_holm}, '<', 0.05, 'and p says so, too');
ok(!$report->{alike}, 'they are not alike');
is_deeply([$report->{a}{settings}, $report->{b}{settings}], [{'downtime-limit' => 300}, {'downtime-limit' => 300, 'max-bandwidth' => 6000000}], 'the settings');
my $again = $report->{scenarios}[0]{runs}{B}{again};
like($again, qr/^godwit run precopy\/fd\/file .* --unthrottled --no-waterfall --set downtime-limit=300 --set max-bandwidth=6000000$/, 'again, of B');
unlike($report->{scenarios}[0]{runs}{A}{again}, qr/--set max/, 'again, of A');

# That line runs, and its result has the settings.
my ($ran, $by) = results_by_scenario(grep { $_ ne 'godwit' && $_ ne 'run' } split ' ', $again);
is($ran->{status}, 0, 'again: exit status');
is_deeply($by->{'precopy/fd/file'}{settings}, {'downtime-limit' => 300, 'max-bandwidth' => 6000000}, 'again: the settings');
cmp_ok($by->{'precopy/fd/file'}{measurements}{pace}{total_ms}, '>', 300, 'again: they were in force');

# --set with a throttled migration, and without the common course.
($ran, $by) = results_by_scenario('precopy/tcp/plain', 'cancel/after/active', @guest, '--set', 'multifd=on',
    '--set', 'multifd-channels=3', '--set', 'max-bandwidth=900000000', '--keep', '-o', "$dir/kept");
is($ran->{status}, 0, '--set: exit status') or diag $ran->{out};
like($by->{'precopy/tcp/plain'}{status}, qr{^(pass|known)$}, '--set: a scenario of the common course');
is($by->{'cancel/after/active'}{status}, 'skip', '--set: another one is skipped');
like($by->{'cancel/after/active'}{message}, qr/^needs the common course, because of --set/, '--set: the reason');
my ($transcript) = glob "$dir/kept/*tcp-plain/source.qmp";
my @set = slurp($transcript // '') =~ /"(multifd-channels":3|max-bandwidth":900000000|capability": ?"multifd)/g;
is(scalar @set, 3, '--set: all of it reached QEMU') or diag slurp($transcript // '');
like(slurp($transcript // ''), qr/"execute": ?"migrate",.*max-bandwidth": ?900000000/s,
    '--set: the bandwidth is set when the migration is unthrottled');

# A source that a setting makes wait in pre-switchover is continued, before a switch to postcopy, too.
for my $how ([], ['--postcopy'], [qw(-t tcp --stopped)]) {
    my $paused = run(['migrate', @guest, '-c', 'pause-before-switchover', @$how, '-f', 'json', '--keep', '-o', "$dir/paused@$how"]);
    is($paused->{status}, 0, "pause-before-switchover @$how: exit status") or diag $paused->{out};
    my ($log) = glob "'$dir/paused@$how/'*migrate/source.qmp";
    like(slurp($log // ''), qr/"status": "pre-switchover".*"migrate-continue".*"status": "completed"/s,
        "pause-before-switchover @$how: it did wait, and went on");
}

# A QEMU whose migrations always fail: counted and named, and no verdict.
my $dies = qemu_but('*-incoming*', 'exit 3', 'dies');
my $fails = run(['compare', @on, '--a', $qemu, '--b', $dies, '-f', "json:$dir/fails", '-f', 'text']);
is($fails->{status}, 2, 'B fails: exit status');
like($fails->{err}, qr/^godwit: no run of precopy\/unix\/plain succeeded with B, so it cannot be compared$/m, 'B fails: the reason');
like($fails->{out}, qr/^  failures: B is kept from running; left out: rounds 1, 2, 3$/m, 'B fails: a line of its own');
like($fails->{out}, qr/^  3 of 3 runs of B failed:\n    3 times: \S/m, 'B fails: counted and named');
$report = report_of('fails');
is($report->{ended}, 'failed', 'B fails: given up');
is($report->{scenarios}[0]{runs}{B}{failed}, 3, 'B fails: in JSON');
is_deeply([@{$report->{scenarios}[0]}{'failure_verdict', 'dropped_rounds'}], ['kept from running', [1, 2, 3]], 'B fails: the verdict in JSON');
like($report->{scenarios}[0]{failures}[0]{again}, qr/--qemu \S*dies/, 'B fails: what runs it again');
is(join(' ', grep { $_ !~ /^(?:cannot tell|not measured)$/ } map { $_->{verdict} } @{$report->{rows}}), '', 'B fails: no verdict');
ok_clean($fails, 'B fails: nothing is left behind');

# A migration that does not converge with B, but with A, is worse.
my $stuck = run(['compare', @on, '--a', $qemu, '--set-b', 'max-bandwidth=200000', '--give-up', '5s', '--no-waterfall', '-n', 1, '-f', 'text', '-f', "csv:$dir/stuck.csv"]);
is($stuck->{status}, 1, 'B does not converge: exit status') or diag $stuck->{err};
like($stuck->{out}, qr/^  failures: B is failing; left out: rounds 1$/m, 'B does not converge: a line of its own');
like(slurp("$dir/stuck.csv"), qr/^precopy\/unix\/plain,failures,runs,,1,0,1,0,,.*,failing$/m, 'B does not converge: in CSV');

# A that always fails leaves nothing to compare with.
$fails = run(['compare', @on, '--a', $dies, '--b', $qemu, '-f', 'text']);
is($fails->{status}, 2, 'A fails: exit status');
like($fails->{err}, qr/^godwit: no run of precopy\/unix\/plain succeeded with A, so it cannot be compared$/m, 'A fails: the reason');
like($fails->{out}, qr/^  failures: B is not failing; left out: rounds /m, 'A fails: B does not');

done_testing;
