#!/usr/bin/env perl
# A source that crashes in the middle of its migration is named as the culprit, although its
# destination notices at once, complains and ends too. A process beside the source's QEMU waits until
# it has connected to the destination, and kills it by SIGSEGV.
#
# REPEAT runs in all, on each QEMU in QEMUS (default: 6, on the installed one).
#
# SPDX-License-Identifier: MIT
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Cli;
use Test::More;

my $repeat = $ENV{REPEAT} || 6;
my @qemus = $ENV{QEMUS} ? split(' ', $ENV{QEMUS}) : grep {defined} $qemu;
plan skip_all => 'needs qemu-system-x86_64' if !@qemus;

# The third socket of a source, beside QMP and console, is its migration's.
my $killer = script_file('killer', <<'END');
pid=$1
while sockets=$(ls -l /proc/$pid/fd 2>/dev/null | grep -c socket:) && kill -0 $pid 2>/dev/null; do
    if [ "$sockets" -ge 3 ]; then
        kill -SEGV $pid
        exit
    fi
done
END

for my $path (@qemus) {
    (my $name = $path) =~ s{\W+}{-}g;
    my $wrapper = script_file("qemu$name", <<"END");
case " \$* " in *" -name source "*) $killer \$\$ </dev/null >/dev/null 2>&1 3>&- 4>&- & ;; esac
exec $path "\$@"
END
    my @runs = run_all(2, map { [['run', 'precopy/unix/plain', '--accel', 'tcg', '--arch', 'x86_64',
        '--qemu-src', $wrapper, '--qemu-dst', $path]] } 1 .. $repeat);
    for my $run (@runs) {
        is($run->{status}, 1, "$path: the run fails");
        like($run->{out}, qr/^ +what .*the source's QEMU was killed by signal 11/m,
            'the source is named');
        like($run->{out}, qr/^ +source +QEMU \S+ .*was killed by signal 11/m, 'the state of it');
    }
}
done_testing;
