#!/usr/bin/env perl
# prove.pl TEST... : what `prove --timer --exec ''` does, and after its summary, so that the end of a
# log tells all, each failed point again with what its test said of it.
#
# SPDX-License-Identifier: MIT
use strict;
use warnings;
use TAP::Harness;

# Two at a time, but for the tests of the command, each of which runs two QEMUs or more.
my $harness = TAP::Harness->new({
    timer => 1, exec => [], lib => [], jobs => 2,
    rules => { seq => [ { par => ['*/unit/*', 'tests/check/*', 'tests/vendor/*'] }, { seq => '*' } ] },
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
