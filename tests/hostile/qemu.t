#!/usr/bin/env perl
# Hostile QEMUs: each behaviour of tests/hostile/hostile-qemu.c, and files that are no QEMU at all,
# on every command that starts QEMUs. Whatever they do, godwit ends in time, says what it has to say
# in well-formed reports without a character that a terminal would obey, uses a bounded amount of
# memory, leaves nothing behind, and never passes what has not been migrated.
#
# Runs alone: it keeps all processors busy, with HOSTILE_JOBS at a time.
#
# SPDX-License-Identifier: MIT
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib", "$FindBin::Bin/../cli/lib";
use Cli;
use Cwd qw(abs_path);
use File::Temp ();
use Hostile;
use JSON::PP ();
use Socket   ();
use TAP::Parser;
use Test::More;

plan skip_all => 'no qemu-system-x86_64' unless $real;
my $hostile = abs_path($ENV{HOSTILE_QEMU} || 'build/tests/hostile-qemu');
-x $hostile or BAIL_OUT("$hostile is not built");

my $folder = File::Temp->newdir('godwit-hostile-XXXXXX', TMPDIR => 1);
my $untouched = "nobody writes here\n";

# A quarter of the usual deadlines: 4 seconds to greet, 15 for a scenario.
my @usual = qw(--arch x86_64 --accel tcg --timeout-scale 0.25);
my @guest = qw(--window 0x100000:0x500000);
# A deadline, a worker that is given up, several QEMUs that are: all of that may come together.
use constant PATIENCE => 60;

my @formats = qw(text tap junit json html);

sub write_file {
    my ($path, $text, $mode) = @_;
    open my $file, '>', $path or die "$path: $!";
    binmode $file;
    print $file $text;
    close $file or die "$path: $!";
    chmod $mode, $path if defined $mode;
    return $path;
}

# What is wrong with a report of that format.
sub malformed {
    my ($format, $text) = @_;
    my $control = control_characters($text);
    return "$format: $control" if $control;
    if ($format eq 'tap') {
        my $parser = TAP::Parser->new({tap => $text});
        $parser->run;
        return map {"tap: $_"} $parser->parse_errors;
    }
    if ($format eq 'json') {
        return eval { JSON::PP->new->utf8->decode($text); 1 } ? () : "json: $@";
    }
    if ($format eq 'junit') {
        my $path = write_file("$folder/junit.xml", $text);
        my $said = qx(xmllint --noout $path 2>&1);
        return $? ? 'junit: ' . substr $said, 0, 200 : ();
    }
    if ($format eq 'html') {
        return 'html: not whole' unless $text =~ /\A<!DOCTYPE html>\n.*<\/html>\n\z/s;
        my $path = write_file("$folder/report.html", $text);
        # The parser knows no element of HTML 5, and is not asked about those.
        my $said = join '', grep {/parser error/ && !/Tag \w+ invalid/} qx(xmllint --html --noout $path 2>&1);
        return $said ? 'html: ' . substr $said, 0, 200 : ();
    }
    return ();
}

# What is wrong with how a command ended. REALLY: the migration may have happened.
sub judge {
    my ($run, $command, $really, $format) = @_;
    my $status = $run->{status};
    my @problems;
    push @problems, wrong => "ended by $status" unless $status =~ /^[012]$/;
    my $cautious = $command =~ /^(doctor|list)$/;
    push @problems, false => "exit status 0: " . substr $run->{out}, 0, 200
        if $status eq '0' && !$really && !$cautious;
    my $control = control_characters($run->{err});
    push @problems, wrong => "standard error: $control" if $control;
    my $disorder = disorder($run->{err});
    push @problems, wrong => "standard error: $disorder" if $disorder;
    push @problems, wrong => "a line that a QEMU wrote: $1"
        if ($format || 'text') eq 'text' && $run->{out} =~ /^((?:not )?ok \d+ - |1\.\.\d|Bail out!)/m;
    push @problems, wrong => 'not a word' if $status ne '0' && "$run->{out}$run->{err}" !~ /\S/;
    my $shown = $format || 'text';
    push @problems, map { (wrong => $_) } malformed($shown, $run->{out})
        if $run->{out} ne '' || ($status =~ /^[01]$/ && $command ne 'list');
    push @problems, judge_files($run, $status) if $command eq 'run';
    push @problems, wrong => "a file outside was written to"
        if slurp($run->{case}{outside}) ne $untouched;
    return @problems;
}

sub judge_files {
    my ($run, $status) = @_;
    my @problems;
    for my $format (grep { $_ ne 'text' } @formats) {
        my $text = slurp("$run->{dir}/cwd/report.$format");
        if ($text ne '') {
            push @problems, map { (wrong => $_) } malformed($format, $text);
        } elsif ($status =~ /^[01]$/) {
            push @problems, wrong => "$format: nothing was reported";
        }
    }
    my $report = report_of($run) or return @problems;
    for my $result (@{$report->{results}}) {
        next unless $result->{status} =~ /^(pass|known)$/;
        push @problems, false => 'a pass with exit status 0 belongs to no run' if $status eq '2';
        my %bytes = map { ($_->{name} => $_->{bytes}) } @{$result->{oracles}};
        push @problems, false => 'passed, but no byte was compared' unless $bytes{twin};
        push @problems, false => 'passed, but no page was checked' unless $bytes{'page-order'};
    }
    push @problems, wrong => 'no result' if $status eq '0' && !@{$report->{results}};
    return @problems;
}

# The cases of one QEMU: PROBED if it misbehaves when it is asked what it can do, too.
my ($rotation, $outsiders) = (0, 0);

sub cases_of {
    my ($name, $path, $really, $probed) = @_;
    my $format = $formats[$rotation++ % @formats];
    my %args = (
        run => ['run', 'precopy/unix/plain', @usual, @guest, '--format', 'text',
            map { ('--format', "$_:report.$_") } grep { $_ ne 'text' } @formats],
        migrate => ['migrate', @usual, @guest, '--format', $format],
        bench => ['bench', 'precopy/unix/plain', '--runs', 1, @usual, @guest],
        doctor => ['doctor', @usual],
        list => ['list', '--why', 'precopy/unix/plain', @usual],
    );
    return map {
        my $command = $_;
        my $outside = write_file("$folder/outside-" . ++$outsiders, $untouched);
        {
            name => "$name: $command" . ($command eq 'migrate' ? " as $format" : ''),
            kind => "hostile QEMU, $command",
            args => [@{$args{$command}}, '--qemu', $path],
            how => {env => {HOSTILE_QEMU_OUTSIDE => $outside}},
            patience => PATIENCE,
            sealed => 1,
            outside => $outside,
            judge => sub { judge($_[0], $command, $really, $command eq 'migrate' && $format) },
        }
    } qw(run migrate bench), $probed ? qw(doctor list) : ();
}

my @cases;
open my $table, '-|', $hostile, '--list' or die "$hostile: $!";
my @rows = readline $table;
close $table or die "$hostile --list failed";
for (@rows) {
    my ($name, $really, $probed) = /^(\S+) (really|never) (\S+)$/ or die "unexpected: $_";
    my $path = "$folder/hostile-qemu-$name";
    symlink $hostile, $path or die "$path: $!";
    push @cases, [$name, $path, $really eq 'really', $probed eq 'probed'];
}
my $behaviours = @cases;

# Files that are no QEMU.
my $arm = pack 'a4 C5 x7 S S', "\x7fELF", 2, 1, 1, 0, 0, 2, 183;
for (
    ['binary-empty', sub { write_file($_[0], '', 0755) }],
    ['binary-sealed', sub { write_file($_[0], "#!/bin/sh\n", 0644) }],
    ['binary-no-shebang', sub { write_file($_[0], "exec $real \"\$@\"\n", 0755) }],
    ['binary-no-interpreter', sub { write_file($_[0], "#!/nonexistent/sh\n", 0755) }],
    ['binary-arm', sub { write_file($_[0], $arm . "\0" x 4096, 0755) }],
    ['binary-cut', sub { write_file($_[0], substr(slurp($real), 0, 4096), 0755) }],
    ['binary-random', sub { write_file($_[0], pack('C*', map { int rand 256 } 1 .. 8192), 0755) }],
    ['binary-sparse', sub { write_file($_[0], '', 0755); truncate $_[0], 1 << 32 }],
    ['binary-folder', sub { mkdir $_[0] }],
    ['binary-dangling', sub { symlink '/nonexistent/qemu', $_[0] }],
    ['binary-loop', sub { symlink $_[0], $_[0] }],
    ['binary-fifo', sub { POSIX::mkfifo($_[0], 0755) }],
    ['binary-device', sub { symlink '/dev/zero', $_[0] }],
    ['binary-socket', sub {
        socket my $socket, Socket::AF_UNIX(), Socket::SOCK_STREAM(), 0 or die "socket: $!";
        bind $socket, Socket::pack_sockaddr_un($_[0]) or die "bind: $!";
        chmod 0755, $_[0];
    }],
    ['binary-true', sub { write_file($_[0], "#!/bin/sh\nexit 0\n", 0755) }],
    ['binary-cat', sub { write_file($_[0], "#!/bin/sh\nexec cat <&3 >&3\n", 0755) }],
    ['binary-yes', sub { write_file($_[0], "#!/bin/sh\nexec yes >&3\n", 0755) }],
) {
    my ($name, $make) = @$_;
    my $path = "$folder/$name";
    $make->($path);
    # Without a first line the kernel refuses, but execvp(3) has a shell read it: then it is one.
    push @cases, [$name, $path, $name eq 'binary-no-shebang', 1];
}
cmp_ok($behaviours, '>=', 74, 'there are 74 behaviours and more');
cmp_ok(scalar @{[glob "$folder/binary-*"]}, '>=', 16, 'there are files that are no QEMU');

attack(map { cases_of(@$_) } chosen(@cases));
done_testing();
