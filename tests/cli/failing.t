#!/usr/bin/env perl
# A scenario that fails says on the terminal all that is needed to understand it: scenario, step, VM,
# the last lines of everything, and the command lines to do it again, which work.
#
# SPDX-License-Identifier: MIT
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Cli;
use JSON::PP ();
use Test::More;

# BEHAVIOUR: what is said to be wrong, in which phase, and what else is to be seen.
my %failures = (
    'hangs' => [qr/timed out after \d+\.\d s waiting for the source's answer to migrate/, 'migrate'],
    'silent-guest' => [qr/waiting for 'A' on the source's console .so far: ""/, 'to A'],
    'stuck-guest' => [qr/waiting for 'B' on the source's console .so far: "A"/, 'to B',
        qr/^ +console +A$/m],
    'crashes' => [qr/the source's QEMU was killed by signal 11 .*"fake-qemu: this will hurt"/,
        'migrate', qr/^ +stderr +fake-qemu: this will hurt$/m,
        qr/^ +source +QEMU 1\.2\.3 was killed by signal 11/m],
    'dies-early' => [qr/the source's QEMU was killed by signal 11 .*"fake-qemu: this will hurt"/,
        qr/start/],
    'floods-events' => [qr/source floods QMP: it sent 20001 events, .*RTC_CHANGE/, 'migrate'],
    'floods-stderr' => [qr/source's QEMU floods its standard error: it wrote more than 16 MiB/,
        'migrate', qr/^ +stderr +x{20}/m],
    'floods-console' => [qr/source: the guest floods its console: it wrote more than 256 MiB/,
        'migrate', qr/^ +console +\.\.\.B{20}/m],
    'babbles' => [qr/source sent a line that is not a JSON object: "\}\} not \\033\[31mJSON/, 'migrate'],
    'noisy-guest' => [qr/source: the console shows byte 0x5a/, qr/start|to A|to B/,
        qr/^ +console +ABZ$/m],
    'restarting-guest' => [qr/source: the guest restarted: READY number 2, 1 expected/,
        qr/start|to A|to B/, qr/^ +console +ABA$/m],
    'faulty-guest' => [qr/source: the guest reports a fault/, qr/start|to A|to B/,
        qr/^ +console +ABX$/m],
);

sub by_hand {
    my ($path, $vm) = @_;
    return qr/^$vm:\n +\Q$path\E .*-machine pc-fake-1\.2,dump-guest-core=off -accel tcg -m 150 .*-name $vm .*-serial \S+$/m;
}

# A bundle has what is wrong in its first line, and all there is to know; nothing else is left.
sub ok_bundle {
    my ($run, $bundle, $what, $phase, $path) = @_;
    my $report = slurp("$bundle/report.txt");
    like($report, $what, 'bundle: it begins with what is wrong');
    like($report, qr/\A.*\nIt was noticed as .*, in phase "$phase"; source QEMU 1\.2\.3, destination QEMU 1\.2\.3\.\n/,
        'bundle: then how it was noticed, in which step, with which QEMUs');
    like($report, qr/^$_\n-+\n/m, "bundle: $_")
        for 'What was done', 'To run it again', 'The QEMUs by hand', 'What happened', 'The source',
        'The destination', 'Files';
    like($report, qr/^ +\Q$godwit\E run precopy\/unix\/plain --arch x86_64 /m, 'bundle: how to do it again');
    like($report, by_hand($path, $_), "bundle: the $_ by hand") for qw(source destination);
    like($report, qr/ +\d+\.\d{6} [<>] /m, 'bundle: the end of the QMP transcript');
    like($report, qr/^ +cd \Q$bundle\E\/work$/m, 'bundle: where its command lines are to be run');
    like($report, qr/^ +\d+\.\d{6}  godwit +phase "start"$/m, 'bundle: the timeline');
    unlike($report, qr/[^[:print:]\n]/, 'bundle: no control characters');
    ok(-f "$bundle/$_", "bundle: $_")
        for qw(result.json job.json source.qmp destination.qmp work/source.image source.stderr);
    is((stat $bundle)[2] & 0777, 0700, 'bundle: for nobody else');
    return ok_clean($run, 'nothing else is left behind');
}

# All at once: those that hang take as long as they are let, 9 seconds.
my @behaviours = sort keys %failures;
my %hangs = map { ($_ => ['--timeout-scale', '0.15']) } qw(hangs silent-guest stuck-guest);
my @runs = run_all(scalar @behaviours,
    map { [['run', 'precopy/unix/plain', '--accel', 'tcg', '--qemu', fake($_),
            @{$hangs{$_} || []}]] } @behaviours);
for my $behaviour (@behaviours) {
    my ($what, $phase, @more) = @{$failures{$behaviour}};
    my $path = fake($behaviour);
    my $run = shift @runs;
    subtest "a QEMU that $behaviour" => sub {
        is($run->{status}, 1, 'exit status');
        is($run->{err}, '', 'nothing on stderr');
        like($run->{out}, qr/\AFAIL  x86_64   precopy\/unix\/plain +\d+\.\d\d s\n/, 'the scenario');
        like($run->{out}, qr/^ +what +.*$what/m, 'what is wrong');
        like($run->{out}, qr/^ +phase +$phase$/m, 'the step');
        like($run->{out}, qr/^ +source +QEMU 1\.2\.3 .*\n(.*\n)* +destination QEMU 1\.2\.3 /m,
            'both VMs');
        unlike($run->{out}, qr/"execute"|-machine pc-fake-1\.2,dump/, 'no raw QMP and no command lines');
        cmp_ok(($run->{out} =~ tr/\n//), '<', 24, 'it fits on a screen');
        like($run->{out}, qr/^ +again +\Q$godwit\E run precopy\/unix\/plain .*--qemu \Q$path\E/m,
            'how to do it again');
        like($run->{out}, qr/^failed: x86_64 precopy\/unix\/plain\n\z/m, 'the last line names it');
        like($run->{out}, qr/^0 passed, 1 failed, 0 skipped in \d/m, 'the sum');
        like($run->{out}, $_, "$_") for @more;
        unlike($run->{out}, qr/[^[:print:]\n]/, 'no control characters');
        my $bundle = "$run->{dir}/cwd/godwit-output/0001-x86_64-precopy-unix-plain";
        like($run->{out}, qr/^ +report +\Q$bundle\E\/report\.txt$/m, 'the bundle is named');
        ok_bundle($run, $bundle, qr/\Aprecopy\/unix\/plain failed: .*$what/, $phase,
            $path);
    };
}

# A QEMU that hangs when it is asked to quit, or whose destination is the one that is wrong.
my $sides = run(['run', 'precopy/unix/plain', '--accel', 'tcg', '--qemu-src', fake('crashes'),
    '--qemu-dst', fake('hangs')]);
like($sides->{out}, qr/--qemu-src \Q${\fake('crashes')}\E --qemu-dst \Q${\fake('hangs')}\E/,
    'two binaries: both are in the line that does it again');
ok_clean($sides, 'two binaries: nothing but the bundle is left behind');

# That line does do it again.
my ($again) = $sides->{out} =~ /^ +again +\Q$godwit\E (.*)$/m;
my $second = run([split / /, $again // '--help']);
is($second->{status}, 1, 'done again: exit status');
like($second->{out}, qr/^FAIL.*\n +what .*killed by signal 11/m, 'done again: the same failure');

# With --keep, everything is in the folder that is named.
my $kept = run(['run', 'precopy/unix/plain', '--accel', 'tcg', '--qemu', fake('crashes'),
    '--keep', '--output', 'kept']);
my ($folder) = $kept->{out} =~ /^ +report +(\/\S+)\/report\.txt$/m;
is($folder, "$kept->{dir}/cwd/kept/0001-x86_64-precopy-unix-plain", 'kept: the folder is named');
for my $name (qw(job.json result.json report.txt worker.log),
    map { my $vm = $_; ("work/$vm.image", map {"$vm.$_"} qw(qmp serial stderr)) } qw(source destination)) {
    ok(-f "$folder/$name", "kept: $name");
}
is(slurp("$folder/source.stderr"), "fake-qemu: this will hurt\n", 'kept: what QEMU said');
is(slurp("$folder/source.serial"), 'AB', 'kept: what the guest said');
is((stat "$kept->{dir}/cwd/kept")[2] & 0777, 0700, 'kept: for nobody else');
is_deeply([grep { !m{/kept(/|$)} } @{$kept->{left}}], [], 'kept: nothing else is left behind');

# Without it, --output says where the bundles of failures go, and one never takes another's place.
my @twice = (qw(run -w order precopy/unix/plain --accel tcg --repeat 2 --output here --qemu), fake('crashes'));
my $first = run(['run', '--accel', 'tcg', 'precopy/unix/plain', '--output', 'here', '--qemu',
        fake('crashes')]);
my $same = run([], command => ['sh', '-c', 'cd "$1" && shift && "$@"', 'sh', "$first->{dir}/cwd",
        $godwit, @twice]);
is($same->{status}, 1, 'bundles: exit status of a second run');
is_deeply([map { s{.*/}{}r } sort glob "$first->{dir}/cwd/here/*"],
    [map {"$_->[0]-x86_64-precopy-unix-plain$_->[1]"} ['0001', ''], ['0001', '.2'], ['0002', '']],
    'bundles: each in a folder of its own');

# A place where no bundle can be is told of, and the result is told all the same.
my $nowhere = run(['run', 'precopy/unix/plain', '--accel', 'tcg', '--output', '/proc/here', '--qemu',
        fake('crashes')]);
is($nowhere->{status}, 1, 'no place for a bundle: exit status');
like($nowhere->{err}, qr/\Agodwit: cannot keep the folder of precopy\/unix\/plain: cannot write to folder \/proc\/here: .*\n\z/,
    'no place for a bundle: it is told');
like($nowhere->{out}, qr/^FAIL +x86_64 /m, 'no place for a bundle: the result');
like($nowhere->{out}, qr/^ +by hand +\S+ .*-name source /m, 'no place for a bundle: the command line');
unlike($nowhere->{out}, qr/^ +report /m, 'no place for a bundle: none is named');
ok_clean($nowhere, 'no place for a bundle: nothing is left behind');

SKIP: {
    skip 'no qemu-system-x86_64', 6 unless $qemu;

    # A real QEMU that refuses something; by hand, in the kept folder, its guest runs.
    my $run = run(['migrate', '--accel', 'tcg', '--qemu', $qemu, '--parameter', 'downtime-limit=-1',
        '--keep']);
    is($run->{status}, 1, 'a real QEMU that refuses a parameter: exit status');
    like($run->{out}, qr/^ +what +the destination refused migrate-set-parameters: .*downtime.limit/m,
        'a real QEMU that refuses a parameter: its words');
    ($again) = $run->{out} =~ /^ +again +\Q$godwit\E (.*)$/m;
    like($again, qr/^migrate --transport unix --parameter downtime-limit=-1 --arch x86_64 --qemu \Q$qemu\E /,
        'a real QEMU that refuses a parameter: how to do it again');
    ($folder) = $run->{out} =~ /^ +report +(\/\S+)\/report\.txt$/m;
    like($folder, qr/godwit-output\/0001-x86_64-migrate$/, 'kept in godwit-output');
    my ($line) = slurp("$folder/report.txt") =~ /^ +(\S+ .*-name source .*)$/m;
    my $by_hand = start([], pipe => 1, command => ['sh', '-c', "cd $folder/work && exec $line"]);
    is(told($by_hand->{out}, qr/B/), 'AB', 'by hand: the guest shows A, then B');
    kill 'KILL', $by_hand->{pid};
    finish($by_hand);
    is($by_hand->{status}, 'signal 9', 'by hand: it ran on');
}

# The reason that only the standard error has is in the headline: of the VM itself, or of its peer.
SKIP: {
    skip 'no qemu-system-x86_64', 8 unless $qemu;
    my $liar = script_file('liar', <<"END");
case "\$*" in
*'-name destination'*)
    echo 'liar: warning: of no account' >&2
    echo 'liar: Unknown section or instance "x" 0' >&2
    echo 'liar: load of migration failed: Invalid argument' >&2
    ;;
esac
exec $qemu "\$@"
END
    for my $format (qw(text tap junit)) {
        my $run = run(['migrate', qw(--accel tcg --stopped --fault version:seed=1), '--format', $format, '--qemu', $liar]);
        is($run->{status}, 1, "a reason on standard error, $format: exit status");
        my ($what) = $format eq 'junit' ? $run->{out} =~ /<failure message="([^"]*)"/
            : $run->{out} =~ /^ +what +(.*)$/m;
        like($what, qr/Unknown section or instance (?:"|&quot;)x(?:"|&quot;) 0/,
            "a reason on standard error, $format: the headline quotes it");
        unlike($what, qr/no reason|of no account/, "a reason on standard error, $format: and nothing less telling");
    }
}

# A fault that was injected is named wherever its outcome is, found or not.
SKIP: {
    skip 'no qemu-system-x86_64', 10 unless $qemu;
    for my $format (qw(text tap junit html)) {
        my $run = run(['migrate', qw(--accel tcg --fault split:bytes=2000 --keep --format), $format, '--qemu', $qemu]);
        is($run->{status}, 0, "a fault that nobody notices, $format: exit status");
        like($run->{out}, qr/split:bytes=2000: the relay .*; not noticed/, "a fault that nobody notices, $format: it is named");
        my ($bundle) = glob "$run->{dir}/cwd/godwit-output/0001-*";
        like(slurp("$bundle/report.txt"), qr/^A fault was injected on purpose: split:bytes=2000: the relay .*; not noticed\.$/m,
            "a fault that nobody notices, $format: report.txt names it");
    }
    my $found = run(['migrate', '--accel', 'tcg', '--fault', 'flip-bit:page=3,byte=8,bit=1', '--qemu', $qemu]);
    is($found->{status}, 1, 'a fault that is found: exit status');
    like($found->{out}, qr/^ +fault +flip-bit:page=3,byte=8,bit=1: the relay .*; found by twin on the destination$/m,
        'a fault that is found: by whom');
    my ($bundle) = glob "$found->{dir}/cwd/godwit-output/0001-*";
    like(slurp("$bundle/report.txt"), qr/^A fault was injected on purpose: flip-bit:.*; found by twin on the destination\.$/m,
        'a fault that is found: report.txt names it');
}
my $unknown = run([qw(migrate --arch x86_64 --accel tcg --fault flipbit --qemu), fake('crashes')]);
is($unknown->{status}, 2, 'an unknown fault: exit status');
like($unknown->{err}, qr/\Agodwit: unknown fault "flipbit"; the faults are: flip-bit, drop-page, .*, throttle \(see `godwit selftest --list`\)\n\z/,
    'an unknown fault: those that are known, in one line');

# A worker that cannot be started loses no scenario: each has its result.
my $no_room = run([], command => ['sh', '-c', 'ulimit -n 30; exec "$@"', 'sh', $godwit, 'run', '-w', 'order',
        qw(precopy/unix/plain precopy/tcp/plain precopy/fd/socket -j12 --repeat 4 --format json --accel tcg --qemu), fake('hangs'),
        qw(--timeout-scale 0.15)]);
my $all = eval { JSON::PP->new->utf8->decode($no_room->{out}) } || {results => []};
is($no_room->{status}, 1, 'no more workers: exit status');
is(scalar @{$all->{results}}, 12, 'no more workers: every job has a result');
my @reasons = grep { ($_->{kind} // '') eq 'not-run' } @{$all->{results}};
cmp_ok(scalar @reasons, '>', 0, 'no more workers: some were not run');
is_deeply([grep { $_->{status} ne 'error' || $_->{message} !~ /^not run: no worker process can be started/ } @reasons],
    [], 'no more workers: they say why');
is($all->{summary}{not_run}, scalar @reasons, 'no more workers: they are counted');

done_testing();
