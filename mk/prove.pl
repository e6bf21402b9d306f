#!/usr/bin/env perl
# prove.pl TEST... : what `prove --timer --exec ''` does, and after its summary, so that the end of a
# log tells all, each failed point again with what its test said of it.
#
# SPDX-License-Identifier: MIT
use strict;
use warnings;
use File::Basename qw(basename);
use TAP::Harness;

# Two at a time, those that take longest first, so that none of them is left over at the end. A test
# that needs the host for itself says so, and why, in a comment that begins with "Runs alone:".
my @LONGEST = qw(architectures midway scenarios compat promise vendor lint device lifecycle images compare own-machine
    yank disk failing select known_bugs);
my %rank = map { ($LONGEST[$_] => $_) } 0 .. $#LONGEST;

sub rank_of { return $rank{basename($_[0], '.t')} // @LONGEST }

sub is_alone {
    my ($test) = @_;
    open my $file, '<', $test or die "$test: $!\n";
    return $test =~ /\.t$/ && grep {/^# Runs alone: \S/} <$file>;
}

my (@alone, @beside);
push @{ is_alone($_) ? \@alone : \@beside }, $_ for sort { rank_of($a) <=> rank_of($b) } @ARGV;
my @rules = ({ par => [map {quotemeta} @beside] }, { seq => [map {quotemeta} @alone] });
my $harness = TAP::Harness->new({
    timer => 1, exec => [], lib => [], jobs => 2, rules => { seq => \@rules },
});
my @failed;
$harness->callback(
    made_parser => sub {
        my ($parser, $job) = @_;
        my $said;    # where what follows goes, while it is about a failed point
        $parser->callback(
            ALL => sub {
                my ($result) = @_;
                if ($result->is_test) {
                    $said = undef;
                    return if $result->is_ok;
                    $said = { test => $job->[1], lines => [] };
                    push @failed, $said;
                }
                elsif ($result->is_plan || $result->is_version) {
                    return;
                }
                push @{ $said->{lines} }, split /\n/, $result->raw if $said;
            }
        );
    }
);
my $aggregator = $harness->runtests(@ARGV);
for my $failure (@failed) {
    print "\n$failure->{test}:\n";
    print "$_\n" for @{ $failure->{lines} };
}

# Shortest last: some logs keep only their end.
my $SENTENCES = 4;
print "\nFailed:\n" if @failed;
for my $failure (@failed) {
    my ($point, @rest) = @{ $failure->{lines} };
    my @said = grep { !/^\s*(---|\.\.\.|duration_ms:.*|report: \|)?$/ } @rest;
    splice @said, $SENTENCES if @said > $SENTENCES;
    s/^[\s#]*/    / for @said;
    print "  $failure->{test}: $point\n", map { "$_\n" } @said;
}
exit($aggregator->all_passed ? 0 : 1);
