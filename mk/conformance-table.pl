#!/usr/bin/env perl
# SPDX-License-Identifier: MIT
#
# Runs conformance/* on each QEMU given, and writes what came of every check as tables, one row a
# check and one column a QEMU, between the two marks in a Markdown file.
#
#   conformance-table.pl GODWIT FILE QEMU...
use strict;
use warnings;
use File::Temp qw(tempdir);
use JSON::PP;

my ($godwit, $file, @qemus) = @ARGV;
die "usage: $0 GODWIT FILE QEMU...\n" unless @qemus;
my ($begin, $end) = ('<!-- tables: make conformance-table -->', '<!-- end of tables -->');
my $folder = tempdir(CLEANUP => 1);

my (@versions, @scenarios, %order, %checks, %results);
for my $qemu (@qemus) {
    my ($version) = `$qemu --version` =~ /version (\S+)/ or die "$qemu: no QEMU\n";
    push @versions, $version;
    my $json = "$folder/$version.json";
    system $godwit, 'run', '--slow', '--accept-known', 'no-main-channel', '--accel', 'tcg', '--format', "json:$json", '--arch', arch($qemu),
        '--qemu', $qemu, 'conformance/*';
    open my $in, '<', $json or die "$json: $!\n";
    local $/ = undef;
    take($version, decode_json(<$in>));
}

open my $in, '<', $file or die "$file: $!\n";
my $text = do { local $/ = undef; <$in> };
close $in;
@scenarios = sort @scenarios;
my $tables = join "\n", map { table($_) } @scenarios;
$text =~ s/\Q$begin\E.*?\Q$end\E/$begin\n\n@{[summary()]}\n$tables\n$end/s
    or die "$file: \"$begin\" and \"$end\" are not in it\n";
open my $out, '>', $file or die "$file: $!\n";
print $out $text;
close $out or die "$file: $!\n";

# The target of a binary, by its name: qemu-system-TARGET, with what a wrapper adds behind a dash.
sub arch {
    my ($qemu) = @_;
    my ($arch) = $qemu =~ /qemu-system-([a-z0-9_]+)/ or die "$qemu: of which target?\n";
    return $arch;
}

sub take {
    my ($version, $document) = @_;
    for my $result (@{$document->{results}}) {
        my $scenario = $result->{scenario};
        push @scenarios, $scenario unless $order{$scenario}++;
        $results{$scenario}{$version} = $result;
        for my $check (@{$result->{measurements}{checks} || []}) {
            my $name = $check->{name};
            push @{$checks{$scenario}{names}}, $name unless $checks{$scenario}{of}{$name};
            $checks{$scenario}{of}{$name}{$version} = $check;
        }
    }
    return;
}

# What came of a check, in a word; and in full.
sub outcome {
    my ($check) = @_;
    return !$check                 ? 'none'
        :  $check->{skip}          ? 'left out'
        :  $check->{known}         ? "bug $check->{known}"
        :  $check->{problem}       ? 'FAILS'
        :  defined $check->{class} ? 'refused'
        :                            'holds';
}

sub cell {
    my ($check) = @_;
    my $outcome = outcome($check);
    return 'not in it' if $outcome eq 'none' || $outcome eq 'left out';
    return "**$outcome**" if $outcome =~ /^bug/;
    return "**FAILS**: $check->{problem}" if $outcome eq 'FAILS';
    my $answer = $check->{answer};
    return 'ok' unless defined $answer;
    $answer =~ s/#block\d+/#block/g;
    my $class = $check->{class} // '';
    my $how = $class eq 'failed' ? 'fails: ' : $class =~ /^(GenericError)?$/ ? '' : "$class: ";
    return "$how$answer";
}

# Names that begin alike, up to a colon, together: what only the newer QEMUs have is found beside
# what all have.
sub in_groups {
    my (%groups, @order);
    for my $name (@_) {
        my ($group) = $name =~ /^([^:]*)/;
        push @order, $group unless $groups{$group};
        push @{$groups{$group}}, $name;
    }
    return map { @{$groups{$_}} } @order;
}

sub table {
    my ($scenario) = @_;
    my $text = "### $scenario\n\n| | check | " . join(' | ', @versions) . " |\n|---|---|"
        . ('---|' x @versions) . "\n";
    for my $name (in_groups(@{$checks{$scenario}{names} || []})) {
        my $of = $checks{$scenario}{of}{$name};
        my @cells = map { cell($of->{$_}) } @versions;
        my @there = grep { $_ !~ /^(none|left out)$/ } map { outcome($of->{$_}) } @versions;
        my %outcomes = map { $_ => 1 } @there;
        my %texts = map { $_ => 1 } grep { $_ ne 'not in it' } @cells;
        # What no QEMU has, and the mere mention of what has rows of its own.
        next unless @there;
        my $mark = keys %outcomes > 1 ? '!' : keys %texts > 1 ? '~' : '';
        for my $i (reverse 1 .. $#cells) {
            $cells[$i] = '=' if length $cells[$i] > 9 && $cells[$i] eq $cells[$i - 1];
        }
        s/\|/\\|/g, s/</&lt;/g, s/\n/ /g for @cells;
        $text .= "| $mark | $name | " . join(' | ', @cells) . " |\n";
    }
    return $text;
}

sub summary {
    my $text = '| scenario | ' . join(' | ', @versions) . " |\n|---|" . ('---|' x @versions) . "\n";
    for my $scenario (@scenarios) {
        my @cells;
        for my $version (@versions) {
            my $result = $results{$scenario}{$version};
            my $made = grep { !$_->{skip} } @{$result->{measurements}{checks} || []};
            my $bad = grep { $_->{known} || $_->{problem} } @{$result->{measurements}{checks} || []};
            push @cells, !$result || $result->{status} eq 'skip' ? 'skipped'
                : ($result->{status} eq 'fail' ? '**FAILS**: ' : '') . ($made - $bad)
                . " of $made checks hold";
        }
        $text .= "| $scenario | " . join(' | ', @cells) . " |\n";
    }
    return $text;
}
