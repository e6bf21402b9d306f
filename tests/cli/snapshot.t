#!/usr/bin/env perl
# Snapshots: that they pass, and that each row fails when what it judges is broken. What breaks it is
# a QEMU that differs in its arguments, or a program between Godwit and QEMU that alters commands.
#
# SPDX-License-Identifier: MIT
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Cli;
use Cwd qw(abs_path);
use Test::More;

plan skip_all => 'no qemu-system-x86_64' unless $qemu;

my @on = ('--arch', 'x86_64', '--accel', 'tcg');

sub results_of {
    my @which = grep({ $_ eq '--qemu' } @_) ? () : ('--qemu', $qemu);
    return results_by_scenario(@on, @which, @_);
}

# What is between Godwit and a QEMU's monitor, which is descriptor 3: each line that Godwit sends is
# changed by an expression. QEMU stays the process that Godwit has started.
my $filter = script_file('filter', <<'END');
exec perl -x "$0" "$@"
#!perl
use strict;
use Socket;
use POSIX ();
my ($change, @qemu) = @ARGV;
my $times = 0;
open my $godwit, '+<&', 3 or die;
socketpair my $here, my $there, AF_UNIX, SOCK_STREAM, PF_UNSPEC or die;

sub relay {
    my ($from, $to, $change) = @_;
    POSIX::close(3);
    close $there;
    my $all = '';
    while (sysread $from, $all, 65536, length $all) {
        while ($all =~ s/^([^\n]*\n)//) {
            local $_ = $1;
            eval "$change; 1" or die $@;
            syswrite $to, $_ or last;
        }
    }
    shutdown $to, 2;
    POSIX::_exit(0);
}

fork or relay($godwit, $here, $change);
fork or relay($here, $godwit, '');
POSIX::dup2(fileno $there, 3);
exec @qemu;
END

# A QEMU, $qemu if none is given, with that between. NAME is its file's.
sub filtered {
    my ($name, $change, $binary) = @_;
    $binary //= $qemu;
    return script_file($name, qq{exec "$filter" '$change' "$binary" "\$@"\n});
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
    # A missing snapshot is not refused.
    ['snapshot/missing', filtered('accepts', 's/loadvm missing/log none/'), qr/^the source accepted loadvm of missing/],
);
# These write a file that QEMU itself opens: descriptors do not pass the program between.
my ($newer) = grep {-x} map { abs_path($_) // () } glob 'build/qemus/1[01].*/bin/qemu-system-x86_64';
push @broken, (
    ['snapshot/inactive', filtered('accepts-inactive', 's/savevm one/log none/', $newer), qr/^the source accepted savevm of one/],
    # An ordinary migration does not let the guest run on.
    ['background-snapshot/running', filtered('ordinary', 's/"background-snapshot"/"auto-converge"/', $newer),
        qr/^the source's run state after the background snapshot is "postmigrate"/],
    # The guest is not stopped at the start, although it should be.
    ['background-snapshot/resumed', filtered('goes-on', 's/"stop"/"query-name"/ if /"stop"/ && !$times++', $newer), qr/^source: (its memory changes|page order broken)/],
    # The second snapshot goes elsewhere, and the first is loaded.
    ['background-snapshot/twice', filtered('elsewhere', 's/file:migrate.stream/file:elsewhere/ if /"migrate"/ && ++$times == 2', $newer),
        qr/^twin: \d+ bytes in \d+ pages differ/],
    ['file/mapped-ram/many', script_file('one-fails', qq{case "\$*" in *destination-3*) exec "$filter" 's/file:migrate.stream/file:elsewhere/' "$newer" "\$@" ;; *) exec "$newer" "\$@" ;; esac\n}),
        qr/destination-3/],
) if $newer;
for my $case (@broken) {
    my ($row, $binary, $message) = @$case;
    my ($run, $results) = results_of($row, '--qemu', $binary);
    is($run->{status}, 1, "$row, broken: exit status") or diag($run->{out});
    like($results->{$row}{message} // '', $message, "$row, broken: what is wrong");
    diag("$row: " . ($results->{$row}{message} // '')) if $ENV{SNAPSHOT_SHOW};
    ok_clean($run, "$row, broken: nothing is left behind");
}

done_testing;
