#!/usr/bin/env perl
# What cannot be run is refused: in one line that says why, with status 2, and nothing is left behind.
#
# SPDX-License-Identifier: MIT
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Cli;
use Test::More;

# This one is in order until something is migrated: were an option not refused, the run would fail.
my @good = ('--qemu', fake('hangs'));
my @usual = qw(--accel tcg);
my @impatient = qw(--timeout-scale 0.15);    # a QEMU has 2 seconds to greet, 9 for all else
my $file = "$FindBin::Bin/$FindBin::Script";    # one that is no folder

my @cases;

# What ARGS are refused with, in a pattern.
sub refuses {
    my ($args, $pattern, %how) = @_;
    push @cases, {args => $args, pattern => $pattern, how => \%how, name => "@$args"};
    $cases[-1]{name} .= " with $how{with}" if $how{with};
}

sub run_refuses {
    my ($args, $pattern, %how) = @_;
    refuses(['run', 'precopy/unix/plain', @usual, @good, @$args], $pattern, %how);
    $cases[-1]{name} = "run @$args" . ($how{with} ? " with $how{with}" : '');
}

sub migrate_refuses {
    my ($args, $pattern) = @_;
    refuses(['migrate', @usual, @good, @$args], $pattern);
    $cases[-1]{name} = "migrate @$args";
}

# QEMUs that are none, or the wrong one. Those that time out come first: the rest runs meanwhile.
for (
    [fake('silent'), qr/did not answer on QMP .timed out/, @impatient],
    [fake('mute'), qr/waiting for .* answer to qmp_capabilities/, @impatient],
    [fake('stays'), qr/waiting for .* to quit/, @impatient],
    [fake('endless'), qr/sent an endless line/],
    [fake('dies'), qr/exited with status 3 .* saying ".*no libfake\.so"/],
    [fake('garbage'), qr/sent a line that is not a JSON object: "Hello/],
    [fake('no-greeting'), qr/did not begin with a QMP greeting/],
    [fake('stray'), qr/sent an unexpected answer/],
    [fake('vax'), qr/is a QEMU for vax, for which Godwit has no guest, only for aarch64, /],
    [fake('no-machine'), qr/has no machine "q35"/],
    [fake('large-pages'), qr/^godwit: x86_64 with QEMU 1\.2\.3 is left out: its pages are larger than this host's, .*; a newer QEMU may have smaller ones$/],
    ['/bin/true', qr/exited with status 0 .* saying nothing/],
    ['/bin/cat', qr/exited with status 1/],
    ['/nonexistent/qemu', qr/QEMU binary \/nonexistent\/qemu: No such file/],
    ['no-such-qemu', qr/"no-such-qemu": not in \$PATH/],
    ['', qr/"": not in \$PATH/],
    ['/proc', qr/neither \/proc nor \/proc\/bin has a qemu-system-ARCH for any of /],
    ['/dev/null', qr/not a regular file/],
    ["$FindBin::Bin/lib/Cli.pm", qr/not executable/],
    ["$file/qemu", qr/Not a directory/],
) {
    my ($path, $pattern, @more) = @$_;
    refuses(['run', 'precopy/unix/plain', @usual, '--qemu', $path, @more], $pattern);
}
refuses(['run', @usual, '--qemu-src', fake('hangs'), '--qemu-dst', fake('vax')],
    qr/is a QEMU for vax, not for x86_64/);
refuses(['run', @usual, '--qemu-src', fake('hangs'), '--qemu-dst', '/bin/true'],
    qr/not a usable QEMU: \/bin\/true/);
refuses([$_, 'precopy/unix/plain'], qr/no QEMU in \$PATH: install one/,
    env => {PATH => '/nonexistent'}, with => 'no QEMU in $PATH') for qw(run bench);
refuses(['run', '--arch', 's390x'], qr/no qemu-system-s390x in \$PATH: install .*package/,
    env => {PATH => '/nonexistent'}, with => 'no QEMU in $PATH');

# Commands.
refuses([], qr/no command given/);
refuses(['fly'], qr/unknown command "fly"/);
refuses(['--fly'], qr/unknown command "--fly"/);
refuses(['worker', '/nonexistent'], qr/is internal to godwit/);
for my $command (qw(run list migrate doctor bench compare stream)) {
    refuses([$command, '--fly'], qr/nknown option --fly .*--help/);
}
refuses([$_, 'fly'], qr/$_: unexpected argument "fly"/) for qw(migrate doctor);
refuses([$_, 'precopy/fly'], qr/no scenario matches "precopy\/fly" .*godwit list/)
    for qw(run list bench);
refuses(['run', $_], qr/no scenario matches "$_" \(did you mean '\Q$_\E\/\*'\? see `godwit list`\)/)
    for qw(precopy precopy/tcp device);
refuses(['run', 'fly'], qr/no scenario matches "fly" \(see `godwit list`\)/);

# How much of it.
run_refuses(['-j', $_], qr/-j needs a number from 1 to 256/) for qw(0 -1 257);
run_refuses(["-j$_"], qr/-j needs|value .* for -j/) for qw(0 x);
run_refuses([@$_], qr/Missing argument for $_->[0]/) for ['-j'], ['--shard'], ['--arch'];
run_refuses(['--repeat', $_], qr/--repeat needs a number of 1 or more/) for qw(0 -1);
run_refuses(["--$_", 'x'], qr/value .x. for --$_ /) for qw(repeat jobs memory timeout-scale);
run_refuses(['--shard-times', '/dev/null'], qr/--shard-times says how to divide a run: it needs --shard/);
run_refuses(['--shard', '1/2', '--shard-times', '/no/such/file'], qr{/no/such/file: No such file});
run_refuses(['--shard', '1/2', '--shard-times', '/dev/null'], qr{/dev/null: });
run_refuses(['--shard', $_], qr/--shard needs I\/N/)
    for qw(3/2 0/2 0/0 -1/2 1/-2 1 / 1/ 1/2x x/y), '';
run_refuses(['--timeout-scale', $_], qr/--timeout-scale needs a number above 0/)
    for qw(0 -1 nan inf 1e9);
refuses(['bench', '--runs', $_], qr/--runs needs a number of 1 or more/) for qw(0 -3);
refuses(['run', '--preset', 'x'], qr/unknown preset "x" \(expected upgrade\)/);
run_refuses(['--preset', 'upgrade', 'precopy/*'], qr/--preset chooses the scenarios and excludes a GLOB/);
run_refuses(['--quick', @$_], qr/--quick chooses the scenarios, accepts known bugs, and excludes a GLOB/)
    for ['precopy/*'], ['--preset', 'upgrade'], ['--strict'];

# What on.
refuses(['run', '--preset', 'upgrade'], qr/--direction needs two QEMUs: --cross, or --qemu-src/);
run_refuses(['--arch', 'vax'], qr/unknown architecture "vax" \(expected one of aarch64, /);
run_refuses(['--arch', 'x86_64,vax'], qr/unknown architecture "vax"/);
run_refuses(['--arch', ''], qr/--arch needs the name of an architecture/);
run_refuses(['--arch', 'aarch64'], qr/is a QEMU for x86_64, not for aarch64/);
run_refuses(['--accel', 'warp'], qr/unknown accelerator "warp" \(expected auto, tcg or kvm\)/);
run_refuses(['--machine', 'vax'], qr/has no machine "vax"/);
run_refuses(['--image', 'vax'], qr/x86_64 has no image "vax"/);
run_refuses(['--accept-known', $_], qr/--accept-known: unknown bug "" \(expected one of tcg-hot-page,/)
    for '', 'suspend-lost,';
run_refuses(['--accept-known', 'suspend-lost,fly'], qr/unknown bug "fly" \(expected one of tcg-hot-page,/);
run_refuses(['--accept-known', "\@$file"], qr/--accept-known: unknown bug "use strict;"/);
run_refuses(['--accept-known', '@/nonexistent'], qr/--accept-known: .*\/nonexistent.*: No such file/);
run_refuses(['--read-memory', 'aloud'], qr/unknown way to read memory "aloud"/);
run_refuses(["--qemu-$_", '/bin/true'], qr/--qemu sets both sides/) for qw(src dst);

# The guest and its memory.
run_refuses(['--memory', $_], qr/--memory needs a number of MiB/) for qw(0 -1);
run_refuses(['--memory', 1], qr/the window must lie inside the guest's RAM/);
run_refuses(['--memory', $_], qr/not enough memory: .*fewer with -j, or less --memory/)
    for 100_000_000, 2**31 - 1;
# Without --accel as well: the measurement of the accelerators needs as much.
refuses(['run', 'precopy/unix/plain', '--arch', 'x86_64', @good, '--memory', 100_000_000],
    qr/not enough memory: .*fewer with -j, or less --memory/);
run_refuses(['--window', $_], qr/--window needs START:END/) for qw(x 1: :1 0x100000 0:1:2), '';
run_refuses(['--window', $_], qr/the window is empty/) for qw(0:0 0x200000:0x100000);
run_refuses(['--window', '0x100000:-1'], qr/the window must/);
run_refuses(['--window', '0x100001:0x200001'], qr/must begin at a multiple of/);
run_refuses(['--window', '0x100000:0x6000000000'], qr/must lie inside the guest's RAM/);
run_refuses(['--page-size', $_], qr/--page-size needs a number of bytes/) for qw(0 -4096);
run_refuses(['--page-size', 3], qr/page size must be a multiple of/);
run_refuses(['--dirty-rate', $_], qr/--dirty-rate needs a number of pages/) for qw(0 -5);
run_refuses(['--page-ticks', -5], qr/--page-ticks needs a number of ticks/);
run_refuses(['--page-ticks', 5, '--dirty-rate', 5], qr/use one/);

# Arguments of QEMU: those that Godwit sets itself, and those that contradict each other.
for (
    [['--', '-incoming', 'defer'], qr/arguments of QEMU: -incoming is not allowed: Godwit sets up the migration/],
    [['--', '-qmp', 'stdio'], qr/-qmp is not allowed: QMP belongs to Godwit/],
    [['--', '--monitor', 'stdio'], qr/-monitor is not allowed/],
    [['--', '-serial', 'stdio'], qr/-serial is not allowed: the first serial port/],
    [['--', '-S'], qr/-S is not allowed/],
    [['--', '-daemonize'], qr/-daemonize is not allowed: no QEMU may outlive the run/],
    [['--', '-kernel', 'x'], qr/-kernel is not allowed: Godwit's guest is in its place/],
    [['--', '-machine', 'pc'], qr/-machine pc: choose the machine type with --machine/],
    [['--', '-accel', 'kvm'], qr/-accel kvm: the accelerator is already tcg/],
    [['--memory', 64, '--', '-m', 128], qr/-m: 128 MiB of RAM here, but 64 MiB by --memory/],
    [['--src-args', '-m 128', '--dst-args', '-m 64'], qr/--dst-args: -m: 64 MiB of RAM here, but 128 MiB/],
    [['--', '-numa', 'node,memdev=m'], qr/a memory backend has a fixed size: .* --memory/],
    [['--cpus', 3, '--', '-smp', 2], qr/--cpus 3: the machine has fewer, 2 by -smp/],
    [['--', 'disk.img'], qr/the word "disk\.img" belongs to no option of QEMU/],
    [['--', '-chardev', 'socket,id=x,fd=9'], qr/-chardev fd=9: Godwit passes no descriptor on/],
    [['--src-args', "-name 'x"], qr/--src-args: Text ended before matching quote/],
    [['--dst-args', '-S'], qr/--dst-args: -S is not allowed/],
) {
    my ($args, $pattern) = @$_;
    run_refuses($args, $pattern);
    migrate_refuses($args, $pattern);
}
# Arguments that a QEMU rejects, and a machine that it does not migrate: one line, for any number of
# scenarios.
if ($qemu) {
    for my $command (['run', '*/plain'], ['migrate'], ['bench', 'precopy/*'],
        ['list', '--why']) {
        refuses([@$command, @usual, '--qemu', $qemu, '--', '-device', 'no-such'],
            qr/rejects the source's arguments: .*-device no-such: .*not a valid device model name/);
        $cases[-1]{name} = "@$command -- -device no-such";
    }
    refuses(['run', @usual, '--qemu', $qemu, '--dst-args', '-device no-such'],
        qr/rejects the destination's arguments: .*no-such/);
    refuses(['run', @usual, '--qemu', $qemu, '--', '-device', 'nvme,serial=x'],
        qr/make a machine that QEMU \S+ does not migrate: non-migratable device: .*nvme/);
}

# A complete command line, in a file.
sub command_refuses {
    my ($text, $pattern, @args) = @_;
    my $number = @cases;
    refuses(['migrate', '--command', script_file("command-$number", $text), @args], $pattern);
    $cases[-1]{name} = "migrate --command: $text @args";
}
my $fake_q35 = fake('hangs') . ' -M q35 -accel tcg';
for (
    ["ls -l\n", qr/it names no QEMU: it begins with "ls"/],
    ["\n", qr/command line: it is empty/],
    ["$fake_q35 'x\n", qr/matching quote/],
    ["$fake_q35 | tee log\n", qr/"\|" is for a shell/],
    ["$fake_q35 -incoming defer\n", qr/-incoming defer: Godwit sets up the migration itself/],
    ["$fake_q35 -qmp stdio\n", qr/-qmp stdio: somebody drives this QEMU by its standard input/],
    ["$fake_q35 -device vfio-pci,host=01:00.0\n", qr/a device of the host, which Godwit cannot own/],
    ["$fake_q35 -netdev tap,id=n\n", qr/a network of the host, which Godwit cannot own/],
    ["$fake_q35 -drive file=/nonexistent/disk\n", qr/-drive \/nonexistent\/disk: no such file/],
    ["$fake_q35 -add-fd fd=3,set=1\n", qr/-add-fd fd=3,set=1: its descriptor belongs/],
    ["$fake_q35 -m 256\n", qr/-m: 256 MiB of RAM here, but 512 MiB by --memory/, '--memory', 512],
    [fake('hangs') . " -m 64\n", qr/it has no -machine: name the type/],
    ["$fake_q35\n", qr/unknown guest "mine"/, '--guest', 'mine'],
    ["$fake_q35\n", qr/--after needs --guest theirs/, '--after', 'x'],
    ["$fake_q35\n", qr/--guest theirs excludes --postcopy, --fault/, '--guest', 'theirs', '--postcopy'],
    ["$fake_q35\n", qr/--guest theirs excludes /, '--guest', 'theirs', '--cpus', 2],
    ["$fake_q35\n", qr/--accel auto measures with Godwit's guest/, '--guest', 'theirs', '--accel', 'auto'],
) {
    my ($text, $pattern, @args) = @$_;
    command_refuses($text, $pattern, @args);
}
migrate_refuses(['--command', '/nonexistent'], qr/--command: .*\/nonexistent: No such file/);
migrate_refuses(['--guest', 'theirs'], qr/--guest needs --command/);
command_refuses("$qemu -M q35 -accel tcg -device no-such\n", qr/rejects the source's arguments: .*no-such/) if $qemu;

# Migrations.
migrate_refuses(['--transport', 'pigeon'], qr/unknown transport "pigeon" \(expected unix or tcp\)/);
migrate_refuses(['--stopped', '--postcopy'], qr/--stopped and --postcopy exclude each other/);
migrate_refuses(['--capability', 'flying'], qr/flying: this QEMU has no such migration capability/);
migrate_refuses(['--parameter', 'flying=1'], qr/flying: this QEMU has no such migration parameter/);
migrate_refuses(['-c', 'events=maybe'], qr/--capability needs NAME, NAME=on or NAME=off/);
migrate_refuses(['-p', $_], qr/--parameter needs NAME=NUMBER/) for qw(x x= x=y x=5z);
migrate_refuses(['-p', 'flying=1'], qr/flying: this QEMU has no such migration parameter/);
migrate_refuses(['--format', 'smoke'], qr/unknown format "smoke"/);

# Where to.
run_refuses(['--format', 'smoke'], qr/unknown format "smoke" \(expected text, tap, junit, json, html, csv, ctrf, tmt, github or markdown\)/);
run_refuses(['--format', ''], qr/unknown format ""/);
run_refuses(['--format', 'tap', '--format', 'json'], qr/only one --format can go to standard output/);
run_refuses(['--format', 'json:/nonexistent/x'], qr/cannot write \/nonexistent\/x: No such file/);
run_refuses(['--format', 'junit:here.xml', '--format', 'smoke'], qr/unknown format/);
for my $command (\&run_refuses, \&migrate_refuses) {
    $command->(['--oracle', $_], qr/unknown oracle "\w*" \(expected one of page-order,stamp,twin,position,guest,continuity,identity,blackout\)/)
        for 'smoke', 'twin,smoke', 'twin,';
    $command->(['--oracle', ''], qr/--oracle needs the name of an oracle/);
    $command->(['--oracle'], qr/Missing argument for --oracle/);
    $command->(['--keep', '--output', "$file/here", '--format', 'junit:here.xml'],
        qr/cannot write to folder .*Not a directory/);
    $command->(['--keep', '--output', '/proc/here'], qr/cannot write to folder \/proc\/here/);
    $command->(['--keep', '--output', 'here', '--format', 'json:/nonexistent/x'], qr/cannot write/);
    $command->(['--keep', '--output', 'here', '--machine', 'vax'], qr/has no machine/);
}
for my $command (qw(run migrate doctor bench)) {
    for my $where ('/nonexistent', $file, '/proc') {
        refuses([$command], qr/cannot make a temporary folder in \Q$where\E: .*set TMPDIR/,
            env => {TMPDIR => $where}, with => "TMPDIR=$where");
    }
}

my @runs = run_all(6, map { [$_->{args}, %{$_->{how}}] } @cases);
for my $case (@cases) {
    my $run = shift @runs;
    my @wrong;
    push @wrong, "exit status $run->{status}" if $run->{status} ne 2;
    push @wrong, 'not one line that begins with "godwit: "'
        if $run->{err} !~ /\Agodwit: [[:print:]]+\n\z/;
    push @wrong, "no match for $case->{pattern}" if $run->{err} !~ $case->{pattern};
    push @wrong, 'it wrote to standard output' if $run->{out} ne '';
    my @left = (@{$run->{left}}, @{$run->{bundles}});
    push @wrong, 'it left behind:', @left if @left;
    ok(!@wrong, "refused: $case->{name}")
        or diag(join "\n", @wrong, "stderr: $run->{err}", "stdout: $run->{out}");
}

# A reader that is not there, or takes nothing.
for my $command (['list'], ['--help'], ['--version'], ['run', '--help'], ['doctor', @usual, @good]) {
    my $run = run([], command => ['sh', '-c', '"$@" >/dev/full', 'sh', $godwit, @$command]);
    is($run->{status}, 2, "@$command on a full disk: exit status");
    like($run->{err}, qr/\Agodwit: cannot write to standard output: .*\n\z/,
        "@$command on a full disk: it says so");
}

# A QEMU that is in order until it is to run a guest is reported as the scenario's own trouble.
my @cannot_run = (['dies' => fake('no-start'), [], qr/no libfake\.so/]);
push @cannot_run,
    ['has no memory' => script_file('little-memory', "ulimit -v 1500000\nexec $qemu \"\$@\"\n"),
     ['--memory', 1600], qr/memory/] if $qemu;
for (@cannot_run) {
    my ($what, $path, $args, $pattern) = @$_;
    my $run = run(['run', 'precopy/unix/plain', '--accel', 'tcg', '--qemu', $path, @$args]);
    is($run->{status}, 2, "a QEMU that $what when it gets a guest: exit status");
    like($run->{out} . $run->{err}, $pattern, "a QEMU that $what when it gets a guest: the reason");
    ok_clean($run, "a QEMU that $what when it gets a guest: nothing is left behind");
}

# `godwit doctor` looks at each architecture by itself, and tells.
my $none = run(['doctor'], env => {PATH => '/nonexistent'});
is($none->{status}, 2, 'doctor without any QEMU: exit status');
like($none->{out}, qr/^s390x .*install Debian's package/m, 'doctor without any QEMU: what to do');
my $bad = run(['doctor', '--qemu', '/bin/true']);
is($bad->{status}, 2, 'doctor with no QEMU: exit status');
like($bad->{err}, qr/\Agodwit: not a usable QEMU: .*\n\z/, 'doctor with no QEMU: one line');

done_testing();
