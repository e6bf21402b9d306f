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
use Test::More;

plan skip_all => 'no qemu-system-x86_64' unless $qemu;

my @on = ('--arch', 'x86_64', '--accel', 'tcg');

sub results_of {
    my @which = grep({ $_ eq '--qemu' } @_) ? () : ('--qemu', $qemu);
    return results_by_scenario(@on, @which, @_);
}

# A QEMU whose monitor, descriptor 3, is behind a filter: what Godwit sends is changed by the Perl
# expression CHANGE, a line at a time.
sub filtered {
    my ($name, $change) = @_;
    my $filter = script_file("$name.pl", <<"END");
exec perl -e '
    use Socket; use POSIX ();
    socketpair my \$ours, my \$theirs, AF_UNIX, SOCK_STREAM, PF_UNSPEC or die;
    open my \$godwit, "+<&=", 3 or die;
    my \$pid = fork;
    if (\$pid) { # QEMU stays the process that Godwit has started
        POSIX::dup2(fileno \$theirs, 3);
        exec "$qemu", \@ARGV;
    }
    sub relay { my (\$from, \$to, \$change) = \@_; my \$all = "";
        while (sysread \$from, my \$some, 65536) {
            \$all .= \$some;
            while (\$all =~ s/^([^\\n]*\\n)//) { local \$_ = \$1; $change if \$change; syswrite \$to, \$_ }
        }
        POSIX::_exit(0);
    }
    close \$theirs;
    fork ? relay(\$godwit, \$ours, 1) : relay(\$ours, \$godwit, 0);
' -- "\$@"
END
    return script_file('qemu-system-x86_64', <<"END") unless $name;
END
    return script_file($name, qq{case "\$*" in *"-S"*) exec "$filter" "\$@" ;; *) exec "$qemu" "\$@" ;; esac\n});
}

my @rows = qw(snapshot/monitor/stopped snapshot/monitor/running snapshot/job/second-disk snapshot/start
    snapshot/missing snapshot/inactive);
my ($run, $results) = results_of(@rows);
is($run->{status}, 0, 'snapshots: exit status');
is_deeply([map { "$_ $results->{$_}{status}" } sort keys %$results], [map {"$_ pass"} sort @rows], 'they pass');
is($results->{'snapshot/missing'}{measurements}{refusals}[0] =~ /does not exist/ ? 1 : 0, 1, 'the refusal is recorded');
ok_clean($run, 'nothing is left behind');

# Another QEMU that starts without the snapshot, and so with a guest that has not begun.
my $forgets = qemu_but('*-loadvm*', q{set -- "$@"; n=$#; while [ $n -gt 0 ]; do a=$1; shift; n=$((n-1)); }
    . q{case $a in -loadvm) shift; n=$((n-1)) ;; *) set -- "$@" "$a" ;; esac; done; exec } . qq{"$qemu" "\$@"}, 'qemu-forgets');
# It still needs a name that Godwit takes for a QEMU.
my %broken = (
    'snapshot/start' => [$forgets, qr/twin: \d+ bytes in \d+ pages differ/],
    # A load that loads nothing: the monitor is asked for something harmless instead.
    'snapshot/monitor/stopped' =>
        [filtered('qemu-loads-nothing', 's/loadvm one/info name/'), qr/refused loadvm|twin: \d+ bytes/],
    'snapshot/job/stopped' =>
        [filtered('qemu-loads-nothing', 's/"snapshot-load"/"snapshot-save"/; s/one/other/ if /snapshot-save/ && $n++'),
            qr/./],
    # The disk is written once more after the save under the name that is compared.
    'snapshot/monitor/running' =>
        [filtered('qemu-saves-late', 's/savevm one/info name/'), qr/no STOP|does not exist/],
    # A missing snapshot that is not refused, since the harmless command has no output.
    'snapshot/missing' =>
        [filtered('qemu-accepts', 's/loadvm missing/nbd_server_stop/'), qr/accepted|./],
    # A disk that gets nothing.
    'snapshot/job/second-disk' =>
        [filtered('qemu-writes-nothing', 's/write -P/write -z -P/ if 0; s/write -P 1 /write -P 9 /'),
            qr/disk disk has 0x09 at 0x0, where 0x01/],
    'background-snapshot/resumed' =>
        [filtered('qemu-plain', 's/"background-snapshot"/"auto-converge"/'), qr/./],
);
for my $row (sort keys %broken) {
    my ($binary, $message) = @{$broken{$row}};
    my ($run, $results) = results_of($row, '--qemu', $binary);
    is($run->{status}, 1, "$row, broken: exit status") or diag($run->{out});
    like($results->{$row}{message} // '', $message, "$row, broken: what is wrong");
    diag("$row: " . ($results->{$row}{message} // '')) if $ENV{SNAPSHOT_SHOW};
    ok_clean($run, "$row, broken: nothing is left behind");
}

done_testing;
