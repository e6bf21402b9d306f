#!/usr/bin/env perl
# sweep: a grid of settings. No measured time decides anything here.
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

my $dir   = tempdir(CLEANUP => 1);
my @arch  = ('--arch', 'x86_64', '--accel', 'tcg', '--qemu', $qemu);
# A small window, so that a run takes half a second.
my @small = (@arch, '--window', '0x100000:0x300000');

sub report_of {
    my ($file) = @_;
    return eval { JSON::PP->new->utf8->decode(slurp("$dir/$file")) } || {};
}

# What is wrong with the command line: named, and nothing runs.
for my $case (
    [[], qr/^godwit: sweep needs --over NAME=VALUE,VALUE\.\.\., or --preset NAME$/],
    [['--over', 'multifd'],  qr/^godwit: --over needs NAME=VALUE,VALUE\.\.\., for example .*"multifd"$/],
    [['--over', 'multifd='], qr/--over needs NAME=VALUE/],
    [['--over', 'cpus=1,,2'], qr/^godwit: --over cpus: the value "" is empty$/],
    [['--over', 'cpus=1,2,1'], qr/^godwit: --over cpus: the value "1" is given twice$/],
    [['--over', 'cpus=1', '--over', 'cpus=2'], qr/^godwit: --over cpus is given twice$/],
    [['--over', 'cpus=0'],            qr/^godwit: --over cpus needs numbers of 1 or more, not "0"$/],
    [['--over', 'cpus=1,99'],         qr/^godwit: cpus=99: .*CPU/],
    [['--over', 'dirty-rate=fast'],   qr/^godwit: --over dirty-rate needs numbers of 1 or more, not "fast"$/],
    [['--over', 'window=16X'],        qr/^godwit: --over window needs sizes, for example 16M, not "16X"$/],
    [['--over', 'window=900G'],       qr/^godwit: window=900G: /],
    [['--over', 'workload=order,no'], qr/^godwit: .*"no"/],
    [['--over', 'no-such=1,2'],       qr/^godwit: \S+ \(QEMU \S+\) has no migration parameter or capability "no-such"$/],
    [['--over', 'multifd=on,4'],      qr/"multifd" is a migration capability, which is on or off$/],
    [['--over', 'multifd-channels=2,999'], qr/^godwit: \S+ \(QEMU \S+\) does not take multifd-channels=999: /],
    [['--over', 'max-bandwidth=1,8M'],     qr/^godwit: \S+ \(QEMU \S+\) does not take max-bandwidth=8M: /],
    [['--over', 'cpus=1,2', '--cpus', 1],  qr/^godwit: --over cpus and --cpus exclude each other$/],
    [['--over', 'dirty-rate=1', '--page-ticks', 1], qr/^godwit: --over dirty-rate and --page-ticks exclude each other$/],
    [['--over', 'max-bandwidth=1', '--set', 'max-bandwidth=2'], qr/^godwit: max-bandwidth is given by --over and by --set$/],
    [['--over', 'cpus=1', '-n', 0],            qr/^godwit: --runs needs a number of 1 or more$/],
    [['--over', 'cpus=1', '--budget', 'soon'], qr/^godwit: --budget needs a time, .*"soon"$/],
    [['--over', 'cpus=1', '--give-up', '5'],   qr/^godwit: --give-up needs a time, .*"5"$/],
    [['--over', 'cpus=1', '-f', 'tap'],        qr/^godwit: unknown format "tap"/],
    [['--over', 'cpus=1', 'no/such'],          qr/no scenario matches "no\/such"/],
    [['--over', 'cpus=1', '-w', 'order,stamp'], qr/^godwit: sweep measures one workload at a time$/],
    [['--over', 'max-bandwidth=1', 'cancel/after/active'],
        qr/^godwit: no cell can run: needs a migration whose speed can be measured/, 'a report'],
    [['--preset', 'no-such'],     qr/^godwit: unknown preset "no-such" \(see `--preset list`\)$/],
    [['--preset', 'compr-dirty-limit'], qr/^godwit: there is no sweep for guestperf's compr-dirty-limit: /],
    [['--over', 'pause-iteration=0'], qr/^godwit: --over pause-iteration needs numbers of 1 or more, not "0"$/],
    [['--over', 'pause-iteration=1', '--pause-iteration', 1],
        qr/^godwit: --over pause-iteration and --pause-iteration exclude each other$/],
    [['--over', 'pause-iteration=1', 'postcopy/plain'], qr/no cell can run: needs a precopy, because of --pause-iteration$/,
        'a report'],
    [['--over', 'postcopy-iteration=1'], qr/no cell can run: needs a postcopy, because of --postcopy-iteration$/, 'a report'],
) {
    my ($args, $message, $report) = @$case;
    my $run = run(['sweep', @arch, @$args]);
    is($run->{status}, 2, "@$args: exit status") or diag $run->{out};
    my ($last) = reverse split /\n/, $run->{err};
    like($last // '', $message, "@$args: the reason");
    $report ? like($run->{out}, qr/skipped: /, "@$args: the report says so") : is($run->{out}, '', "@$args: no report");
}

# The presets: each comparison of guestperf that the document names.
my $list    = run(['sweep', '--preset', 'list']);
my @presets = $list->{out} =~ /^([\w-]+): /mg;
is($list->{status}, 0, 'list: exit status');
is(scalar @presets, 11, 'eleven presets');
my ($table) = slurp("$FindBin::Bin/../../docs/from-guestperf.md") =~ /^(\| guestperf \| what it varies.*?)\n\n/ms;
is_deeply([map { (split / \| /)[0] =~ s/^\| //r } grep { !/^\|---|^\| guestperf/ } split /\n/, $table // ''], \@presets,
    'docs/from-guestperf.md has them all, in the same order');
SKIP: {
    my ($new) = grep { (`$_ --version` =~ /version (\d+)/)[0] >= 10 } unpacked();
    skip 'no newer QEMU is unpacked', 2 unless $new;
    my $gone = run(['sweep', '--arch', 'x86_64', '--accel', 'tcg', '--qemu', $new, '--preset', 'compr-mt']);
    is($gone->{status}, 2, 'a preset that is gone: exit status');
    like($gone->{err}, qr/"compress" \(QEMU 9\.1 removed compression by threads/, 'a preset that is gone: the reason');
}

# A guest that is stopped in the second iteration, of a migration that would not converge otherwise; and
# a postcopy that begins in the third.
my $paused = run(['run', 'precopy/tcp/plain', @small, qw(-w order --dirty-rate 20000 --unthrottled --pause-iteration 2
    --set max-bandwidth=6000000 --set downtime-limit=20 -f), "json:$dir/paused"]);
is($paused->{status}, 0, 'a paused guest: exit status') or diag $paused->{err};
my $stopped = report_of('paused')->{results}[0] // {};
is($stopped->{measurements}{paused}, 2, 'it is stopped in the second iteration');
my %at = map { ("$_->{side} $_->{state}" => $_->{at_ms}) } @{$stopped->{measurements}{transfer}{states} // []};
cmp_ok($at{'source completed'} // 0, '>', ($at{'source STOP'} // 0) + 100, 'the rest takes its time while it stands still');
like($stopped->{again}, qr/ --pause-iteration 2 /, 'what runs it again');
# In a small window, QEMU before 9.0 loses pages that are written between the iterations.
my $later = run(['run', 'postcopy/plain', @arch, qw(-w order --window 0x100000:0x1100000 --dirty-rate 20000 --unthrottled
    --postcopy-iteration 3 -f), "json:$dir/later"]);
is($later->{status}, 0, 'a later postcopy: exit status') or diag $later->{err};
my $transfer = report_of('later')->{results}[0]{measurements}{transfer} // {};
my ($third)    = grep { $_->{iteration} == 3 } @{$transfer->{iterations} // []};
my ($switched) = grep { "$_->{side} $_->{state}" eq 'source postcopy-active' } @{$transfer->{states} // []};
ok($third && $switched && $third->{at_ms} < $switched->{at_ms}, 'the third iteration has begun before');

# A grid in which a row cannot converge: a whole window takes minutes at its bandwidth.
my @over = ('--over', 'dirty-rate=20000,40000', '--over', 'max-bandwidth=20000,900000000');
my $grid = run(['sweep', @small, @over, '-n', 1, '--give-up', '3s', '--seed', 7, '-f', 'text', '-f', "json:$dir/grid",
    '-f', "csv:$dir/grid.csv", '-f', "html:$dir/grid.html"]);
ok_page("$dir/grid.html", 'HTML', 'Total time of each cell', 'Blackout of each cell', 'precopy/tcp/plain: what converges',
    'Total times in the order of the runs');
is($grid->{status}, 0, 'a migration that does not converge is no failure: exit status') or diag $grid->{err};
is($grid->{err}, '', 'nothing on stderr');
my $report = report_of('grid');
my @cells  = @{$report->{cells} // []};
is_deeply([map { "$_->{values}{'dirty-rate'} $_->{values}{'max-bandwidth'}" } @cells],
    ['20000 20000', '20000 900000000', '40000 20000', '40000 900000000'], 'the grid is complete');
is_deeply([map { "$_->{runs} $_->{did_not_converge} $_->{failed}" } @cells[0, 2]], ['1 1 0', '1 1 0'], 'they do not converge');
is_deeply([map { "$_->{runs} $_->{passed} $_->{failed}" } @cells[1, 3]], ['1 1 0', '1 1 0'], 'the others arrive');
is($cells[0]{total_ms}{median}, undef, 'no time where nothing arrived');
cmp_ok($cells[1]{total_ms}{median}, '>', 0, 'a time where something did');
cmp_ok($cells[1]{mib}{median}, '>', 1, 'and bytes');
my $one = $cells[1]{measured}[0];
cmp_ok(abs($one->{mib_per_s} - 1000 * $one->{mib} / $one->{total_ms}), '<', 0.01, 'MiB/s is MiB by time');
like($cells[0]{failures}[0]{message}, qr/^the migration did not converge within [\d.]+ s: it is active, in iteration \d+, with [\d.]+ MiB left/,
    'how far it came');
ok(!$cells[0]{failures}[0]{converged}, 'its failure is one of convergence');
is_deeply([sort @{$report->{order}[0]}], [0 .. 3], 'a round has each cell once');
is_deeply([@{$report}{qw(seed runs rounds ended give_up_s)}], [7, 1, 1, 'runs', 3], 'what was asked for');
like($cells[0]{again}, qr/ --unthrottled --no-waterfall --give-up 3s --set max-bandwidth=20000$/, 'what runs a cell again');
like($grid->{out}, qr/^ +20000 +20000 +1( +-){5}  1 did not converge$/m, 'text: a cell that does not converge');
like($grid->{out}, qr/^ +20000 +900000000 +1( +[\d.]+ \[[\d.]+, [\d.]+\]){5}  -$/m, 'text: a cell that does');
like($grid->{out}, qr/^convergence of .*\n +dirty-rate +20000 +900000000\n +20000 +- +[\d.]+\n +40000 +- +[\d.]+$/m,
    'text: the map');
my @csv = split /\n/, slurp("$dir/grid.csv");
is(scalar @csv, 5, 'CSV: a line a cell');
like($csv[0], qr/^scenario,dirty-rate,max-bandwidth,runs,passed,did_not_converge,failed,total_ms,total_ms_low,/, 'CSV: its columns');
is(scalar(grep { tr/,// != $csv[0] =~ tr/,// } @csv), 0, 'CSV: as many columns in each');
like($csv[1], qr/^precopy\/tcp\/plain,20000,20000,1,0,1,0,,,/, 'CSV: a cell that does not converge');
ok_clean($grid, 'nothing is left behind');

# The command line of a cell says the same again.
my ($ran, $by) = results_by_scenario(grep { $_ ne 'godwit' && $_ ne 'run' } split ' ', $cells[0]{again});
is($ran->{status}, 1, 'again: exit status');
ok($by->{'precopy/tcp/plain'}{measurements}{unconverged}, 'again: it did not converge');

# Nothing converges at all.
my $none = run(['sweep', @small, '--over', 'max-bandwidth=20000', '-n', 1, '--give-up', '1s']);
is($none->{status}, 2, 'nothing converges: exit status');
like($none->{err}, qr/^godwit: no run of any cell succeeded: 1 did not converge, 0 failed$/m, 'nothing converges: the reason');

# A cell that fails for another reason: this QEMU refuses xbzrle.
my $refuses = qemu_edited(q[s/"xbzrle", ?"state": ?true/"no-such", "state": true/ if $from eq 'godwit';],
    $qemu, 'refuses');
my $fails = run(['sweep', '--arch', 'x86_64', '--accel', 'tcg', '--window', '0x100000:0x300000', '--qemu', $refuses,
    '--over', 'xbzrle=off,on', '-n', 1, '-f', 'text', '-f', "json:$dir/fails"]);
is($fails->{status}, 1, 'a failure: exit status') or diag $fails->{err};
is_deeply([map { "$_->{values}{xbzrle} $_->{passed} $_->{did_not_converge} $_->{failed}" } @{report_of('fails')->{cells} // []}],
    ['off 1 0 0', 'on 0 0 1'], 'a failure: it is counted');
like($fails->{out}, qr/^ +on +1( +-){5}  1 failed$/m, 'a failure: in the table');
like($fails->{out}, qr/^failures\n  xbzrle=on: 1 time: .*no-such/m, 'a failure: its message');

# The order of the cells depends on the seed and the round. A preset, with values of its own. A round
# takes longer than this budget, so that only the first is run.
my %order;
for my $seed (1, 2) {
    my $run = run(['sweep', @small, '--preset', 'compr-multifd', '--over', 'multifd-channels=1,2,3,4', '-n', 3, '--budget', '0.1s',
        '--seed', $seed, '-f', "json:$dir/order"]);
    is($run->{status}, 0, "seed $seed: exit status") or diag $run->{err};
    my $of = report_of('order');
    is_deeply([@{$of}{qw(rounds ended preset)}], [1, 'budget', 'compr-multifd'], "seed $seed: one round fits");
    is_deeply($of->{settings}, {multifd => JSON::PP::true}, "seed $seed: what the preset sets");
    like($run->{err}, qr/: the budget is spent before the first round is over, with 3 of 4 cells to go/, "seed $seed: said so");
    like($run->{err}, qr/: a round takes about [\d.]+ s: only the first of 3 fits into the budget of 0\.1 s, or not even that$/m, "seed $seed: how many fit");
    $order{$seed} = join ' ', @{$of->{order}[0]};
}
isnt($order{1}, $order{2}, 'another seed, another order');

done_testing;
