#!/usr/bin/env perl
# Nothing is left behind and nothing hangs, whatever is done to godwit, to its janitor and to its
# workers, and whatever a QEMU starts or does to the files around it.
#
# SPDX-License-Identifier: MIT
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Cli;
use Fcntl qw(F_SETFL O_NONBLOCK);
use Test::More;
use Time::HiRes qw(sleep time);

# Far below what a hanging QEMU is given (a minute), far above what any machine needs.
use constant FAR_TOO_LONG => 40;

my %number = (INT => 2, TERM => 15, HUP => 1);
my @scenario = qw(precopy/unix/plain --accel tcg);
my $hangs = fake('hangs');
my $silent = fake('silent');

# Starts godwit with a QEMU that tells when it is as far as it goes; waits until it is. Returns the
# run and the pid of that QEMU.
sub start_told {
    my ($args, %how) = @_;
    my ($path, $handle) = fifo();
    my $run = start($args, %how, env => {FAKE_QEMU_TELL => $path, %{$how{env} || {}}}, pipe => 1);
    my $pid = told($handle) + 0;
    $run->{told} = $handle;    # keeps the FIFO open
    return ($run, $pid);
}

# Finishes a run, or kills it when it has taken far too long; whether it ended by itself.
sub finish_in_time {
    my ($run) = @_;
    my $end = time + FAR_TOO_LONG;
    sleep 0.01 while time < $end && slurp("/proc/$run->{pid}/stat") =~ /\) [^Z]/;
    my $in_time = slurp("/proc/$run->{pid}/stat") !~ /\) [^Z]/;
    kill 'KILL', processes($run), $run->{pid} unless $in_time;
    finish($run);
    return $in_time;
}

sub janitor_of {
    my ($run) = @_;
    my ($janitor) = grep { slurp("/proc/$_/comm") eq "gw-janitor\n" } processes($run);
    return $janitor;
}

# It takes its name when it comes to run, which nothing waits for.
sub await_janitor_of {
    my ($run) = @_;
    eventually(sub { janitor_of($run) }) or die 'there is no janitor';
    return janitor_of($run);
}

# A reader that does not read: whoever is asked to end while it waits for one ends nevertheless. That
# takes a while by design, so it goes on beside the rest of this file.
my @unread = map {
    my ($path, $handle) = fifo();
    fcntl $handle, F_SETFL, O_NONBLOCK or die "fcntl: $!";
    1 while syswrite $handle, 'x' x 4096;
    my $run = start($_, command => ['sh', '-c', 'exec "$@" >"$0"', $path, $godwit]);
    $run->{unread} = $handle;
    $run;
} ['run', @scenario, qw(--format tap --qemu), fake('crashes')], [qw(doctor --accel tcg --qemu), fake('poor')];
# They have something to clean up, and wait.
eventually(sub { !grep { !janitor_of($_) || slurp("/proc/$_->{pid}/wchan") !~ /pipe/ } @unread })
    or die 'nobody waits for a reader';
kill 'TERM', $_->{pid} for @unread;

# No instant is deaf: each command, both processors busy, signals from the first instant on.
{
    my @busy = map {
        my $pid = fork // die "fork: $!";
        exec 'sh', '-c', 'while :; do :; done' if $pid == 0;
        $pid
    } 1 .. 2;
    my @commands = (
        ['run', @scenario, '--qemu', $hangs],
        ['migrate', '--accel', 'tcg', '--qemu', $hangs],
        ['bench', @scenario, '--qemu', $hangs],
        ['doctor', '--qemu', $silent],
        ['list', '--why', '--qemu', $silent],
    );
    my ($sent, @wrong) = 0;
    for my $round (1 .. 8) {
        # All at once, each signalled at an instant of its own.
        my @runs = map { {run => start($_), at => time + rand(0.6), command => $_->[0]} } @commands;
        for my $one (sort { $a->{at} <=> $b->{at} } @runs) {
            sleep $one->{at} - time if $one->{at} > time;
            $one->{signal} = (qw(TERM INT HUP))[$sent++ % 3];
            kill $one->{signal}, $one->{run}{pid};
        }
        for my $one (@runs) {
            my $in_time = finish_in_time($one->{run});
            my ($status, $number) = ($one->{run}{status}, $number{$one->{signal}});
            # The signal itself kills as long as there is nothing to clean up.
            push @wrong, "$one->{command}, SIG$one->{signal}: " . join ', ', $status, $one->{run}{err},
                @{$one->{run}{left}}
                if !$in_time || $status !~ /\A(?:${\(128 + $number)}|signal $number)\z/
                || @{$one->{run}{left}};
        }
    }
    kill 'KILL', @busy;
    waitpid $_, 0 for @busy;
    is(join("\n", @wrong), '', "no instant is deaf: $sent signals");
}

# What was inherited as ignored stays ignored, and what was inherited as blocked does not stay so.
{
    my ($run) = start_told(['run', @scenario, '--qemu', $hangs],
        command => ['sh', '-c', 'trap "" HUP; exec "$@"', 'sh', $godwit]);
    kill 'HUP', $run->{pid};
    my $ignored = slurp("/proc/$run->{pid}/status") =~ /^SigIgn:\s*([0-9a-f]+)/m ? hex $1 : 0;
    ok($ignored & 1, 'SIGHUP under nohup: it stays ignored');
    kill 'TERM', $run->{pid};
    ok(finish_in_time($run), 'SIGHUP under nohup: SIGTERM ends it');
    is($run->{status}, 128 + 15, 'SIGHUP under nohup: the exit status is that of SIGTERM');
    ok_clean($run, 'SIGHUP under nohup: nothing is left behind');

    ($run) = start_told(['run', @scenario, '--qemu', $hangs], command => ['perl', '-MPOSIX', '-e',
            'sigprocmask(SIG_BLOCK, POSIX::SigSet->new(SIGTERM)); exec @ARGV', $godwit]);
    kill 'TERM', $run->{pid};
    ok(finish_in_time($run), 'SIGTERM inherited as blocked: it ends');
    is($run->{status}, 128 + 15, 'SIGTERM inherited as blocked: exit status');
    ok_clean($run, 'SIGTERM inherited as blocked: nothing is left behind');
}

# The janitor killed: godwit notices, ends the run, and cleans up itself.
for my $also ('', 'TERM') {
    my $name = $also ? "the janitor is killed, then SIG$also" : 'the janitor is killed';
    my ($run) = start_told(['run', '-j2', '--repeat', 2, @scenario, '--qemu', $hangs]);
    kill 'KILL', await_janitor_of($run);
    kill $also, $run->{pid} if $also;
    ok(finish_in_time($run), "$name: godwit ends");
    like($run->{status}, $also ? qr/\A(?:143|2)\z/ : qr/\A2\z/, "$name: exit status");
    like($run->{err}, qr/\Agodwit: the janitor \(process \d+\), .* was killed by signal 9: .*\n\z/,
        "$name: what happened")
        unless $also;
    ok_clean($run, "$name: nothing is left behind");
}

# The janitor stopped: nobody waits for it.
{
    my ($run) = start_told(['run', @scenario, '--qemu', $hangs]);
    kill 'STOP', await_janitor_of($run);
    kill 'TERM', $run->{pid};
    ok(finish_in_time($run), 'the janitor is stopped: godwit ends');
    is($run->{status}, 128 + 15, 'the janitor is stopped: exit status');
    like($run->{err}, qr/\Agodwit: the janitor \(process \d+\) was stopped or hung; .*\n\z/,
        'the janitor is stopped: what happened');
    ok_clean($run, 'the janitor is stopped: nothing is left behind');
}

# A QEMU that is not the process that was started, and leaves others that nobody is the parent of:
# after a pass, after a failure, and after godwit, or a worker, was killed.
sub wrapper {
    my ($name, $program) = @_;
    return script_file($name, <<"END");
setsid sleep 1000 >/dev/null 2>&1 &
(setsid sleep 1001 >/dev/null 2>&1 &)
"$program" "\$@"
exit \$?
END
}

# With the control group that this host may have, and surely without one.
my @hidden = ('unshare', '-m', 'sh', '-c', 'mount -t tmpfs none /sys/fs/cgroup && exec "$@"', 'sh');
my $can_hide = $> == 0 && system("@hidden[0 .. 2] -c 'mount -t tmpfs none /sys/fs/cgroup' 2>/dev/null") == 0;
for my $how ($can_hide ? ([], \@hidden) : []) {
    my $where = @$how ? 'no control group' : 'this host';
    my %how = (command => [@$how, $godwit]);
    my @fails = (@scenario, '--qemu', wrapper('wrapped-crashes', fake('crashes')));
    my $run = run(['run', @fails], %how);
    is($run->{status}, 1, "a wrapper, $where, failure: exit status");
    ok_clean($run, "a wrapper, $where, failure: nothing is left behind");

    if ($qemu) {
        # The memory of a QEMU that is somebody else's child can be had only by asking it.
        $run = run(['run', @scenario, qw(--read-memory pmemsave --qemu), wrapper('wrapped-qemu', $qemu)],
            %how);
        is($run->{status}, 0, "a wrapper, $where, pass: exit status") or diag($run->{out}, $run->{err});
        ok_clean($run, "a wrapper, $where, pass: nothing is left behind");
    }

    my $wrapped = wrapper('wrapped-hangs', $hangs);
    ($run, my $pid) = start_told(['run', @scenario, '--qemu', $wrapped], %how);
    my ($worker) = grep { slurp("/proc/$_/cmdline") =~ /\0worker\0/ } processes($run);
    kill 'KILL', $worker;
    ok(finish_in_time($run), "a wrapper, $where, worker killed: godwit ends");
    is($run->{status}, 2, "a wrapper, $where, worker killed: an error, not a failure");
    ok_clean($run, "a wrapper, $where, worker killed: nothing is left behind");

    for my $command ([run => @scenario, '--qemu', $wrapped],
        [doctor => '--qemu', wrapper('wrapped-silent', $silent)]) {
        ($run) = start_told($command, %how);
        kill 'KILL', $run->{pid};
        finish($run);
        ok(eventually(sub { !processes($run) }),
            "a wrapper, $where, SIGKILL of $command->[0]: no process is left");
        is(join("\n", grep { !m{/cwd/godwit-output(/|$)} } files_of($run)), '',
            "a wrapper, $where, SIGKILL of $command->[0]: no file is left");
    }
}

# A QEMU that puts other things in the place of the files around it.
{
    my ($victim) = map {"$_->{dir}/victim"} run(['--version']);
    open my $file, '>', $victim or die "$victim: $!";
    print $file "mine\n";
    close $file or die "$victim: $!";
    my $crashes = fake('crashes');
    my $replaces = script_file('replaces', <<"END");
for vm in probe source destination; do
    for kind in stderr serial qmp; do
        rm -f \$vm.\$kind
        mkfifo \$vm.\$kind
    done
done
for name in result.json report.txt job.json; do ln -sf $victim \$name; done
ln -sf /dev/zero worker.log
exec $crashes "\$@"
END
    for my $command (['run', @scenario, '--qemu', $replaces],
        ['bench', @scenario, '--qemu', $replaces], [qw(doctor --accel tcg --qemu), $replaces]) {
        my $run = start($command);
        ok(finish_in_time($run), "files replaced: $command->[0] ends");
        is($run->{status}, $command->[0] eq 'doctor' ? 0 : 1, "files replaced: $command->[0], exit status");
        ok_clean($run, "files replaced: $command->[0], nothing is left behind");
        like(slurp("$run->{bundles}[1]/report.txt"), qr/killed by signal 11/,
            'files replaced: the report is where it belongs')
            if $command->[0] eq 'run';
    }
    is(slurp($victim), "mine\n", 'files replaced: no file outside is overwritten');
}

# A limit on the size of files is an error of the host's, whoever meets it.
{
    my @limited = ('sh', '-c', 'ulimit -f "$1" && shift && exec "$@"', 'sh');
    my $run = run(['run', @scenario, '--qemu', fake('crashes')], command => [@limited, 1, $godwit]);
    is($run->{status}, 2, 'a tiny limit on file size: exit status');
    like($run->{out} . $run->{err}, qr/File too large/, 'a tiny limit on file size: the reason');
    ok_clean($run, 'a tiny limit on file size: nothing is left behind');
    SKIP: {
        skip 'no qemu-system-x86_64', 3 unless $qemu;
        my $limit = script_file('limit', <<"END");
case "\$*" in
*"-name source"*)
    (while ! grep -q '"cont"' ../source.qmp; do sleep 0.01; done; kill -XFSZ \$\$) &
    ;;
esac
exec $qemu "\$@"
END
        $run = run(['run', @scenario, '--qemu', $limit]);
        is($run->{status}, 2, 'QEMU meets a limit on file size: exit status')
            or diag($run->{out}, $run->{err});
        like($run->{out} . $run->{err}, qr/ulimit -f/, 'QEMU meets a limit on file size: the reason');
        ok_clean($run, 'QEMU meets a limit on file size: nothing is left behind');
    }
}

SKIP: {
    skip 'no qemu-system-x86_64', 8 unless $qemu;

    # QEMU's own temporary files.
    my $run = run(['run', 'conformance/refusals/blocked', '--accel', 'tcg', '--qemu', $qemu]);
    is($run->{status}, 0, "QEMU's temporary files: exit status") or diag($run->{out}, $run->{err});
    ok_clean($run, "QEMU's temporary files: nothing is left behind");

    # Runs that keep their folders in one place at a time.
    my $mine = 'kept/0001-x86_64-precopy-unix-plain/mine';
    my $before = run(['--version']);
    my $cwd = "$before->{dir}/cwd";
    mkdir $_ or die "$_: $!" for "$cwd/kept", "$cwd/kept/0001-x86_64-precopy-unix-plain";
    open my $file, '>', "$cwd/$mine" or die "$mine: $!";
    close $file or die "$mine: $!";
    my @runs = map {
        start(['run', @scenario, '--qemu', $qemu, '--keep', '-o', "$cwd/kept"])
    } 1 .. 4;
    finish($_) for @runs;
    is_deeply([map { $_->{status} } @runs], [(0) x 4], '--keep, four at a time: all pass')
        or diag(map { $_->{out}, $_->{err} } @runs);
    ok(-e "$cwd/$mine", '--keep: what was there stays there');
    is_deeply(
        [map {s{.*/}{}r} sort grep { -f "$_/result.json" } glob "$cwd/kept/*"],
        [map {"0001-x86_64-precopy-unix-plain.$_"} 2 .. 5],
        '--keep, four at a time: each has its own folder');
}

for my $run (@unread) {
    ok(finish_in_time($run), 'nobody reads what it writes: it ends after SIGTERM');
    is($run->{status}, 128 + 15, 'nobody reads what it writes: exit status');
    ok_clean($run, 'nobody reads what it writes: nothing is left behind');
}

done_testing();
