#!/usr/bin/env perl
# Exhaustion: godwit with too few descriptors, processes, bytes of memory or of disk, in places that
# cannot be used, and with outputs that cannot be written. It passes if it can; otherwise it ends with
# status 2 and says why, and what fails for such a reason is not blamed on QEMU. Nothing is left, and
# no result is lost.
#
# Some of it needs root: other users, and mounts in a namespace of their own.
#
# Runs alone: it counts what the host has left of descriptors, processes, memory and disk.
#
# SPDX-License-Identifier: MIT
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib", "$FindBin::Bin/../cli/lib";
use Cli;
use File::Basename qw(dirname);
use File::Temp ();
use Hostile;
use Test::More;

plan skip_all => 'no qemu-system-x86_64' unless $real;

my $root = $> == 0 && !system 'unshare -m true 2>/dev/null';
diag 'not root, or no namespaces: no full disks, no other users' unless $root;
my $folder = File::Temp->newdir('godwit-hostile-XXXXXX', TMPDIR => 1);

my @usual = (qw(--arch x86_64 --accel tcg --timeout-scale 0.5 --qemu), $real);
my @guest = qw(--window 0x100000:0x500000);
my @run = ('run', 'precopy/unix/plain', @usual, @guest, qw(--format text --format json:report.json));
my %args = (
    run => \@run,
    file => ['run', 'precopy/fd/file', @usual, qw(--format text --format json:report.json)],
    migrate => ['migrate', @usual, @guest],
    bench => ['bench', 'precopy/unix/plain', '--runs', 1, @usual, @guest],
    doctor => ['doctor', @usual],
    list => ['list', '--why', 'precopy/*', @usual],
    plain => ['list'],
    help => ['--help'],
);

# What the host says when it has no more of something, and what godwit says of it.
my $reason = qr/No\ space|Too\ many\ open|memory|Resource\ temporarily|File\ too\ large|Read-only
    |No\ such\ file|Permission\ denied|descriptor|not\ enough|limit|name\ too\ long|too\ long
    |cannot\ (?:make|start|write|fork|open|create)|signal\ 2[45]/xi;

my @cases;

# KIND and NAME, of COMMAND, with godwit executed by WORDS. More: needs (a pattern that must be
# said), may (statuses other than 0, 1 and 2), env, files.
sub exhausted {
    my ($kind, $name, $command, $words, %more) = @_;
    push @cases, {
        name => "$name: $command",
        kind => "exhaustion: $kind",
        args => [@{$args{$command}}, @{$more{args} || []}],
        how => {command => [@$words, $godwit], env => $more{env} || {}},
        patience => 90,
        files => ['left-in-tmp', @{$more{files} || []}],
        sealed => 1,
        tick => $more{tick},
        # Killed by a limit, it leaves the cleaning up to its janitor.
        slow => !!$more{may},
        judge => sub { judge($_[0], $command, %more) },
    };
}

sub judge {
    my ($run, $command, %more) = @_;
    my $status = $run->{status};
    my $said = $run->{err} . $run->{out};
    my @problems;
    my $left = slurp("$run->{dir}/cwd/left-in-tmp");
    push @problems, left => $left =~ tr/\n/ /r if $left ne '';
    if ($more{may} && $status =~ $more{may}) {
        push @problems, wrong => "ended by $status without a word"
            if $more{needs_if_may} && $said !~ $more{needs_if_may};
        return @problems;
    }
    push @problems, wrong => "ended by $status" unless $status =~ /^[012]$/;
    my $control = control_characters($run->{err});
    push @problems, wrong => "standard error: $control" if $control;
    my $disorder = disorder($run->{err});
    push @problems, wrong => "standard error: $disorder" if $disorder && !$more{mute};
    push @problems, wrong => 'not a word' if $status ne '0' && !$more{mute} && $said !~ /\S/;
    push @problems, wrong => "does not say $more{needs}" if $more{needs} && $run->{err} !~ $more{needs};
    push @problems, ($status eq '0' ? 'false' : 'wrong') => "not status $more{status}"
        if defined $more{status} && $status ne $more{status};
    return @problems unless $command =~ /^(run|file)$/;
    my $report = report_of($run);
    if (!$report) {
        push @problems, false => 'exit status 0, and no report' if $status eq '0' && !$more{no_report};
        push @problems, wrong => 'no report' if $status eq '1';
        return @problems;
    }
    for my $result (@{$report->{results}}) {
        my $passed = $result->{status} =~ /^(pass|known|skip)$/;
        push @problems, false => "exit status 0, but $result->{status}: $result->{message}"
            if $status eq '0' && !$passed;
        push @problems, wrong => "$result->{status}, for no reason of the host's: $result->{message}"
            if !$passed && $result->{message} !~ $reason;
    }
    push @problems, wrong => @{$report->{results}} . ' results' if $status ne '2' && @{$report->{results}} != 1;
    return @problems;
}

# --- Limits. ---
# With less than this GLib itself cannot begin; it says so, and nobody can catch it.
my @glib = (may => qr/^signal [56]$/, needs_if_may => qr/GLib-ERROR/);
exhausted('descriptors', '4 descriptors', 'run', ['prlimit', '--nofile=4:4'], @glib);
exhausted('descriptors', "$_ descriptors", 'run', ['prlimit', "--nofile=$_:$_"])
    for 5 .. 16, 18, 20, 22, 24, 28, 32, 40, 48, 64, 96;
for my $command (qw(migrate bench doctor list)) {
    exhausted('descriptors', "$_ descriptors", $command, ['prlimit', "--nofile=$_:$_"]) for 8, 14, 22;
}
exhausted('memory', "$_ MiB of addresses", 'run', ['prlimit', '--as=' . ($_ << 20)])
    for 32, 64, 96, 128, 192, 256, 384, 512, 768, 1024, 1536;
# GnuTLS fails before main(), and GLib calls itself for ever to say that it has no memory.
exhausted('memory', '16 MiB of addresses', 'run', ['prlimit', '--as=' . (16 << 20)],
    may => qr/^signal (5|6|11)$/, needs_if_may => qr/GLib-ERROR|GnuTLS initialization/);
exhausted('memory', "$_ MiB of data", 'run', ['prlimit', '--data=' . ($_ << 20)])
    for 16, 32, 64, 128, 256, 512;
exhausted('memory', "$_ MiB of data", 'run', ['prlimit', '--data=' . ($_ << 20)], @glib) for 1, 4;
exhausted('memory', 'a guest of 100 TiB', 'run', ['/usr/bin/env'], args => ['--memory', 100 << 20], status => 2);
exhausted('disk', "files of $_ bytes", 'run', ['prlimit', "--fsize=$_"])
    for 100, 512, 1000, 4096, 10000, 65536, 262144, 1 << 20;
# Standard error is a file here.
exhausted('disk', "files of $_ bytes", 'run', ['prlimit', "--fsize=$_"], mute => 1, status => 2)
    for 0, 1;
exhausted('disk', "files of $_ bytes", 'file', ['prlimit', "--fsize=$_"]) for 65536, 1 << 20;
exhausted('disk', "files of $_ bytes", 'bench', ['prlimit', "--fsize=$_"]) for 1000;
exhausted('processes', "$_ s of processor", 'run', ['prlimit', "--cpu=$_"],
    args => ['--repeat', 12], may => qr/^(signal (24|9)|[012])$/) for 1, 2;

# As a user who has no other process: uids that nobody has.
if ($root) {
    chmod 0711, dirname(fake('hangs'));
    chmod 0711, "$folder";
    my $uid = 61000 + int rand 4000;
    for my $limit (1 .. 8, 10, 12, 14, 16, 20, 24, 32) {
        my $user = $uid++;
        my $script = "chown $user . \"\$TMPDIR\"; exec setpriv --reuid=$user --regid=$user"
            . " --clear-groups prlimit --nproc=$limit:$limit \"\$@\"";
        exhausted('processes', "$limit processes", 'run', ['sh', '-c', $script, 'sh'],
            $limit < 6 ? @glib : ());
    }
    my $script = "chown $uid \"\$TMPDIR\"; exec setpriv --reuid=$uid --regid=$uid --clear-groups \"\$@\"";
    exhausted('places', 'a working directory of somebody else\'s', $_, ['sh', '-c', $script, 'sh'])
        for qw(doctor bench);
    exhausted('places', 'a temporary folder of somebody else\'s', 'bench',
        ['sh', '-c', "chown $uid .; exec setpriv --reuid=$uid --regid=$uid --clear-groups \"\$@\"", 'sh'],
        status => 2, needs => qr/temporary folder/);
    exhausted('places', 'a umask that forbids all', 'bench',
        ['sh', '-c', "umask 777; $script", 'sh']);
}

# --- Disks. ---
# A shell script's words that mount what OPTIONS say on the temporary folder, and afterwards say what
# is left there.
sub mounted {
    my ($options, $where) = @_;
    $where ||= '"$TMPDIR"';
    return ['unshare', '-m', '--propagation', 'private', 'sh', '-c',
        "mount -t tmpfs -o $options tmpfs $where || exit 99\n\"\$@\"; status=\$?\n"
            . "find \"\$TMPDIR\" -mindepth 1 >left-in-tmp\nexit \$status", 'sh'];
}

if ($root) {
    exhausted('disk', "a temporary folder of $_ KiB", 'run', mounted("size=${_}k"))
        for 4, 8, 12, 16, 20, 24, 28, 32, 48, 64, 96, 128, 192, 256, 384, 512, 1024;
    exhausted('disk', "a temporary folder of $_ KiB", 'file', mounted("size=${_}k"))
        for 64, 256, 1024, 4096;
    for my $command (qw(migrate bench doctor list)) {
        exhausted('disk', "a temporary folder of $_ KiB", $command, mounted("size=${_}k"))
            for 4, 16, 64;
    }
    exhausted('disk', "a temporary folder for $_ files", 'run', mounted("nr_inodes=$_"))
        for 1 .. 16, 20;
    exhausted('disk', 'a temporary folder that is read-only', $_, mounted('ro'), status => 2,
        needs => qr/temporary folder .*Read-only/) for qw(run migrate bench doctor list);
    exhausted('places', 'no /proc', $_, mounted('ro', '/proc')) for qw(run bench doctor);
    exhausted('places', 'no /sys', $_, mounted('ro', '/sys')) for qw(run doctor);
    exhausted('places', 'no /dev', $_, mounted('ro', '/dev')) for qw(bench doctor);
}

# --- Places. ---
my $ordinary = "$folder/file";
open my $handle, '>', $ordinary or die "$ordinary: $!";
close $handle;
for my $command (qw(run migrate bench doctor list)) {
    exhausted('places', "TMPDIR=$_->[0]", $command, ['/usr/bin/env'], env => {TMPDIR => $_->[1]}, status => 2,
        needs => qr/temporary folder|not UTF-8/)
        for ['nowhere', '/nonexistent/folder'], ['a file', $ordinary], ['/dev/null', '/dev/null'],
        ['/proc', '/proc'], ['not UTF-8', "/tmp/\xff\xfe"], ['an endless name', '/' . 'x' x 5000];
}
my $odd = 0;
for my $name (
    'a space', 'a,comma', 'a=b:c;d', q(a'quote"quote), "a\nline", "a\ttab", "an\e[31mescape", '$(touch owned)',
    '-dash', '%s%n', 'x' x 80, 'x' x 200, "\xc3\xa4"
) {
    my $here = "$folder/" . $odd++ . "/$name";
    mkdir dirname($here) and mkdir $here or die "$name: $!";
    chmod 0777, $here;
    exhausted('places', 'TMPDIR is called ' . $name =~ s/[^[:print:]]/?/gr, 'run',
        ['sh', '-c', '"$@"; status=$?; find "$TMPDIR" -mindepth 1 >left-in-tmp; exit $status', 'sh'],
        env => {TMPDIR => $here});
}
exhausted('places', 'a working directory that is gone', $_,
    ['sh', '-c', 'mkdir gone && cd gone && rmdir ../gone && exec "$@"', 'sh']) for qw(bench doctor list);
exhausted('places', 'no environment', $_, ['/usr/bin/env', '-i', "TMPDIR=$folder"]) for qw(bench doctor);
exhausted('places', 'no HOME and no PATH', $_, ['/usr/bin/env'], env => {PATH => '', HOME => '/nonexistent'})
    for qw(run bench doctor);

# --- Outputs. ---
for my $command (qw(run migrate bench doctor list plain help)) {
    exhausted('outputs', 'standard output is full', $command,
        ['sh', '-c', 'exec "$@" >/dev/full', 'sh'], status => 2, needs => qr/write|No space/,
        mute => 0);
    exhausted('outputs', 'standard error is full', $command,
        ['sh', '-c', 'exec "$@" 2>/dev/full', 'sh'], status => 0);
    exhausted('outputs', 'no standard descriptor is open', $command,
        ['sh', '-c', 'exec "$@" <&- >&- 2>&-', 'sh'], mute => 1, status => 0);
}
for my $format (qw(text tap junit json html)) {
    $args{"run as $format"} = ['run', 'precopy/unix/plain', @usual, @guest, '--format', "$format:/dev/full"];
    exhausted('outputs', 'the report is full', "run as $format", ['/usr/bin/env'], status => 2, needs => qr/write|No space/);
    $args{"migrate as $format"} = ['migrate', @usual, @guest, '--format', "$format:/dev/full"];
    exhausted('outputs', 'the report is full', "migrate as $format", ['/usr/bin/env'], status => 2, needs => qr/write|No space/);
}
# A reader that goes away while it runs.
for my $command (qw(run bench)) {
    my ($path, $reader) = fifo();
    exhausted('outputs', 'the reader goes away', $command, ['sh', '-c', 'exec "$@" >"$0"', $path],
        tick => sub { close $reader if $reader && workers($_[0]); undef $reader unless $reader && fileno $reader },
        needs => qr/write|Broken pipe/, status => 2);
}

attack(chosen(@cases));
done_testing();
