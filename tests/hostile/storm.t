#!/usr/bin/env perl
# Storms: runs of godwit that are killed, stopped or sent any signal at random instants, themselves
# or their workers and their janitor, under several circumstances. Afterwards nothing is left of
# them, they have ended as documented, and nothing has passed that did not run to its end.
#
# Runs alone: it keeps all processors busy, with HOSTILE_JOBS at a time.
#
# SPDX-License-Identifier: MIT
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib", "$FindBin::Bin/../cli/lib";
use Cli;
use Fcntl qw(F_SETFL O_NONBLOCK);
use Hostile;
use List::Util qw(first);
use POSIX ();
use Test::More;
use Time::HiRes qw(time);

plan skip_all => 'no qemu-system-x86_64' unless $real;

my %number;
{
    my $i = 0;
    require Config;
    $number{$_} = $i++ for split ' ', $Config::Config{sig_name};
}

my @scenarios = qw(precopy/unix/plain precopy/tcp/plain postcopy/plain);
my @usual = ('run', @scenarios, qw(--arch x86_64 --accel tcg --window 0x100000:0x500000 --qemu), $real);
my @report = qw(--format text --format json:report.json);

# How godwit is started. Each gives its arguments and how; "ignores" are signals that it inherits as
# ignored.
sub shell {
    my ($script, @more) = @_;
    return (command => ['sh', '-c', $script, @more ? @more : 'sh', $godwit]);
}

my @flavours = (
    sub { (name => 'plain', args => ['-j2']) },
    sub { (name => '--keep', args => [qw(-j2 --keep -o kept)]) },
    sub { (name => 'one at a time', args => [qw(-j1 -o kept)]) },
    sub { (name => 'nohup', args => ['-j2'], how => [command => ['nohup', $godwit]], ignores => ['HUP']) },
    sub {
        (name => 'in the background', args => ['-j2'], ignores => [qw(INT QUIT)],
            how => [shell(q(trap '' INT QUIT; exec "$@"))])
    },
    sub { (name => 'stdout closed', args => ['-j2'], how => [shell('exec "$@" >&-')]) },
    sub { (name => 'stdin closed', args => ['-j2'], how => [shell(q(exec "$@" <&-))]) },
    sub {
        my ($path, $handle) = fifo();
        fcntl $handle, F_SETFL, O_NONBLOCK or die "fcntl: $!";
        1 while syswrite $handle, 'x' x 4096;
        (name => 'stdout a full pipe', args => ['-j2'], handle => $handle, full => 1,
            how => [shell('exec "$@" >"$0"', $path)])
    },
);

# An undisturbed run: what it takes is what the instants are chosen from.
my $began = time;
my $calm = run([@usual, @report, '-j2']);
my $whole = time - $began;
is($calm->{status}, 0, 'an undisturbed run: exit status') or diag $calm->{out}, $calm->{err};
ok_clean({left => [grep { !/report\.json$/ } @{$calm->{left}}]}, 'an undisturbed run: nothing left');
diag sprintf 'an undisturbed run takes %.1f s', $whole;

# Early instants are rare otherwise, and the ones at which most is not in its place yet.
sub instant { return rand() < 0.25 ? 0.15 * $whole * rand : 0.9 * $whole * rand }

my $missed = 0;

# The run has come to its end as if nothing had happened; what is wrong with that, or ().
sub incomplete {
    my ($run) = @_;
    return "exit status $run->{status}" unless $run->{status} eq '0';
    my $report = report_of($run) or return 'no report';
    my @bad = grep { $_->{status} !~ /^(pass|known)$/ } @{$report->{results}};
    return join '; ', map {"$_->{scenario}: $_->{status}: $_->{message}"} @bad if @bad;
    return @{$report->{results}} == @scenarios ? () : @{$report->{results}} . ' results';
}

# A pass in the report of a run that says that it was interrupted is one all the same; a run that
# was, and does not say so, is a false one.
sub dishonest {
    my ($run) = @_;
    my $report = report_of($run) or return ();
    my $summary = $report->{summary};
    return () if $summary->{interrupted} || @{$report->{results}} == @scenarios;
    return (false => 'the report of an interrupted run does not say so');
}

# A case: SEQUENCE is [seconds after the first, what to do] ..., begun at a random instant.
sub storm {
    my ($kind, $number, $flavour, $what, $sequence, %more) = @_;
    my %flavour = $flavour->();
    my $instant = instant();
    my @due = @$sequence;
    my $state = {ignores => $flavour{ignores} || [], full => $flavour{full}};
    return {
        name => sprintf('%s %d: %s, %s, after %.3f s', $kind, $number, $what, $flavour{name}, $instant),
        kind => $kind,
        args => [@usual, @report, @{$flavour{args}}, @{$more{args} || []}],
        how => {@{$flavour{how} || []}},
        handle => $flavour{handle},
        patience => 90,
        slow => $more{slow},
        state => $state,
        tick => sub {
            my ($run, $elapsed) = @_;
            my @workers = workers($run);
            $state->{seen_worker} ||= @workers;
            while (@due && $elapsed >= $instant + $due[0][0]) {
                if (!$state->{struck}) {
                    $state->{working} = @workers;
                    $state->{before} = !$state->{seen_worker};
                }
                # Not yet: what is to be struck is not there.
                last unless $due[0][1]->($run, $state);
                $state->{struck} = 1;
                shift @due;
            }
        },
        judge => sub {
            my ($run) = @_;
            delete $run->{case}{handle};
            $missed++ unless $state->{struck};
            my $problem = $state->{struck} ? undef : incomplete($run);
            return (wrong => "not struck, and: $problem") if $problem && !$state->{full};
            return $state->{struck} ? $more{judge}->($run, $state) : ();
        },
    };
}

sub signal_it { my ($signal) = @_; return sub { kill $signal, $_[0]{pid} } }

my @cases;

# --- SIGKILL of the harness, of stopped ones too. ---
for my $i (1 .. scaled(150)) {
    my $flavour = $flavours[$i % @flavours];
    my $stopped = $i % 10 == 0;
    push @cases, storm('storm: SIGKILL', $i, $flavour, $stopped ? 'stopped' : 'running',
        [$stopped ? ([0, signal_it('STOP')], [0.3, signal_it('KILL')]) : [0, signal_it('KILL')]],
        slow => 1,
        judge => sub {
            my ($run) = @_;
            return $run->{status} eq 'signal 9' ? () : (wrong => "ended by $run->{status}");
        });
}

# --- Every other signal, alone and two at a time. ---
my @ends = qw(INT TERM HUP);
my @dies = qw(QUIT USR1 USR2 ALRM ABRT SEGV BUS FPE ILL TRAP SYS XCPU XFSZ VTALRM PROF IO PWR STKFLT);
my @harmless = qw(PIPE CHLD URG WINCH CONT);
my @stops = qw(TSTP TTIN TTOU STOP);

sub judge_signals {
    my (@signals) = @_;
    return sub {
        my ($run, $state) = @_;
        my %ignored = map { ($_ => 1) } @{$state->{ignores}}, @harmless, @stops;
        my @effective = grep { !$ignored{$_} } @signals;
        my $problem = incomplete($run);
        if (!@effective) {
            return () if !$problem || $state->{full};
            return (wrong => "ignored: @signals, and: $problem");
        }
        for my $signal (@effective) {
            my $number = $number{$signal};
            my $documented = $run->{status} eq 128 + $number;
            my $killed = $run->{status} eq "signal $number";
            return dishonest($run) if $documented;
            # Nothing had begun yet; or it is a signal that kills, and what was there is gone.
            return () if $killed && ($state->{before} || $signal !~ /^(INT|TERM|HUP)$/);
        }
        # It was over already, all but the exit; or a limit that is only told.
        return () if !$problem && (grep { $_ eq 'XFSZ' } @effective or $state->{seen_worker} && !$state->{working});
        return (wrong => "after SIG@effective: ended by $run->{status}" . ($problem ? '' : ', as if nothing had happened'));
    };
}

my @sequences = (
    (map { [[0, $_]] } @ends, @ends, @ends, @ends, @dies, @harmless),
    (map { [[0, $_], [0.3, 'CONT']] } @stops),
    [[0, 'TERM'], [0, 'TERM']], [[0, 'INT'], [0, 'TERM']], [[0, 'INT'], [0.05, 'INT']],
    [[0, 'HUP'], [0, 'INT']], [[0, 'TERM'], [0.02, 'QUIT']], [[0, 'INT'], [0.02, 'KILL']],
    [[0, 'STOP'], [0.1, 'TERM'], [0.3, 'CONT']], [[0, 'TSTP'], [0.1, 'HUP'], [0.3, 'CONT']],
    [[0, 'PIPE'], [0.1, 'TERM']], [[0, 'WINCH'], [0.1, 'INT']],
);
for my $i (1 .. scaled(150)) {
    # Both lists are walked through, whatever the scale.
    my $sequence = $sequences[($i * 7) % @sequences];
    my @signals = map { $_->[1] } @$sequence;
    # The last flavour never ends by itself.
    my $ends = first { my $signal = $_; !grep { $_ eq $signal } @harmless, @stops } @signals;
    my $flavour = $flavours[$i % ($ends ? @flavours : @flavours - 1)];
    push @cases, storm('storm: other signals', $i, $flavour, join('+', map {"SIG$_"} @signals),
        [map { my ($after, $signal) = @$_; [$after, signal_it($signal)] } @$sequence],
        # Where a signal ends the harness at once, the janitor is left to clean up.
        slow => (grep { my $signal = $_; grep { $_ eq $signal } @dies, 'KILL' } @signals) ? 1 : 0,
        judge => judge_signals(@signals));
}

# --- A worker is killed or stopped: its scenario fails, and no other. ---
sub strike_worker {
    my ($signal, $strict) = @_;
    my $tries = 0;
    return sub {
        my ($run, $state) = @_;
        my @workers = workers($run) or return 0;
        my $worker = $workers[rand @workers];
        # Stopped, it cannot report a result any more. While it has a QEMU, it has not yet.
        kill 'STOP', $worker;
        my $strict_now = grep { alive($_) } children_of($worker);
        if ($strict && !$strict_now && $tries++ < 50) {
            kill 'CONT', $worker;
            return 0;
        }
        ($state->{victim}) = slurp("/proc/$worker/cmdline") =~ m{/\d{4}-x86_64-([\w-]+)\0};
        $state->{strict} = $strict_now;
        kill $signal, $worker;
        kill 'CONT', $worker unless $signal =~ /^(KILL|STOP)$/;
        return 1;
    };
}

sub judge_worker {
    my ($run, $state) = @_;
    my $report = report_of($run) or return (wrong => 'no report');
    my %status = map { ($_->{scenario} =~ tr{/}{-}r => $_->{status}) } @{$report->{results}};
    my @problems;
    push @problems, wrong => @{$report->{results}} . ' results' if @{$report->{results}} != @scenarios;
    my $victim = $state->{victim} || '';
    my $its = $status{$victim} || 'missing';
    push @problems, false => "$victim, whose worker was killed: $its"
        if $state->{strict} && $its =~ /^(pass|known)$/;
    push @problems, wrong => "$victim, whose worker was killed: $its" if $its =~ /^(skip|missing)$/;
    for my $other (grep { $_ ne $victim } sort keys %status) {
        push @problems, wrong => "$other, which nobody touched: $status{$other}"
            unless $status{$other} =~ /^(pass|known)$/;
    }
    my $bad = grep { /^(fail|error)$/ } values %status;
    push @problems, ($bad ? 'false' : 'wrong') => "exit status $run->{status}"
        if $bad ? $run->{status} !~ /^[12]$/ : $run->{status} ne '0';
    return @problems;
}

for my $i (1 .. scaled(40)) {
    # One in four is stopped, and taken for lost only long after its deadline.
    my $signal = $i % 4 == 0 ? 'STOP' : (qw(KILL KILL KILL TERM SEGV))[$i % 5];
    push @cases, storm('storm: workers', $i, $flavours[$i % 3], "SIG$signal",
        [[0, strike_worker($signal, $i % 5 != 1)]],
        args => $signal eq 'STOP' ? [qw(--timeout-scale 0.3)] : [], judge => \&judge_worker);
}

# --- The janitor is killed or stopped: godwit notices, cleans up itself, and says so. ---
sub strike_janitor {
    my ($signal) = @_;
    return sub {
        my ($run, $state) = @_;
        my $janitor = janitor_of($run);
        return 0 unless $janitor && workers($run);
        $state->{janitor} = $janitor;
        return kill $signal, $janitor;
    };
}

sub judge_janitor {
    my ($signal, $then) = @_;
    return sub {
        my ($run, $state) = @_;
        my $said = $run->{out} . $run->{err};
        # The end of the janitor comes first, and may be noticed first.
        return () if $run->{status} eq '2' && $said =~ /janitor/;
        my $problem = incomplete($run);
        # It was over already, all but the exit.
        return $run->{status} eq 128 + $number{$then} || !$problem && !$state->{working_then} ? ()
            : (wrong => "ended by $run->{status}") if $then;
        return (wrong => "$problem, and not a word of the janitor") if $problem;
        # One that is stopped may go on unnoticed, and SIGTERM is blocked in it: it may have ended by
        # itself, with the run, before anybody looked whether it had survived.
        return $state->{survived} || $signal eq 'TERM' || $run->{err} =~ /janitor/ ? ()
            : (wrong => 'not a word of the janitor');
    };
}

for my $i (1 .. scaled(25)) {
    my $signal = (qw(KILL STOP KILL STOP TERM))[$i % 5];
    my $then = $i % 3 == 0 ? 'TERM' : undef;
    push @cases, storm('storm: janitors', $i, $flavours[$i % 3], "SIG$signal" . ($then ? ", then SIG$then" : ''),
        [[0, strike_janitor($signal)], [0.1, sub { $_[1]{survived} = alive($_[1]{janitor}); 1 }],
            $then ? [0.2, sub { $_[1]{working_then} = workers($_[0]); return signal_it($then)->(@_) }] : ()],
        judge => judge_janitor($signal, $then));
}

attack(@cases);
diag "$missed runs were over before they were struck" if $missed;
cmp_ok($missed, '<', @cases / 2, 'most runs were struck');
done_testing();
