# What the tests of the command line share: godwit run in a folder of its own, what it said, and
# what it left behind - files in that folder, and processes, known by a mark in their environment.
#
# GODWIT and FAKE_QEMU in the environment name the programs; see mk/test.mk.
#
# SPDX-License-Identifier: MIT
package Cli;

use strict;
use warnings;
use Cwd qw(abs_path);
use Exporter 'import';
use File::Find ();
use File::Glob qw(bsd_glob);
use File::Temp ();
use FindBin;
use JSON::PP   ();
use POSIX      ();
use Test::More;
use Time::HiRes ();

our @EXPORT = qw($godwit $qemu unpacked fake script_file qemu_but qemu_edited fifo slurp start finish run run_all
    results_by_scenario processes files_of ok_clean ok_page ok_rows eventually told);

# Nothing here takes as long on any machine; it only ends what hangs.
use constant PATIENCE => 120;

my $scratch = File::Temp->newdir('godwit-cli-XXXXXX', TMPDIR => 1);
my $owner = $$;
my $count = 0;

# Under nohup and from some shells' background, signals are inherited as ignored, and godwit keeps
# them so. The tests send them.
my @ends = qw(HUP INT QUIT TERM);
$SIG{$_} = 'DEFAULT' for @ends;

our $godwit = abs_path($ENV{GODWIT} || 'build/godwit');
my $fake_qemu = abs_path($ENV{FAKE_QEMU} || 'build/tests/fake-qemu');
INIT { -x $_ or BAIL_OUT("$_ is not built") for $godwit, $fake_qemu }    # not with perl -c

# A real QEMU, or undef.
our ($qemu) = grep { -x } map {"$_/qemu-system-x86_64"} split /:/, $ENV{PATH};

delete @ENV{qw(NO_COLOR FAKE_QEMU_TELL)};
@ENV{qw(LC_ALL TERM)} = qw(C xterm);

# The QEMUs for x86_64 that `make qemus` has unpacked, the newest first.
sub unpacked {
    return sort { $b cmp $a }
        grep { -x } map { abs_path($_) // () }
        bsd_glob("$FindBin::Bin/../../build/qemus/*/bin/qemu-system-x86_64");
}

# The path of the fake QEMU of that behaviour; see tests/fake-qemu.c.
sub fake {
    my ($behaviour) = @_;
    my $path = "$scratch/fake-qemu-$behaviour";
    -e $path or symlink $fake_qemu, $path or die "$path: $!";
    return $path;
}

# A shell script of that name and text; its path.
sub script_file {
    my ($name, $text) = @_;
    my $path = "$scratch/$name";
    open my $file, '>', $path or die "$path: $!";
    print $file "#!/bin/sh\n$text";
    close $file or die "$path: $!";
    chmod 0755, $path;
    return $path;
}

# A program that is $qemu, but runs the shell command COMMAND if its arguments match the shell's
# PATTERN. NAME is its file's.
sub qemu_but {
    my ($pattern, $command, $name) = @_;
    return script_file($name // 'qemu-system-x86_64', <<"END");
case "\$*" in
$pattern) $command ;;
*) exec "$qemu" "\$@" ;;
esac
END
}

# A program that is QEMU, but EDIT, Perl code, changes the lines of its monitor on their way: $_ is a
# line, $from is "godwit" or "qemu", $name is the VM's name. tell(COMMAND) sends a command of the
# editor's own, whose answer nobody sees. Descriptors that are passed along do not get through.
sub qemu_edited {
    my ($edit, $real, $name) = @_;
    my $path = script_file("edited-$name", '');
    open my $file, '>', $path or die "$path: $!";
    print $file <<"END";
#!/usr/bin/perl
use strict;
use warnings;
use POSIX ();
use Socket;
my (\$name) = "\@ARGV" =~ /-name (\\S+)/;
\$name //= '';
socketpair my \$near, my \$far, AF_UNIX, SOCK_STREAM, PF_UNSPEC or die "socketpair: \$!";
my \$pid = fork // die "fork: \$!";
if (\$pid) {    # the process that godwit knows becomes the QEMU
    POSIX::dup2(fileno \$near, 3);
    exec {"$real"} "$real", \@ARGV;
    die "$real: \$!";
}
close \$near;
open my \$godwit, '+<&=', 3 or die "descriptor 3: \$!";
my %to = (godwit => \$far, qemu => \$godwit);
sub put { my (\$handle, \$text) = \@_; syswrite \$handle, \$text; return }
sub tell { my (\$command) = \@_; return put(\$far, qq({"execute": "\$command", "id": "editor"}\\n)) }
my %rest = (godwit => '', qemu => '');
while (1) {
    vec(my \$ready = '', fileno \$godwit, 1) = 1;
    vec(\$ready, fileno \$far, 1) = 1;
    select \$ready, undef, undef, undef;
    for my \$from (qw(godwit qemu)) {
        my \$handle = \$from eq 'godwit' ? \$godwit : \$far;
        next unless vec \$ready, fileno \$handle, 1;
        sysread \$handle, \$rest{\$from}, 1 << 20, length \$rest{\$from} or POSIX::_exit(0);
        while (\$rest{\$from} =~ s/^([^\\n]*\\n)//) {
            local \$_ = \$1;
            next if \$from eq 'qemu' && /"id": "editor"/;
            $edit;
            put(\$to{\$from}, \$_);
        }
    }
}
END
    close $file or die "$path: $!";
    return $path;
}

# A FIFO, for FAKE_QEMU_TELL: its path and a handle that is never at its end.
sub fifo {
    my $path = "$scratch/fifo-" . ++$count;
    POSIX::mkfifo($path, 0600) or die "$path: $!";
    open my $handle, '+<', $path or die "$path: $!";
    return ($path, $handle);
}

# What comes from a handle until the pattern matches (a line, if there is none) or it ends.
sub told {
    my ($handle, $pattern) = @_;
    $pattern ||= qr/\n/;
    my $text = '';
    while ($text !~ $pattern) {
        vec(my $ready = '', fileno $handle, 1) = 1;
        select $ready, undef, undef, PATIENCE or die "only this was told: $text";
        sysread $handle, $text, 1, length $text or last;
    }
    return $text;
}

sub slurp {
    my ($path) = @_;
    open my $file, '<', $path or return '';
    local $/;
    return scalar(<$file>) // '';
}

# Starts godwit with ARGS, in a process group, working folder and TMPDIR of its own. HOW may have
# env (a hash), command (words to execute in place of godwit) and pipe (true: what it writes is to be
# read from the run's handle "out").
sub start {
    my ($args, %how) = @_;
    my @args = @$args;
    # One job a scenario: what `run` does with each workload is the same.
    splice @args, 1, 0, '--workload', 'order'
        if @args && $args[0] eq 'run' && !grep { /^(-w|--workload)/ } @args;
    my $dir = "$scratch/run-" . ++$count;
    my $mark = "$owner-$count";
    mkdir $_ or die "$_: $!" for $dir, "$dir/tmp", "$dir/cwd";
    pipe my $read, my $write or die "pipe: $!" if $how{pipe};
    # Until it executes godwit, the child has the handlers of the test, which may end it with a status
    # of their own. A signal that comes so early ends it as it would end godwit.
    my $blocked = POSIX::SigSet->new(map { POSIX->can("SIG$_")->() } @ends);
    my $before = POSIX::SigSet->new;
    POSIX::sigprocmask(POSIX::SIG_BLOCK(), $blocked, $before) or die "sigprocmask: $!";
    my $pid = fork // die "fork: $!";
    $SIG{$_} = 'DEFAULT' for $pid ? () : grep { ($SIG{$_} // '') ne 'IGNORE' } @ends;
    POSIX::sigprocmask(POSIX::SIG_SETMASK(), $before) or die "sigprocmask: $!";
    if ($pid == 0) {
        POSIX::setpgid(0, 0);
        %ENV = (%ENV, TMPDIR => "$dir/tmp", GODWIT_TEST_MARK => $mark, %{$how{env} || {}});
        my ($mode, $where) = $how{pipe} ? ('>&', $write) : ('>', "$dir/out");
        my @command = ($how{command} ? @{$how{command}} : $godwit, @args);
        chdir "$dir/cwd"
            and open STDIN, '<', '/dev/null'
            and open STDERR, '>', "$dir/err"
            and open STDOUT, $mode, $where
            and exec {$command[0]} @command;
        POSIX::_exit(127);
    }
    POSIX::setpgid($pid, $pid);
    return {pid => $pid, dir => $dir, mark => $mark, out => $read};
}

# Waits for its end, and notes its status, what it wrote, and what it left at that moment: bundles of
# failures where they belong, and all else.
sub finish {
    my ($run) = @_;
    my $out = $run->{out} ? do { local $/; readline $run->{out} } : undef;
    waitpid $run->{pid}, 0;
    $run->{status} = $? & 127 ? 'signal ' . ($? & 127) : $? >> 8;
    my @files = files_of($run);
    $run->{bundles} = [grep { m{/cwd/godwit-output(/|$)} } @files];
    $run->{left} = [(map {"process $_"} described($run)), grep { !m{/cwd/godwit-output(/|$)} } @files];
    $run->{out} = $out // slurp("$run->{dir}/out");
    $run->{err} = slurp("$run->{dir}/err");
    return $run;
}

sub run { return finish(start(@_)) }

# A run of scenarios with these arguments, and its results by scenario.
sub results_by_scenario {
    my $run    = run(['run', '--format', 'json', @_]);
    my $report = eval { JSON::PP->new->utf8->decode($run->{out}) } || {};
    return ($run, {map { $_->{scenario} => $_ } @{$report->{results} || []}});
}

# Runs many, each an array of start()'s arguments, several at a time, and returns them in order.
sub run_all {
    my ($parallel, @cases) = @_;
    my ($finished, @runs) = 0;
    for my $case (@cases) {
        finish($runs[$finished++]) if @runs - $finished >= $parallel;
        push @runs, start(@$case);
    }
    finish($runs[$finished++]) while $finished < @runs;
    return @runs;
}

# The pids of a run's processes, zombies not counted: those have nothing left.
sub processes {
    my ($run) = @_;
    return grep { index("\0" . slurp("/proc/$_/environ"), "\0GODWIT_TEST_MARK=$run->{mark}\0") >= 0 }
        map {m{(\d+)}} glob '/proc/[0-9]*';
}

sub described {
    my ($run) = @_;
    return map { my $words = slurp("/proc/$_/cmdline"); "$_ " . $words =~ tr/\0/ /r } processes($run);
}

# The files in a run's folders.
sub files_of {
    my ($run) = @_;
    my @files;
    File::Find::find({no_chdir => 1,
        wanted => sub { push @files, $_ if $_ ne "$run->{dir}/tmp" && $_ ne "$run->{dir}/cwd" }},
        "$run->{dir}/tmp", "$run->{dir}/cwd");
    return @files;
}

# Nothing was left behind when it ended.
sub ok_clean {
    my ($run, $name) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    return is(join("\n", @{$run->{left}}), '', $name);
}

# Runs the rows, each [SCENARIO, QEMU, PATTERN, OPTION...]: with that QEMU, PREFIX and SCENARIO name one that
# must fail, for a reason that PATTERN matches, and leave nothing behind. With "skip" in place of options it
# must be skipped.
sub ok_rows {
    my ($prefix, @rows) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my @runs = run_all(2, map {
        my ($scenario, $binary, undef, @more) = @$_;
        @more = ('--allow-all-skipped') if "@more" eq 'skip';
        [['run', "$prefix$scenario", '--arch', 'x86_64', '--accel', 'tcg', '--workload', 'stamp', '--qemu', $binary, @more]]
    } @rows);
    for my $row (@rows) {
        my ($scenario, undef, $message, $skip) = @$row;
        my $run   = shift @runs;
        my $skips = ($skip // '') eq 'skip';
        my $name  = "$prefix$scenario";
        is($run->{status}, $skips ? 0 : 1, "$name " . ($skips ? 'is skipped' : 'fails'));
        my ($what) = $skips ? $run->{out} =~ /^skip (.*)$/m : $run->{out} =~ /^ +what +(.*\n.*)$/m;
        like($what // '', $message, "$name: $message") or diag($run->{out}, $run->{err});
        ok_clean($run, "$name: nothing is left behind");
    }
    return;
}

# Asserts that the page FILE needs nothing else, and that its pictures are those TITLES, each complete.
sub ok_page {
    my ($file, $name, @titles) = @_;
    my $page = slurp($file) // '';
    like($page, qr/\A<!DOCTYPE html>\n.*<\/html>\n\z/s, "$name: whole");
    unlike($page, qr/(?:src|href)\s*=\s*"(?!#)|url\(|<script|<link|http:/, "$name: nothing comes from elsewhere");
    my %ids = map { $_ => 1 } $page =~ / id="([^"]+)"/g;
    is(join(' ', grep { !$ids{$_} } $page =~ /href="#([^"]+)"/g), '', "$name: no dead link");
    my @pictures = $page =~ /<figure>.*?<\/figure>/gs;
    for my $title (@titles) {
        my ($picture) = grep { /<figcaption>[^<]*\Q$title\E</ } map { s/&apos;/'/gr } @pictures;
        ok($picture, "$name: there is a picture: $title") or next;
    }
    is(scalar(grep { !/role="img".*<title>[^<]+<\/title>\n<desc>[^<]+<\/desc>/s || 2 != (() = /label"[^>]*>[^<]+</g) } @pictures),
        0, "$name: each has a title, a description and labels at both axes");
    is(scalar(grep { / (?:d|x|y|width|height)="[^"]*(?:nan|inf)/ } @pictures), 0, "$name: no place is missing");
    return;
}

# Whether the condition comes true, for what tells nobody that it has: the end of a grandchild.
sub eventually {
    my ($condition) = @_;
    my $end = Time::HiRes::time() + PATIENCE;
    until ($condition->()) {
        return 0 if Time::HiRes::time() > $end;
        Time::HiRes::sleep(0.01);
    }
    return 1;
}

# Whatever happened to the test, no process outlives it.
END {
    if ($$ == $owner) {
        my $status = $?;
        kill 'KILL', processes({mark => "$owner-$_"}) for 1 .. $count;
        $? = $status;
    }
}

1;
