#!/usr/bin/env perl
# However godwit is ended, everything that it started ends too, and its temporary folder is gone.
#
# How quick that is depends on the machine and is only told. What is tested is that nobody waits for
# a deadline: the scenarios here would take a minute by themselves.
#
# Runs alone: it compares how long an end takes with a deadline, and a busy host delays both.
#
# SPDX-License-Identifier: MIT
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Cli;
use Test::More;
use Time::HiRes qw(time);

# Far below the minute, far above what any machine needs.
use constant FAR_TOO_LONG => 30;

my %number = (INT => 2, KILL => 9, TERM => 15, HUP => 1);
my @scenario = qw(precopy/unix/plain --accel tcg);

# Starts godwit with a QEMU that tells when it is as far as it goes. Returns the run, the pid that
# was told, and the handle for more.
sub start_told {
    my (@args) = @_;
    my ($path, $handle) = fifo();
    my $run = start(\@args, env => {FAKE_QEMU_TELL => $path}, pipe => 1);
    my $pid = told($handle) + 0;
    return ($run, $pid, $handle);
}

# The parent of a process.
sub parent_of {
    my ($pid) = @_;
    return slurp("/proc/$pid/status") =~ /^PPid:\s+(\d+)/m ? $1 : 0;
}

# Sends the signal, and sees that it ends with everything that belongs to it.
sub ends {
    my ($run, $signal, $name) = @_;
    ok(scalar processes($run), "$name: it runs");
    my $began = time;
    # As a terminal does: to the process group. Everybody else sends it to the process.
    kill $signal, $name =~ /terminal/ ? -$run->{pid} : $run->{pid};
    finish($run);
    my $took = time - $began;
    diag(sprintf '%s: over after %.0f ms', $name, $took * 1000);
    is($run->{status}, 128 + $number{$signal}, "$name: exit status");
    is($run->{err}, '', "$name: nothing to complain about");
    ok_clean($run, "$name: everything is gone when it exits");
    cmp_ok($took, '<', FAR_TOO_LONG, "$name: it does not wait for a deadline");
}

# As early as can be, before godwit is executed: the status is never one of the test's own.
{
    local $SIG{INT} = sub { exit 1 };
    my %status;
    for (1 .. 50) {
        my $run = start(['--version']);
        kill 'INT', $run->{pid};
        $status{finish($run)->{status}}++;
    }
    is(join(', ', grep { !/^(0|signal 2)$/ } sort keys %status), '', 'SIGINT at the very start');
}

# In each command, in the middle of a scenario, and while QEMUs are looked at.
for (
    ['INT', 'a terminal\'s Ctrl-C', 'run', @scenario, '--qemu', fake('hangs')],
    ['INT', 'SIGINT', 'run', @scenario, '--qemu', fake('hangs')],
    ['TERM', 'SIGTERM', 'run', @scenario, '--qemu', fake('hangs')],
    ['HUP', 'SIGHUP', 'run', @scenario, '--qemu', fake('hangs')],
    ['TERM', 'SIGTERM of two at a time', 'run', qw(-j 2 --repeat 2), @scenario, '--qemu',
        fake('hangs')],
    ['TERM', 'SIGTERM of an endless run', 'run', '--until-fail', @scenario, '--qemu',
        fake('hangs')],
    ['TERM', 'SIGTERM of a migration', 'migrate', '--accel', 'tcg', '--qemu', fake('hangs')],
    ['TERM', 'SIGTERM of a benchmark', 'bench', @scenario, '--qemu', fake('hangs')],
    ['TERM', 'SIGTERM of a comparison', 'compare', @scenario, '--a', fake('hangs'),
        '--b', fake('crashes')],
    ['INT', 'SIGINT while a QEMU is looked at', 'run', @scenario, '--qemu', fake('silent')],
    ['TERM', 'SIGTERM of the doctor', 'doctor', '--qemu', fake('silent')],
) {
    my ($signal, $name, @args) = @$_;
    my ($run) = start_told(@args);
    ends($run, $signal, $name);
}

# With real QEMUs at work.
SKIP: {
    skip 'no qemu-system-x86_64', 15 unless $qemu;
    for my $signal (qw(INT TERM HUP)) {
        my $run = start(['run', @scenario, qw(-j 2 --until-fail --format tap --qemu), $qemu],
            pipe => 1);
        like(told($run->{out}, qr/^(not )?ok .*\n/m), qr/^ok/m, "SIG$signal with real QEMUs: they work");
        ends($run, $signal, "SIG$signal with real QEMUs");
        like($run->{out}, qr/^Bail out|^1\.\.\d+$/m, "SIG$signal with real QEMUs: the report ends");
    }
}

# SIGKILL, which leaves nobody to clean up but the janitor ...
for (
    ['in a scenario', 'run', @scenario, '--qemu', fake('hangs')],
    ['with two at a time', 'run', qw(-j 2 --repeat 2), @scenario, '--qemu', fake('hangs')],
    ['while a QEMU is looked at', 'run', @scenario, '--qemu', fake('silent')],
    $qemu ? ['with a real QEMU', 'run', '--until-fail', @scenario, '--qemu', $qemu] : (),
) {
    my ($name, @args) = @$_;
    my $run;
    if ($name =~ /real/) {
        $run = start(\@args, pipe => 1);
        told($run->{out});
    } else {
        ($run) = start_told(@args);
    }
    ok(scalar processes($run), "SIGKILL $name: it runs");
    my $began = time;
    kill 'KILL', $run->{pid};
    finish($run);
    is($run->{status}, 'signal 9', "SIGKILL $name: it is dead");
    ok(eventually(sub { !processes($run) }), "SIGKILL $name: no process lives on");
    diag(sprintf 'SIGKILL %s: nothing left after %.0f ms', $name, (time - $began) * 1000);
    is(join("\n", grep { !m{/cwd/godwit-output(/|$)} } files_of($run)), '',
        "SIGKILL $name: no file is left but bundles");
}

# ... and with the janitor killed first, the processes go all the same.
my ($run) = start_told('run', @scenario, '--qemu', fake('hangs'));
my $janitor;
ok(eventually(sub {
        # It takes its name when it comes to run, which nothing waits for.
        ($janitor) = grep { slurp("/proc/$_/comm") eq "gw-janitor\n" } processes($run);
        $janitor;
    }), 'SIGKILL of janitor and godwit: there is a janitor');
kill 'KILL', $janitor, $run->{pid} if $janitor;
finish($run);
ok(eventually(sub { !processes($run) }), 'SIGKILL of janitor and godwit: no process lives on');

# A worker that is killed takes its own scenario with it, and no other.
SKIP: {
    skip 'no qemu-system-x86_64', 8 unless $qemu;
    # The QEMUs of the first scenario hang; all others are real.
    my $hangs = fake('hangs');
    my $mixed = script_file('mixed', <<"END");
case "\$*" in
*'-machine none'*) exec $qemu "\$@" ;;
esac
case \$PWD in
*/0001-*) exec $hangs "\$@" ;;
esac
exec $qemu "\$@"
END
    ($run, my $pid) = start_told('run',
        qw(precopy/unix/plain precopy/tcp/plain -j 1 --accel tcg --format tap), '--qemu', $mixed);
    my $worker = parent_of($pid);
    like(slurp("/proc/$worker/cmdline"), qr/\0worker\0/, 'a killed worker: it is there');
    kill 'KILL', $worker;
    ok(eventually(sub { !-e "/proc/$pid" || slurp("/proc/$pid/environ") eq '' }),
        'a killed worker: its QEMU does not live on');
    finish($run);
    is($run->{status}, 2, 'a killed worker: exit status, as of an error of the host');
    like($run->{out}, qr/^not ok 1 - x86_64 precopy\/unix\/plain$/m, 'a killed worker: it failed');
    like($run->{out}, qr/the worker process was killed by signal 9 .*\(phase: /,
        'a killed worker: how');
    like($run->{out}, qr/"execute":"migrate"/, 'a killed worker: what is left of its VMs is shown');
    like($run->{out}, qr/^ok 2 - x86_64 precopy\/tcp\/plain$/m, 'a killed worker: the next one runs');
    ok_clean($run, 'a killed worker: nothing is left behind');
}

done_testing();
