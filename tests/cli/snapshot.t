#!/usr/bin/env perl
# Snapshots: that they pass, and that each row fails when what it judges is broken. What breaks it is
# a QEMU that differs in its arguments, or an editor between Godwit and its monitor.
#
# SPDX-License-Identifier: MIT
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Cli;
use Test::More;

plan skip_all => 'no qemu-system-x86_64' unless $qemu;

my @on = ('--arch', 'x86_64', '--accel', 'tcg');

sub results_of {
    my @which = grep({ $_ eq '--qemu' } @_) ? () : ('--qemu', $qemu);
    return results_by_scenario(@on, @which, @_);
}

# A QEMU, $qemu if none is given, to which CHANGE is done with each line that Godwit sends. NAME is its
# file's.
sub filtered {
    my ($name, $change, $binary) = @_;
    return qemu_edited("our \$times; if (\$from eq 'godwit') { $change }", $binary // $qemu, $name);
}

my @rows = qw(snapshot/monitor/stopped snapshot/monitor/running snapshot/job/second-disk snapshot/start
    snapshot/missing snapshot/inactive);
my ($run, $results) = results_of(@rows);
is($run->{status}, 0, 'snapshots: exit status');
is_deeply([map { "$_ $results->{$_}{status}" } sort keys %$results], [map {"$_ pass"} sort @rows], 'they pass');
like($results->{'snapshot/missing'}{measurements}{refusals}[0], qr/does not exist/, 'the refusal is recorded');
ok_clean($run, 'nothing is left behind');

# What is broken in each row, by a QEMU without -loadvm, or one that is asked for something else than
# what Godwit wants, and what the row must say.
my $forgets = qemu_but('*-loadvm*', qq{exec perl -e 'my \@a = \@ARGV; for (1 .. \$#a) { splice(\@a, \$_, 2), last if \$a[\$_] eq "-loadvm" } exec \@a'}
    . qq{ "$qemu" "\$@"}, 'forgets');
my @broken = (
    ['snapshot/start', $forgets, qr/^twin: \d+ bytes in \d+ pages differ/],
    # Nothing is loaded: the guest is as it was last.
    ['snapshot/monitor/stopped', filtered('loads-nothing', 's/loadvm one/log none/'), qr/^twin: \d+ bytes/],
    # Nothing is saved.
    ['snapshot/monitor/running', filtered('saves-nothing', 's/savevm one/stop/'), qr/run state .* is "paused"|reported no /],
    ['snapshot/job/stopped', filtered('loads-missing', 's/"one"/"two"/ if /snapshot-load/'), qr/^the source refused snapshot-load of one: .*does not exist/],
    # The second snapshot is loaded in place of the third.
    ['snapshot/monitor/several', filtered('loads-another', 's/loadvm three/loadvm one/'), qr/^twin: \d+ bytes/],
    # The disk is not as it was.
    ['snapshot/job/second-disk', filtered('writes-another', 's/write -P 1 /write -P 9 /'), qr/disk disk has 0x09 at 0x0, where 0x01/],
    # Nothing is loaded, but the guest is stopped and resumed: it does not go back.
    ['snapshot/monitor/into-running', filtered('only-pauses', q{&tell('stop') if s/loadvm one/cont/}), qr/CPU 0 has made \d+ passes, although it could not make more than/],
    # A missing snapshot is not refused.
    ['snapshot/missing', filtered('accepts', 's/loadvm missing/log none/'), qr/^the source accepted loadvm of missing/],
);
# These write a file that QEMU itself opens: descriptors do not pass the program between.
my $newer = (unpacked())[-1];
push @broken, (
    ['snapshot/inactive', filtered('accepts-inactive', 's/savevm one/log none/', $newer), qr/^the source accepted savevm of one/],
    # An ordinary migration does not let the guest run on.
    ['background-snapshot/running', filtered('ordinary', 's/"background-snapshot"/"auto-converge"/', $newer),
        qr/^the source's run state after the background snapshot is "postmigrate"/],
    # The guest is not stopped at the start, although it should be.
    ['background-snapshot/resumed', filtered('goes-on', 's/"stop"/"query-name"/ if /"stop"/ && !$times++', $newer), qr/^source: (its memory changes|page order broken|(RAM|memory) and CPU( 0)? are not from the same instant)/],
    # The second snapshot loses its first byte.
    ['background-snapshot/twice', filtered('elsewhere', 's/exec:cat/exec:tail -c +2/ if /"migrate"/ && ++$times == 2', $newer),
        qr/^the destination's (migration ended as failed|QEMU exited with status 1, saying .*Not a migration stream)/],
    ['file/mapped-ram/many', filtered('one-fails', q{s/file:migrate.stream/file:elsewhere/ if $name eq 'destination-3'}, $newer),
        qr/destination-3/],
) if $newer;
for my $case (@broken) {
    my ($row, $binary, $message) = @$case;
    my ($run, $results) = results_of($row, '--qemu', $binary);
    is($run->{status}, 1, "$row, broken: exit status") or diag($run->{out});
    like($results->{$row}{message} // '', $message, "$row, broken: what is wrong");
    ok_clean($run, "$row, broken: nothing is left behind");
}

done_testing;
