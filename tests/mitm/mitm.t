#!/usr/bin/env perl
# Nothing that a man in the middle does to a guest's memory, or to what its QEMU says, may end as a
# pass or as a known bug of QEMU, except where no oracle can tell it from what a sound QEMU does; the
# table below says why, then.
#
# mitm.c does the tampering. Each row of the table is run with each QEMU and each workload that it is
# for, and ends as one of
#
#   caught           Godwit failed the run, for the reason that the row expects
#   NOT CAUGHT       it passed the run, or excused it
#   undecidable      it did, and the row says why it may
#   not applicable   it skipped the run
#
# A run in which the tampering did not happen is a failure of this test, as is a control, a run
# without tampering, that does not pass. The exit status is that of any TAP program.
#
# --all runs everything; without it, a choice of x86_64 with the first QEMU. A pattern as argument
# runs the rows that match it. MITM_QEMUS names folders of QEMUs (default: the installed ones).
#
# Runs alone: a run in which the tampering comes too late is a failure.
#
# SPDX-License-Identifier: MIT
use strict;
use warnings;
use Cwd qw(abs_path);
use File::Path qw(remove_tree);
use File::Temp ();
use JSON::PP;
use Test::More;
use lib 'tests/cli/lib';
use Cli;

my $everything = grep { $_ eq '--all' } @ARGV;
my ($pattern)  = grep { !/^--/ } @ARGV;
my $program    = abs_path($ENV{MITM_PROGRAM} || 'build/tests/mitm');
-x $program or BAIL_OUT("$program is not built");

my @ARCHES  = qw(x86_64 aarch64 ppc64 riscv64 s390x);
my $scratch = File::Temp->newdir('godwit-mitm-XXXXXX', TMPDIR => 1);

# Each QEMU as a folder whose programs are the man in the middle; see mitm.c. CLAIM is a version that
# it pretends to have.
sub between {
    my ($name, $folder, $claim) = @_;
    my $dir = "$scratch/$name";
    mkdir $dir or die "$dir: $!";
    symlink $program, "$dir/qemu-system-$_" or die "$dir: $!" for @ARCHES;
    symlink abs_path($folder), "$dir/real" or die "$dir: $!";
    if ($claim) {
        open my $file, '>', "$dir/version" or die "$dir: $!";
        print $file $claim;
        close $file or die "$dir: $!";
    }
    return $dir;
}

my %QEMU;    # version ("10.0") -> folder
my ($installed) = map {s{/[^/]*$}{}r} $qemu || ();
for my $folder (split(' ', $ENV{MITM_QEMUS} || ''), $installed || ()) {
    ($folder) = grep { -x "$_/qemu-system-x86_64" } $folder, "$folder/bin"
        or BAIL_OUT("MITM_QEMUS: $folder: there is no qemu-system-x86_64 in it, nor in its bin");
    my ($version) = `$folder/qemu-system-x86_64 --version 2>/dev/null` =~ /version (\d+\.\d+)/
        or BAIL_OUT("$folder/qemu-system-x86_64 does not print its version");
    $QEMU{$version} ||= between($version, $folder);
    last unless $everything;
}
my @versions = sort { $a <=> $b } keys %QEMU;
plan(skip_all => 'no qemu-system-x86_64') unless @versions;

# Another version than the source's, by its own account alone: what is known of pairs of versions can
# be asked for, and does not happen.
my ($twin)  = grep { $_ >= 9 } @versions;
my %CLAIMED = map {
    my $claim = $_;
    $claim => {$twin ? ($twin => between("claims-$claim", readlink "$QEMU{$twin}/real", $claim)) : ()}
} qw(7.2.99 11.9.0);

my $P = 'precopy/unix/plain';
my $Q = 'postcopy/plain';
my $H = 'postcopy/held';
my $M = 'multifd/tcp/uri/plain';
my $S = 'precopy/unix/suspend/notlive';
my $B = 'precopy/bad-dest';
my $T = 'mode/transfer';

# Reasons.
my $FIRST_BYTE = 'the guest has run on, so that there is nothing to compare with, and page order is '
    . 'defined by the first byte of each page';
my $OUTSIDE = 'the guest has run on, and may write where it likes outside of the window';
my $REWRITTEN = 'the guest stores that field anew before anybody reads it';
my $EQUAL = 'the bytes that changed places are equal';
my $ONE_TICK = 'the timer is whatever it was when the guest was stopped, and it has gone on since';
my $HOT = 'QEMU before 9.0 itself loses the last writes to the mailbox: it arrives as it was earlier';
my $HOT_START = 'QEMU 11.1 loses the last writes to the mailbox in a postcopy, likewise';
my $HOT_PAGE = 'QEMU before 9.0 itself loses the last writes to a few pages of the window';
my $ORPHAN = 'no check depends on that figure; it is quoted, not judged';
my $NO_DEVICE = 'QEMU before 9.0 has no state in which its guest has to be stopped before the end, which '
    . 'comes later than the line that STOP was put behind';
my $LAST_STOP = 'Godwit itself stopped the guest and has QEMU\'s answer, and nothing follows that '
    . 'would contradict it';
my $PACING = 'the source tells of its passes for information; only the pace of the test depends on it';

# Patterns of messages.
my $ram     = qr/twin|stamp|order|position|instant|mailbox|looks like the known bug/i;
my $late    = qr/timed out|deadline|did not answer/;
my $state   = qr/run state/;
my $engine  = qr/states:|alarms:/;
my $console = qr/console|READY|restarted|wrong byte|the guest reports a fault/;

# [tamperings, scenario, {...}]. Keys:
#   arch (default x86_64), workloads (default both), args of `godwit run`
#   match                the message of the failure
#   may, may_WORKLOAD, may_MAJOR   why it may pass: always, with that workload, with that QEMU
#   never_MAJOR          what the report must not print with that QEMU
#   known                a control may meet a known bug of QEMU
#   one                  with one QEMU only; the default is all of them
#   claimed              with a destination that claims to be of that version
#   short                in the short run, too
my @table;
sub row { push @table, {mitm => $_[0], scenario => $_[1], %{$_[2] || {}}} }
sub rows {
    my ($side, $when, $actions, $scenario, $how) = @_;
    row("$side/$when/$_", $scenario, $how) for @$actions;
}

# Controls.
row('none', $_, {known => 1, short => 1}) for $P, $Q;
row('none', $_, {known => 1}) for $H, $M, $S, $B, $T;
row('none', $P, {known => 1, one => 1, arch => $_}) for @ARCHES[1 .. $#ARCHES];
row('none', $P, {known => 1, args => ['--read-memory', 'pmemsave']});
my %claims = (x86_64 => '11.9.0', aarch64 => '11.9.0', ppc64 => '7.2.99');
row('none', $P, {known => 1, claimed => $claims{$_}, arch => $_}) for sort keys %claims;

# The memory of the destination, loaded and not yet run.
row('destination/completed/page-old', $P, {match => $ram, may_7 => $HOT_PAGE, short => 1});
rows('destination', 'completed', [qw(window-old bytes-16k pages-swapped)], $P,
    {match => $ram, short => 1});
rows('destination', 'completed',
    [qw(page-newer page-byte bytes-8 page-zero outside-bit image-bit mailbox-magic restless)], $P,
    {match => $ram});
rows('destination', 'completed', [qw(mailbox-passes mailbox-position mailbox-timer)], $P,
    {match => $ram, may_7 => $HOT});
row('destination/completed/window-old|destination/completed/mailbox-passes', $P, {match => $ram});
row('destination/completed/page-old', $_, {match => $ram, may_7 => $HOT_PAGE}) for $M, $H;
rows('destination', 'completed', [qw(window-old bytes-16k)], $_, {match => $ram}) for $M, $H;
rows('destination', 'completed', [qw(page-newer bytes-16k)], $P,
    {match => $ram, one => 1, arch => $_}) for @ARCHES[1 .. $#ARCHES];
row('destination/completed/page-old', $P,
    {match => $ram, may_7 => $HOT_PAGE, one => 1, arch => $_}) for @ARCHES[1 .. $#ARCHES];
row('destination/completed/mailbox-passes', $H, {match => $ram, may_7 => $HOT, may_11 => $HOT_START});

# ... of the source, when it has sent all.
rows('source', 'completed',
    [qw(page-old window-old page-byte bytes-16k outside-bit mailbox-passes mailbox-position)], $P,
    {match => $ram});

# ... of the destination, as it begins to run.
my $faulty = qr/wrong byte|the guest reports a fault|order|stamp|position|console/;
rows('destination', 'cont', [qw(page-newer page-old window-old bytes-8 bytes-16k)], $P,
    {match => $faulty});
row('destination/cont/page-old', $P, {match => $faulty, short => 1, arch => $_}) for qw(x86_64);
row('destination/cont/page-byte', $P, {match => $faulty, may_order => $FIRST_BYTE});
row('destination/cont/pages-swapped', $P, {match => $faulty, may_order => $EQUAL});
row('destination/cont/page-zero', $P, {match => $faulty, workloads => ['stamp']});
row("destination/cont/$_", $P, {may => $OUTSIDE, one => 1}) for qw(outside-bit image-bit);
row("destination/cont/$_", $P, {may => $REWRITTEN, one => 1}) for qw(mailbox-passes mailbox-timer);

# ... when it has run, and is stopped again; after postcopy, it is the only time.
for my $scenario ($P, $Q) {
    my %short = $scenario eq $Q ? (short => 1) : ();
    rows('destination', 'stop', [qw(page-old bytes-16k mailbox-position)], $scenario,
        {match => $ram, %short});
    rows('destination', 'stop',
        [qw(page-newer window-old bytes-8 mailbox-passes mailbox-magic)], $scenario,
        {match => $ram});
    row('destination/stop/restless', $scenario, {match => qr/although the guest is stopped|stamp/});
    row('destination/stop/mailbox-timer-far', $scenario, {match => qr/timer/});
    row('destination/stop/page-byte', $scenario, {match => $ram, may_order => $FIRST_BYTE});
    row('destination/stop/pages-swapped', $scenario, {match => $ram, may_order => $EQUAL});
    row('destination/stop/mailbox-timer', $scenario, {may => $ONE_TICK});
    row("destination/stop/$_", $scenario, {may => $OUTSIDE, one => 1}) for qw(outside-bit image-bit);
}
rows('destination', 'stop', [qw(page-old bytes-16k)], $Q, {match => $ram, one => 1, arch => $_})
    for qw(aarch64 ppc64);

# Whatever goes on after a fault.
for my $scenario ('faults/active/stop-destination', 'faults/pre-switchover/stop-source') {
    my %short = $scenario =~ /active/ ? (short => 1) : ();
    row('none', $scenario, {known => 1, %short});
    row('destination/completed/bytes-16k', $scenario, {match => $ram});
    row('destination/cont/page-old', $scenario, {match => $faulty});
    rows('destination', 'stop', [qw(page-old bytes-16k mailbox-position)], $scenario, {match => $ram});
    row('destination/stop/mailbox-timer-far', $scenario, {match => qr/timer/, %short});
}
for my $scenario ('faults/postcopy-active/cut', 'faults/postcopy-active/stop-source',
    'faults/postcopy-paused/stop-destination') {
    row('none', $scenario, {known => 1});
    rows('destination', 'stop', [qw(page-old bytes-16k mailbox-position)], $scenario, {match => $ram});
    row('destination/stop/mailbox-timer-far', $scenario, {match => qr/timer/});
}
row('source/completed/bytes-16k', $_, {match => $ram}) for 'faults/active/cut', 'faults/pre-switchover/cut';

# What goes through a file of QEMU's.
row('destination/pmemsave/bit', $P, {match => $ram, args => ['--read-memory', 'pmemsave']});

# Run states.
row("source/answer/query-status:status=\"$_\"", $P, {match => $state, workloads => ['order']})
    for qw(internal-error io-error guest-panicked running paused prelaunch shutdown);
row("destination/answer/query-status:status=\"$_\"", $S,
    {match => qr/run state|suspend/, workloads => ['order'], short => 1})
    for qw(internal-error io-error guest-panicked);
row("destination/answer/query-status:status=\"$_\"", $S,
    {match => qr/run state|suspend/, workloads => ['order']})
    for qw(inmigrate shutdown watchdog prelaunch);

# The migration's state.
my %hangs = (one => 1, workloads => ['order'], args => ['--timeout-scale', '0.15']);
my %order = (workloads => ['order']);
row("$_/event/MIGRATION:completed=failed", $P, {match => qr/ended as failed/, short => 1, %order})
    for qw(source destination);
row("$_/event/MIGRATION:completed=drop", $P, {match => $late, %hangs}) for qw(source destination);
row("$_/event/MIGRATION:completed=double", $P, {match => $engine, %order})
    for qw(source destination);
row("source/answer/query-migrate:status=\"$_\"", $P, {match => qr/query-migrate|status|$_/, %order})
    for qw(failed active cancelled);
row('source/event/MIGRATION:failed=completed', $B, {match => qr/completed/, %order});
row('source/event/MIGRATION:active=drop', $P, {match => $engine, %order});
row('source/event/MIGRATION:setup=drop', $P, {match => $engine, %order});
row('source/event/MIGRATION:active=completed', $P, {match => qr/end|completed/, %order});

# Events.
row('source/event/STOP=drop', $P, {match => $engine, short => 1, %order});
row('source/event/STOP=double', $P, {match => $engine, %order});
row('source/event/STOP=late', $P, {match => $engine, may_7 => $NO_DEVICE, %order});
row('source/event/MIGRATION_PASS=drop', $P, {match => $late, %hangs});
row('source/event/MIGRATION_PASS=double', $P, {may => $PACING, %order});
row("destination/event/$_", $P, {match => $engine, short => $_ eq 'RESUME=double', %order})
    for qw(RESUME=drop RESUME=double STOP=double);
row('destination/event/STOP=drop', $P, {may => $LAST_STOP, %order});
row('destination/event/RESUME=drop', $Q, {match => $late, %hangs});
row('destination/event/MIGRATION:postcopy-active=drop', $Q, {match => $engine, %order});
my $stamp = '"timestamp":{"seconds":1700000000,"microseconds":0}';
my %said  = (
    'GUEST_PANICKED'   => '"data":{"action":"pause"}',
    'RESET'            => '"data":{"guest":true,"reason":"guest-reset"}',
    'STOP'             => '"data":{}',
    'MEMORY_FAILURE'   => '"data":{"recipient":"hypervisor","action":"fatal","flags":'
        . '{"action-required":true,"recursive":false}}',
    'WATCHDOG'         => '"data":{"action":"none"}',
    'SHUTDOWN'         => '"data":{"guest":true,"reason":"guest-panic"}',
    'BLOCK_IO_ERROR'   => '"data":{"device":"d","operation":"read","action":"report",'
        . '"reason":"Input/output error"}',
    'MIGRATION'        => '"data":{"status":"failed"}',
);
row("destination/after/RESUME={\"event\":\"$_\",$said{$_},$stamp}", $P,
    {match => qr/states:|alarms:/, name => "destination says $_ while it runs", %order,
        short => $_ eq 'GUEST_PANICKED'})
    for sort keys %said;

# Answers.
row("destination/answer/$_=drop", $P, {match => $late, %hangs}) for qw(cont stop);
row('destination/answer/stop=double', $P, {match => qr/unexpected answer/, %order});
row("source/answer/query-migrate:$_", $P, {may => $ORPHAN, one => 1, %order})
    for qw(total-time=-1 setup-time=99999999999 ram.remaining=999999999999 ram.transferred=0
    ram.normal=99999999999);
row('source/answer/query-migrate:downtime=5259286', $_,
    {may => $ORPHAN, $_ eq $Q ? (never_7 => qr/downtime 5259286/) : (), %order}) for $P, $Q;
row('source/answer/query-migrate:error-desc="nothing to see"', $B, {may => $ORPHAN, %order});

# The console.
row('destination/console/mute', $P, {match => qr/$late|console/, %hangs});
row("$_/console/A", $P, {match => $console, short => 1, %order}) for qw(source destination);
row("$_/console/C", $P, {match => $console, %order}) for qw(source destination);
row("$_/console/X", $P, {match => $console, %order}) for qw(source destination);
my $B_COUNT = 'one report more or less than the guest\'s passes demand is what may be on its way '
    . 'through the serial device when it is stopped';
row("$_/console/drop", $P, {may => $B_COUNT, %order}) for qw(destination);
row("$_/console/double", $P, {may => $B_COUNT, %order}) for qw(source destination);

# A warning that an excuse looks for, beside a failure that it does not explain.
for my $arch (qw(aarch64 ppc64)) {
    for my $words ("error while loading state for instance 0x0 of device 'cpu'",
        "of device 'arm_gicv3'", 'vmstate_load_state: Assertion') {
        row("destination/completed/bytes-16k|destination/completed/stderr=$words", $P,
            {match => $ram, claimed => $claims{$arch}, arch => $arch, %order});
    }
    row("destination/event/MIGRATION:completed=failed|destination/completed/stderr=of device 'cpu'",
        $P, {match => qr/ended as failed/, claimed => $claims{$arch}, arch => $arch, %order});
}

# CPR: the destination takes over the source's RAM.
rows('destination', 'cont', [qw(page-newer page-old bytes-16k)], $T, {match => $faulty});

# Running the table.

sub name_of {
    my ($case) = @_;
    return $case->{name} || ($case->{mitm} eq 'none' ? 'no tampering' : $case->{mitm});
}

sub versions_of {
    my ($row) = @_;
    return keys %{$CLAIMED{$row->{claimed}}} if $row->{claimed};
    return $row->{one} ? $versions[-1] : @versions;
}

my @cases;
for my $row (@table) {
    my $arch = $row->{arch} || 'x86_64';
    next if !$everything && (!$row->{short} || $arch ne 'x86_64');
    for my $version (versions_of($row)) {
        for my $workload (@{$row->{workloads} || ['order', 'stamp']}) {
            my $case = {%$row, arch => $arch, version => $version, workload => $workload};
            $case->{title} = join ' ', name_of($case), $row->{scenario}, $arch, $workload,
                "QEMU $version" . ($row->{claimed} ? " to what claims to be $row->{claimed}" : '');
            push @cases, $case if !defined $pattern || $case->{title} =~ /$pattern/;
        }
    }
}
plan(tests => @cases + (!defined $pattern ? @versions : 0));

sub begin {
    my ($case) = @_;
    $case->{log} = "$scratch/log-" . ($case->{title} =~ s/[^\w.-]+/_/gr);
    substr($case->{log}, 200) = '' if length $case->{log} > 200;
    $case->{log} .= "-$case->{number}";
    my $from = $QEMU{$case->{version}};
    my $to   = $case->{claimed} ? $CLAIMED{$case->{claimed}}{$case->{version}} : $from;
    $case->{run} = start(
        ['run', '--accel', 'tcg', '--arch', $case->{arch}, '-w', $case->{workload}, '-j', 1,
            '--qemu-src', $from, '--qemu-dst', $to, '--format', 'json:result.json', '--format',
            'text', @{$case->{args} || []}, $case->{scenario}],
        env => {MITM => $case->{mitm}, MITM_LOG => $case->{log}});
    return;
}

my %count;

# The result that a case has to be judged by, as [verdict, whether it is right, what was said].
sub judge {
    my ($case) = @_;
    my $run    = $case->{run};
    my $report = eval { decode_json(slurp("$run->{dir}/cwd/result.json")) };
    my $result = $report ? $report->{results}[0] : undef;
    my $status = $result ? $result->{status} : 'none';
    my $said   = $result ? $result->{message} || '' : '';
    $said = join '; ', map {"$_->{id}: $_->{seen}"} @{$result->{measurements}{known_bugs}}
        if $status eq 'known';
    return ['not applicable', 1, $said] if $status eq 'skip';
    my $good = $status eq 'pass' || $status eq 'known' || $run->{status} eq '0';
    if ($case->{mitm} eq 'none') {
        my $right = $status eq 'pass' || ($status eq 'known' && $case->{known});
        return ['control', $right, "$status, $said", 1];
    }
    my $happened = slurp($case->{log});
    for my $text (split /\|/, $case->{mitm}) {
        return ['DID NOT HAPPEN', 0, "$text; the run ended as $status: $said"]
            if index($happened, "$text ") < 0;
    }
    my ($major) = split /\./, $case->{version};
    my $never = $case->{"never_$major"};
    return ['PRINTED', 0, "the report prints what it must not: $&"]
        if $never && $run->{out} =~ $never;
    if ($good) {
        my ($why) = grep {defined} @{$case}{'may', "may_$case->{workload}", "may_$major"};
        return ['undecidable', 1, $why] if $why;
        return ['NOT CAUGHT', 0, "$status (exit $run->{status}) $said"];
    }
    return ['CAUGHT BY CHANCE', 0, $said] if $case->{match} && $said !~ $case->{match};
    return ['caught', $status =~ /^(fail|error)$/, $said];
}

sub conclude {
    my ($case) = @_;
    finish($case->{run});
    my ($verdict, $right, $said) = @{judge($case)};
    $count{$case->{version}}{$verdict}++;
    ok($right, "$verdict: $case->{title}") or diag(substr $said, 0, 400);
    note(substr $said, 0, 200) if $right && $said;
    $case->{verdict} = $verdict;
    $case->{why}     = $said if $verdict eq 'undecidable';
    unlink $case->{log};
    remove_tree($case->{run}{dir});
    return;
}

chomp(my $parallel = `nproc`);
my @running;
my $number = 0;
for my $case (@cases) {
    conclude(shift @running) if @running >= $parallel;
    $case->{number} = ++$number;
    begin($case);
    push @running, $case;
}
conclude(shift @running) while @running;

# A run that skips everything proves nothing.
if (!defined $pattern) {
    ok($count{$_}{caught}, "QEMU $_: something was caught") for @versions;
}

# The table: a line for each tampering, a column for each QEMU.
my %lines;
my @order;
for my $case (@cases) {
    my $line = join ' ', name_of($case), "[$case->{scenario}]",
        $case->{arch} eq 'x86_64' ? () : $case->{arch};
    push @order, $line unless $lines{$line};
    $lines{$line}{$case->{version}}{$case->{verdict}} = 1;
    $lines{$line}{why} = $case->{why} if $case->{why};
}
for my $line (@order) {
    note($line);
    note("    $_: ", join ', ', sort keys %{$lines{$line}{$_}}) for grep { $lines{$line}{$_} } @versions;
    note("    undecidable: $lines{$line}{why}") if $lines{$line}{why};
}
for my $version (@versions) {
    note("QEMU $version: ",
        join ', ', map {"$count{$version}{$_} $_"} sort keys %{$count{$version} || {}});
}
