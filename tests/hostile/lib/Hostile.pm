# What the hostile tests share: many runs of godwit at a time, each attacked in its own way, and the
# checks that hold for all of them. A case is a hash:
#
#   name     what the test point is called
#   kind     the row of the table that it counts for
#   args     godwit's arguments
#   how      how Cli::start() starts it
#   tick     called every few milliseconds while it runs, with the run and the seconds since its start;
#            this is where an attack happens
#   slow     true if what it left may take a moment to go: nobody was there to wait for it
#   judge    called when it has ended; returns what is wrong, in pairs of a column and a sentence
#   patience seconds after which it counts as hung
#
# Columns are left (something outlived the run), hung, false (a pass that is none), and wrong (all
# else). Each test program writes its rows to $HOSTILE_COUNTS; the Makefile prints them at the end.
#
# HOSTILE_SCALE=0.1 takes a tenth of the cases, HOSTILE_SEED=N chooses the instants, HOSTILE_JOBS=N
# is how many run at a time, and HOSTILE_ONLY=REGEX takes the cases whose names match.
#
# SPDX-License-Identifier: MIT
package Hostile;

use strict;
use warnings;
use Cli;
use Cwd qw(abs_path);
use Exporter 'import';
use JSON::PP ();
use List::Util qw(max min);
use POSIX      ();
use Test::More;
use Time::HiRes qw(time sleep);

our @EXPORT = qw($scale $real scaled chosen attack children workers janitor_of report_of
    control_characters disorder alive children_of);

use constant {
    TICK => 0.02,
    # Nothing of ours needs as much, whatever a QEMU does.
    MOST_MEMORY_KIB => 300 * 1024,
    # How long what was killed may take to be gone where nobody waits for it, on an idle host.
    GOING_SECONDS => 20,
    # A process of ours that gets this large is ended at once, lest the host's memory is used up. The
    # limit on addresses is for what grows faster than anybody looks.
    FATAL_KIB => 1024 * 1024,
    MOST_ADDRESSES => 4 << 30,
    MOST_PATIENT => 4,
};

our $scale = $ENV{HOSTILE_SCALE} || 1;
my $seed = defined $ENV{HOSTILE_SEED} ? int $ENV{HOSTILE_SEED} : int rand 1_000_000;
my $jobs = $ENV{HOSTILE_JOBS} || 2 * (() = glob '/sys/devices/system/cpu/cpu[0-9]*') || 4;
my $only = $ENV{HOSTILE_ONLY};
srand $seed;
diag "HOSTILE_SEED=$seed, $jobs at a time";

# An interrupted test ends what it has started, too: see the END of Cli.
for my $signal (qw(INT TERM HUP)) {
    $SIG{$signal} = sub { exit 1 };
}

my ($prlimit) = grep { -x } map {"$_/prlimit"} split /:/, $ENV{PATH};
BAIL_OUT('no prlimit (util-linux)') unless $prlimit;

# The real QEMU behind a hostile one.
our $real = $qemu;
$ENV{HOSTILE_QEMU_REAL} = $real if $real;

# Patience grows with the load: where several want each processor, all takes several times as long.
sub load_factor {
    my ($load) = split ' ', slurp('/proc/loadavg');
    my $processors = () = glob '/sys/devices/system/cpu/cpu[0-9]*';
    my $factor = ($load || 0) / ($processors || 1);
    return min(max($factor, 1), MOST_PATIENT);
}

# How many of COUNT there are to be; at least one.
sub scaled {
    my ($count) = @_;
    my $scaled = int $count * $scale + 0.5;
    return $scaled > 1 ? $scaled : 1;
}

# Every so many of a list, evenly.
sub chosen {
    my (@all) = @_;
    return @all if $scale >= 1;
    my $wanted = scaled(scalar @all);
    return map { $all[int $_ * @all / $wanted] } 0 .. $wanted - 1;
}

# Whether a process is there and no zombie.
sub alive {
    my ($pid) = @_;
    return slurp("/proc/$pid/stat") =~ /\) [^ZX]/;
}

sub children_of {
    my ($pid) = @_;
    return split ' ', slurp("/proc/$pid/task/$pid/children");
}

# The children of a run's harness: [pid, words] each.
sub children {
    my ($run) = @_;
    return map { [$_, slurp("/proc/$_/cmdline")] } children_of($run->{pid});
}

sub workers {
    my ($run) = @_;
    return map { $_->[0] } grep { $_->[1] =~ /\0worker\0/ } children($run);
}

sub janitor_of {
    my ($run) = @_;
    return (grep { slurp("/proc/$_/comm") =~ /janitor/ } children_of($run->{pid}))[0];
}

# The report in JSON that a run wrote to report.json, or undef if it is not there or not whole.
sub report_of {
    my ($run) = @_;
    my $text = slurp("$run->{dir}/cwd/report.json");
    return $text =~ /\S/ ? eval { JSON::PP->new->utf8->decode($text) } : undef;
}

# Bytes that a terminal would obey, or that are no UTF-8; '' if there are none.
sub control_characters {
    my ($text) = @_;
    return "byte $+[0]: \\x" . unpack 'H2', $1 if $text =~ /([\x00-\x08\x0b-\x1f\x7f])/;
    my $decoded = $text;
    return 'no UTF-8' unless utf8::decode($decoded);
    return sprintf 'U+%04X', ord $1 if $decoded =~ /([\x{80}-\x{9f}])/;
    return '';
}

# What is wrong with what went to standard error: each line is godwit's own, or the continuation of
# one; bench writes its failures there, and GLib says "(NAME:PID): ...".
sub disorder {
    my ($text) = @_;
    for my $line (split /\n/, $text) {
        return "not godwit's: " . substr $line, 0, 100
            unless $line eq '' || $line =~ /^(?:godwit:\ |\s|(?:FAIL|ERROR|known|skip)\ +x86_64\ |\([^()]+:\d+\):\ |prlimit:\ |sh:\ )/x;
    }
    return '';
}

# A process of the run: by the mark in its environment, or, lest that was cleared, by where it works.
sub present {
    my ($run) = @_;
    my %there = map { ($_ => 1) } processes($run);
    for my $pid (map {m{(\d+)}} glob '/proc/[0-9]*') {
        my $where = readlink "/proc/$pid/cwd";
        $there{$pid} = 1 if defined $where && index($where, "$run->{dir}/") == 0;
    }
    return grep { alive($_) } keys %there;
}

sub what_is_left {
    my ($run) = @_;
    my @left = map {
        my $words = slurp("/proc/$_/cmdline");
        "process $_ " . substr $words =~ tr/\0/ /r, 0, 100
    } present($run);
    my %expected = map { ("$run->{dir}/cwd/$_" => 1) }
        @{$run->{case}{files} || []}, map {"report.$_"} qw(json text tap junit html);
    my @files = grep { !$expected{$_} && !m{/cwd/(godwit-output|kept)(/|$)} } files_of($run);
    push @left, map { 'file ' . substr $_, length $run->{dir} } @files;
    push @left, map {"mount $_"} grep { index($_, $run->{dir}) >= 0 } split /\n/,
        slurp('/proc/self/mountinfo');
    splice @left, 6, @left - 6, 'and ' . (@left - 6) . ' more' if @left > 7;
    return @left;
}

# The largest that the harness, its janitor and its workers have been so far.
sub sample_memory {
    my ($run) = @_;
    return if time < ($run->{next_sample} || 0);
    $run->{next_sample} = time + 0.1;
    for my $pid ($run->{pid}, children_of($run->{pid})) {
        next unless (readlink "/proc/$pid/exe" // '') eq $godwit;
        my ($most) = slurp("/proc/$pid/status") =~ /^VmHWM:\s+(\d+)/m;
        $run->{memory} = $most if $most && $most > ($run->{memory} || 0);
        end_by_force($run) if $most && $most > FATAL_KIB;
    }
}

my (%row, @order);

sub record {
    my ($case, @problems) = @_;
    my $row = $row{$case->{kind}};
    unless ($row) {
        $row = $row{$case->{kind}} = {runs => 0, left => 0, hung => 0, false => 0, wrong => 0};
        push @order, $case->{kind};
    }
    $row->{runs}++;
    my %seen;
    while (my ($column, $text) = splice @problems, 0, 2) {
        $row->{$column}++ unless $seen{$column}++;
        $case->{problem} .= ($case->{problem} ? "\n" : '') . "$column: $text";
    }
    ok(!$case->{problem}, $case->{name});
    return unless $case->{problem};
    diag($case->{problem} =~ s/[^[:print:]\n]/?/gr);
}

sub end_by_force {
    my ($run) = @_;
    unless (defined $run->{status}) {
        kill 'KILL', $run->{pid};
        waitpid $run->{pid}, 0;
        ($run->{status}, $run->{ended}) = ('signal 9', time);
    }
    my $until = time + GOING_SECONDS;
    while (my @rest = present($run)) {
        kill 'KILL', @rest;
        last if time > $until;
        sleep TICK;
    }
}

# Whether a run has come to its end; if so, notes how.
sub over {
    my ($run) = @_;
    return 1 if defined $run->{status};
    my $pid = waitpid $run->{pid}, POSIX::WNOHANG();
    return 0 unless $pid == $run->{pid};
    $run->{status} = $? & 127 ? 'signal ' . ($? & 127) : $? >> 8;
    $run->{ended} = time;
    return 1;
}

# One step of a case. True while it goes on.
sub step {
    my ($run) = @_;
    my $case = $run->{case};
    my $now = time;
    if (!over($run)) {
        $case->{tick}->($run, $now - $run->{began}) if $case->{tick};
        sample_memory($run);
        return 1 if $now - $run->{began} < ($case->{patience} || 60) * $run->{factor};
        $run->{hung} = sprintf 'after %.0f s: %s', $now - $run->{began},
            join '; ', map { slurp("/proc/$_/comm") =~ s/\n//r . ' ' . slurp("/proc/$_/wchan") }
            $run->{pid}, children_of($run->{pid});
        end_by_force($run);
        return 0;
    }
    # It has ended: at once everything is gone, except where nobody was there to see to it.
    return 0 unless $case->{slow} && what_is_left($run);
    return $now - $run->{ended} < GOING_SECONDS * $run->{factor};
}

sub conclude {
    my ($run) = @_;
    my $case = $run->{case};
    my @problems;
    if ($run->{hung}) {
        push @problems, hung => $run->{hung};
    } else {
        my @left = what_is_left($run);
        push @problems, left => join '; ', @left if @left;
        $run->{out} = slurp("$run->{dir}/out");
        $run->{err} = slurp("$run->{dir}/err");
        push @problems, $case->{judge}->($run) if $case->{judge};
        push @problems, wrong => "$run->{memory} KiB of memory"
            if ($run->{memory} || 0) > MOST_MEMORY_KIB;
    }
    end_by_force($run) if @problems;
    if (@problems && !$run->{hung}) {
        my $said = substr(($run->{err} || '') . ($run->{out} || ''), 0, 400);
        push @problems, wrong => "status $run->{status}: $said" if grep { $_ eq 'wrong' } @problems;
    }
    record($case, @problems);
    system 'chmod', '-R', 'u+rwx', $run->{dir} if $case->{sealed};
    system 'rm', '-rf', $run->{dir};
}

# Runs the cases, several at a time, and makes a test point of each.
sub attack {
    my (@cases) = @_;
    @cases = grep { $_->{name} =~ /$only/ } @cases if defined $only;
    pass('nothing here is called so') unless @cases;
    my @running;
    while (@cases || @running) {
        while (@cases && @running < $jobs) {
            my $case = shift @cases;
            my %how = %{$case->{how} || {}};
            my @limited = ($prlimit, '--as=' . MOST_ADDRESSES);
            my $run = start($case->{args}, %how, command => [@limited, @{$how{command} || [$godwit]}]);
            @$run{qw(case began factor)} = ($case, time, load_factor());
            push @running, $run;
        }
        my @going;
        for my $run (@running) {
            if (step($run)) { push @going, $run }
            else            { conclude($run) }
            sample_memory($_) for grep { !defined $_->{status} } @running;
        }
        @running = @going;
        sleep TICK if @running;
    }
}

# Writes the rows, and says them.
END {
    my $status = $?;
    my $text = '';
    for my $kind (@order) {
        my $row = $row{$kind};
        $text .= sprintf "%-34s %4d runs, %d left, %d hung, %d false passes, %d otherwise wrong\n",
            "$kind:", @$row{qw(runs left hung false wrong)};
    }
    if ($text && $ENV{HOSTILE_COUNTS}) {
        open my $file, '>>', $ENV{HOSTILE_COUNTS} or die "$ENV{HOSTILE_COUNTS}: $!";
        print $file $text;
        close $file or die "$ENV{HOSTILE_COUNTS}: $!";
    } elsif ($text) {
        diag $text;
    }
    $? = $status;
}

1;
