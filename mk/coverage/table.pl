#!/usr/bin/env perl
# SPDX-License-Identifier: MIT
#
# Writes what of QEMU's migration code the runs have reached between the two marks in a Markdown
# file: a table by file, the functions that no scenario reaches, with their reasons, and those of
# which it reaches less than half.
#
#   table.pl FILE REASONS SOURCE MISSING (COLUMN TITLE GCOV)...
#
# REASONS has a line for each function that cannot be reached, or for several:
#   FILE FUNCTION REASON    FUNCTION may have * in it; REASON is the rest of the line
#   FILE FUNCTION+ REASON   likewise, for what is left of a function of which some lines are reached
# SOURCE is QEMU's folder. MISSING gets each line that the first column does not reach. GCOV is what
# `gcov --json-format --stdout` has printed, one document a line; several files, separated by commas,
# are added up. COLUMN names a suite in a heading, TITLE describes its run. The first column is
# Godwit's.
#
# Exit status: 1 if a reason is wrong: its function is reached, or all of it, or there is no such
# function. The tables are written all the same.
use strict;
use warnings;
use JSON::PP;

my ($file, $reasons, $source, $missing, @columns) = @ARGV;
die "usage: $0 FILE REASONS SOURCE MISSING (COLUMN TITLE GCOV)...\n" if !@columns || @columns % 3;
my ($begin, $end) = ('<!-- tables: make qemu-coverage -->', '<!-- end of tables -->');

# Of these files only the functions count whose names match: the rest has to do with no migration.
my %only = (
    'system/physmem.c' => qr/dirty|migrat|ram_block_(?:discard|resize)|ramblock|unset_migratable/,
    'system/memory.c'  => qr/dirty|_log|log_|coalesce|ram_discard/,
);

my (%lines, %functions, @titles);
while (my ($name, $title, $gcov) = splice @columns, 0, 3) {
    push @titles, [$name, $title];
    for my $path (split /,/, $gcov) {
        open my $in, '<', $path or die "$path: $!\n";
        take(decode_json($_), $#titles) while <$in>;
        close $in;
    }
}
die "no file of $source has been measured\n" unless %lines;

# The name of a measured file in QEMU's folder, or nothing if it does not count.
sub short {
    my ($path) = @_;
    my $name = $path =~ s{^\Q$source\E/}{}r;
    return $only{$name} || $name =~ m{^(?:migration/|system/dirtylimit\.c$|include/exec/ram_addr\.h$)} ? $name : undef;
}

sub take {
    my ($document, $column) = @_;
    for my $measured (@{$document->{files}}) {
        my $name = short($measured->{file}) // next;
        my $wanted = $only{$name} // qr/./;
        for my $function (grep { $_->{name} =~ $wanted } @{$measured->{functions}}) {
            $functions{$name}{$function->{name}}[$column] += $function->{execution_count};
        }
        for my $line (grep { ($_->{function_name} // '') =~ $wanted } @{$measured->{lines}}) {
            my $of = $lines{$name}{$line->{line_number}} //= {function => $line->{function_name}};
            $of->{count}[$column] += $line->{count};
        }
    }
    return;
}

# [lines, of these reached in column 0, in column 1, ...] of FILE, or of one function of it.
sub counts {
    my ($name, $function) = @_;
    my @counts = (0) x (@titles + 1);
    for my $line (values %{$lines{$name}}) {
        next if defined $function && ($line->{function} // '') ne $function;
        $counts[0]++;
        $counts[$_ + 1] += $line->{count}[$_] ? 1 : 0 for 0 .. $#titles;
    }
    return @counts;
}

my (%reason, %rest, $wrong);

sub complain {
    my ($text) = @_;
    print STDERR "$reasons: $text\n";
    $wrong = 1;
    return;
}

open my $in, '<', $reasons or die "$reasons: $!\n";
while (<$in>) {
    next if /^\s*(?:#|$)/;
    my ($name, $glob, $plus, $text) = /^(\S+)\s+(\S+?)(\+?)\s+(\S.*?)\s*$/
        or die "$reasons:$.: not FILE FUNCTION REASON\n";
    my $pattern = join '.*', map { quotemeta } split /\*/, $glob, -1;
    my @matched = grep { /^$pattern$/ } keys %{$functions{$name}};
    complain("$name $glob: there is no such function") unless @matched;
    if ($plus) {
        my @partly = grep { my ($all, $reached) = counts($name, $_); $reached && $reached < $all } @matched;
        complain("$name $glob+: is reached as a whole, or not at all") if @matched && !@partly;
        $rest{$name}{$_} = $text for @partly;
        next;
    }
    my @missed = grep { !$functions{$name}{$_}[0] } @matched;
    complain("$name $glob: is reached") if @matched && !@missed;
    $reason{$name}{$_} = $text for @missed;
}
close $in;

sub percent {
    my ($part, $whole) = @_;
    return $whole ? sprintf '%d %%', 100 * $part / $whole : '-';
}

my (@rows, @total, @unreached, @partly, @left);
for my $name (sort keys %lines) {
    my @counts = counts($name);
    my $can = $counts[0];
    for my $function (sort keys %{$functions{$name}}) {
        my @of = counts($name, $function);
        next unless $of[0];
        if (!$functions{$name}{$function}[0]) {
            my $why = $reason{$name}{$function};
            $can -= $of[0] if $why;
            push @unreached, [$name, $function, @of, $why];
        } elsif (my $why = $rest{$name}{$function}) {
            $can -= $of[0] - $of[1];
            push @left, [$name, $function, @of, $why];
        } elsif ($of[1] * 2 < $of[0]) {
            push @partly, [$name, $function, @of];
        }
    }
    push @rows, [$name, $counts[0], $can, @counts[1 .. $#counts]];
    $total[$_] += $rows[-1][$_ + 1] for 0 .. $#{$rows[-1]} - 1;
}

sub table {
    my ($heads, @lines) = @_;
    return join '', map { "| $_ |\n" } join(' | ', @$heads), join(' | ', map { '---' } @$heads),
        map { join ' | ', @$_ } @lines;
}

my $text = table(['file', 'lines', 'that can run', map { ($_->[0], '%') } @titles],
    map { my ($name, $all, $can, @reached) = @$_;
          [$name, $all, $can, map { ($_, percent($_, $can)) } @reached] } @rows, ['**all**', @total]);
$text .= "\n" . join '', map { "- $_->[0]: $_->[1].\n" } @titles;
my $unexplained = grep { !$_->[-1] } @unreached;
$text .= "\n## Functions not reached\n\n" . @unreached . " functions, $unexplained of them not explained.\n\n"
    . table(['file', 'function', 'lines', map({ $_->[0] } @titles[1 .. $#titles]), 'reason'],
    map { my ($name, $function, $all, undef, @more) = @$_;
          my $why = pop @more;
          [$name, "`$function`", $all, @more, $why // '**not explained**'] } @unreached);
$text .= "\n## Functions of which the rest cannot be reached\n\n"
    . table(['file', 'function', 'lines', map({ $_->[0] } @titles), 'reason for the rest'],
    map { my ($name, $function, @of) = @$_; [$name, "`$function`", @of] } @left) if @left;
$text .= "\n## Functions reached by less than half\n\n"
    . table(['file', 'function', 'lines', map { $_->[0] } @titles],
    map { my ($name, $function, @of) = @$_; [$name, "`$function`", @of] } @partly);

open my $list, '>', $missing or die "$missing: $!\n";
for my $name (sort keys %lines) {
    for my $number (sort { $a <=> $b } keys %{$lines{$name}}) {
        my $line = $lines{$name}{$number};
        next if $line->{count}[0];
        my $why = $reason{$name}{$line->{function} // ''} // $rest{$name}{$line->{function} // ''};
        print $list "$name:$number: $line->{function}", $why ? " ($why)" : '', "\n";
    }
}
close $list or die "$missing: $!\n";

open $in, '<', $file or die "$file: $!\n";
my $page = do { local $/ = undef; <$in> };
close $in;
$page =~ s/\Q$begin\E.*?\Q$end\E/$begin\n\n$text\n$end/s or die "$file: \"$begin\" and \"$end\" are not in it\n";
open my $out, '>', $file or die "$file: $!\n";
print $out $page;
close $out or die "$file: $!\n";
print "$total[2] of $total[1] lines that can run are reached: ", percent($total[2], $total[1]),
    "; $unexplained functions are not explained\n";
exit($wrong ? 1 : 0);
