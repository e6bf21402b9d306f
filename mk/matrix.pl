#!/usr/bin/env perl
# SPDX-License-Identifier: MIT
#
# Runs the catalogue on each QEMU alone, and the main families from each to each other one, and
# writes what came of it to a Markdown file: a row a family of scenarios, a column a target.
#
#   matrix.pl GODWIT FILE JOBS QEMU-FOLDER...
#
# In the environment: MATRIX_ARGS is more for both runs ("--arch x86_64"), MATRIX_CROSS_ARGS for the
# second one. MATRIX_SLOW names targets ("x86_64 s390x", or "all") whose slow scenarios are run on each
# QEMU alone, too: about a quarter of an hour a target. MATRIX_RESULTS is a folder that keeps what each
# run has found; what is there already is taken from there, so that one that was interrupted need not
# begin anew.
# Exit status: 0 nothing failed, 1 something did, 2 it could not be run.
use strict;
use warnings;

use File::Path qw(make_path);
use File::Temp qw(tempdir);
use JSON::PP;
use List::Util qw(uniq);
use POSIX qw(strftime);

# The bugs that a guest does not survive, too, are to be seen in the table, and fail nothing.
my $accepted = '@tests/accepted-bugs';

my ($godwit, $file, $jobs, @qemus) = @ARGV;
if (!@qemus) {
    print STDERR "usage: $0 GODWIT FILE JOBS QEMU-FOLDER...\n";
    exit 2;
}
my @main   = qw(precopy/* postcopy/* multifd/* file/* hops/*);
my $folder = $ENV{MATRIX_RESULTS} // tempdir(CLEANUP => 1);
make_path($folder);
my @common = (
    '--accel', 'tcg', '-j', $jobs,
    split(' ', $ENV{MATRIX_ARGS} // '')
);

my $failed = 0;
my $alone  = results('alone', @common, on(@qemus));
my @pairs  = ('--cross', split(' ', $ENV{MATRIX_CROSS_ARGS} // ''), @main);
my $cross  = @qemus > 1 ? results('cross', @common, on(@qemus), @pairs) : [];
my @targets = split ' ', ($ENV{MATRIX_SLOW} // '') eq 'all' ? `mk/arches.sh` : $ENV{MATRIX_SLOW} // '';
my @slow_names = @targets ? map { /^(\S+).*\(slow\)/ ? $1 : () } `"$godwit" list` : ();
my (@slow, @slow_dates);
for my $target (@targets) {
    my @have = grep { -x "$_/qemu-system-$target" || -x "$_/bin/qemu-system-$target" } @qemus;
    push @slow, @{ results("slow-$target", @common, on(@have), '--arch', $target, '--slow', @slow_names) };
    push @slow_dates, "$target on " . read_json("$folder/slow-$target.json")->{about}{date} =~ s/T.*//r;
}

open my $out, '>', $file or die "$file: $!\n";
print $out <<'END';
# The matrix

What came of the scenarios on every QEMU, alone and from one version to another: those that a run
without `--slow` has. With `MATRIX_SLOW`, a last part has the slow ones; without, a family whose
scenarios are all slow is missing. Written by `make check-matrix`; "known" is a pass with a
[known bug](known-bugs.md) of QEMU. "Failed" is a guest that did not survive such a bug; a failure for
another reason would be named below.

END
# The versions of the QEMUs are in the headings.
my ($commit) = (`git rev-parse --short=12 HEAD 2>/dev/null` || 'unknown') =~ /(\S+)/;
print $out 'Made on ', strftime('%Y-%m-%d', gmtime), " at commit $commit.\n\n";
my $choice = $ENV{MATRIX_ARGS} ? "With `$ENV{MATRIX_ARGS}`.\n\n" : '';
print $out "## Each QEMU alone\n\n", $choice, report($alone);
print $out "## From one version to another\n\n",
    "The families `", join('`, `', map {s{/\*}{}r} @main), "`",
    ($ENV{MATRIX_CROSS_ARGS} ? ", with `$ENV{MATRIX_CROSS_ARGS}`" : ''), ".\n\n", report($cross)
    if @$cross;
print $out "## The slow scenarios, each QEMU alone\n\n",
    "With `MATRIX_SLOW`: ", join(', ', @slow_dates), ".\n\n", $choice, report(\@slow)
    if @slow;
close $out or die "$file: $!\n";
exit($failed ? 1 : 0);

# The options that name these folders of QEMUs.
sub on {
    my (@folders) = @_;
    return map { ('--qemu', $_) } @folders;
}

# Runs godwit; its results.
sub results {
    my ($name, @arguments) = @_;
    my $json = "$folder/$name.json";
    my $done = read_json($json);
    if (!$done || $done->{summary}{interrupted}) {
        my $status =
            system($godwit, 'run', '--allow-all-skipped', '--accept-known', $accepted, '--format', "json:$json", '--format', 'text', @arguments) >> 8;
        $done = read_json($json);
        if ($status > 1 || !$done) {
            print STDERR "$0: godwit ended with status $status\n";
            exit 2;
        }
    }
    my $results = $done->{results};
    $failed ||= grep { is_unexplained($_) } @$results;
    return $results;
}

# What is in a file, or nothing if it is not there or not complete.
sub read_json {
    my ($json) = @_;
    open my $in, '<', $json or return;
    local $/ = undef;
    return eval { decode_json(<$in>) };
}

sub family {
    my ($result) = @_;
    return $result->{scenario} =~ s{/.*}{}r;
}

# "12", or "10, 1 known, 1 skipped, 1 **failed**".
sub cell {
    my (@results) = @_;
    my %count;
    $count{ $_->{status} }++ for @results;
    my @parts;
    push @parts, $count{pass} if $count{pass};
    push @parts, "$count{known} known" if $count{known};
    push @parts, "$count{skip} skipped" if $count{skip};
    push @parts, "**$count{fail} failed**" if $count{fail};
    push @parts, "**$count{error} not run**" if $count{error};
    return join(', ', @parts) || '-';
}

# A table for each version, or each pair of them: a row a family, a column a target. Below them is what was
# skipped, known and failed, with the reasons.
sub report {
    my ($results) = @_;
    my (%cells, %arches);
    for my $result (@$results) {
        my $versions = join ' to ', uniq($result->{source_version}, $result->{destination_version});
        $arches{ $result->{arch} } = 1;
        push @{ $cells{$versions}{ family($result) }{ $result->{arch} } }, $result;
    }
    my @arches = sort keys %arches;
    my $text   = '';
    for my $versions (sort { by_version($a, $b) } keys %cells) {
        $text .= "### $versions\n\n| | " . join(' | ', @arches) . " |\n|---|" . '---|' x @arches . "\n";
        for my $family (sort keys %{ $cells{$versions} }) {
            my $row = $cells{$versions}{$family};
            $text .= "| $family | " . join(' | ', map { cell(@{ $row->{$_} // [] }) } @arches) . " |\n";
        }
        $text .= "\n";
    }
    return $text . reasons($results);
}

# Compares texts by the numbers in them.
sub by_version {
    my @numbers = map { [/\d+/g] } @_;
    for my $place (0 .. $#{ $numbers[0] }) {
        my $order = $numbers[0][$place] <=> ($numbers[1][$place] // -1);
        return $order if $order;
    }
    return $_[0] cmp $_[1];
}

# Each distinct reason once, with how often it came up.
sub reasons {
    my ($results) = @_;
    my (%skips, %bugs, @failures);
    for my $result (@$results) {
        $skips{ $result->{message} }++ if $result->{status} eq 'skip';
        push @failures, $result if is_unexplained($result);
        $bugs{ $_->{id} }++ for @{ $result->{measurements}{known_bugs} // [] };
    }
    my $text = '';
    $text .= "Skipped:\n\n" . lines(\%skips) if %skips;
    $text .= "Known bugs of QEMU:\n\n" . lines(\%bugs) if %bugs;
    $text .= "Failed for another reason than a known bug:\n\n"
        . join('', map {"- $_->{target} `$_->{scenario}`: " . first_line($_->{message}) . "\n"} @failures)
        . "\n"
        if @failures;
    return $text;
}

# Whether a result is a failure that no known bug explains. Godwit's message begins with the bug.
sub is_unexplained {
    my ($result) = @_;
    return $result->{status} =~ /^(?:fail|error)$/ && $result->{message} !~ /^known QEMU bug /;
}

sub lines {
    my ($counts) = @_;
    return join('', map {"- $_: $counts->{$_}\n"} sort keys %$counts) . "\n";
}

sub first_line {
    my ($text) = @_;
    return $text =~ s/\n.*//sr;
}
