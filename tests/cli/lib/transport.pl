#!/usr/bin/env perl
# A transport of `godwit run --peer` that fails: carries between its standard input and output and
# those of COMMAND, until PATTERN comes by. Then it kills COMMAND ("kill"), ends ("cut"), or carries
# nothing any more ("silent"), or runs the shell command CALL ("call:CALL") and goes on. A PATTERN that begins with "<" is looked for in what comes from
# COMMAND, otherwise in what goes to it.
#
#   transport.pl kill|cut|silent|call:CALL PATTERN COMMAND...
#
# SPDX-License-Identifier: MIT
use strict;
use warnings;
use IO::Select;
use IPC::Open2;

my ($mode, $pattern, @command) = @ARGV;
my $answers = $pattern =~ s/^<//;
$SIG{PIPE} = 'IGNORE';
my $pid    = open2(my $from, my $to, @command);
my $select = IO::Select->new(\*STDIN, $from);
my $recent = '';
while ($select->handles) {
    for my $handle ($select->can_read) {
        my $answer = $handle == $from;
        sysread $handle, my $data, 65536 or exit 0;
        my ($out, $at) = ($answer ? \*STDOUT : $to, 0);
        while ($at < length $data) {
            my $n = syswrite $out, $data, length($data) - $at, $at;
            exit 0 unless defined $n;
            $at += $n;
        }
        next if $answer != $answers;
        $recent = substr $recent . $data, -65536;
        next unless $recent =~ /$pattern/;
        exit 0 if $mode eq 'cut';
        kill 'KILL', $pid if $mode eq 'kill';
        sleep if $mode eq 'silent';
        system $1 if $mode =~ /^call:(.*)/s;
        $pattern = '(?!)';
    }
}
