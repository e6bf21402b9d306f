#!/usr/bin/env perl
# The scenarios malformed/* can fail: destinations that end with status 0, that are killed, that end
# without a message, and that refuse a harmless stream.
#
# SPDX-License-Identifier: MIT
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Cli;
use Test::More;

plan skip_all => 'no qemu-system-x86_64' unless $qemu;

my $number = 0;

# A QEMU whose destination number WHICH is the shell's COMMAND.
sub with {
    my ($which, $command) = @_;
    return script_file('with-' . ++$number,
        qq{case "\$*" in *destination-$which,* | *destination-$which.*) $command ;; esac\nexec "$qemu" "\$@"\n});
}

# What the destination does when its stream ends it: a status of its own, a signal, silence.
my $run = qq{"$qemu" "\$@"};
ok_rows('malformed/',
    ['postcopy/off', with(2, qq{$run; exit 0}), qr/ADVISE of 5 bytes: refused: the destination exited with status 0/, '--workload', 'order'],
    ['postcopy/off', with(2, qq{$run; kill -SEGV \$\$}), qr/ADVISE of 5 bytes: refused: the destination .*(?:signal|SIGSEGV)/, '--workload', 'order'],
    ['postcopy/off', with(2, qq{exec "$qemu" "\$@" 2>/dev/null}),
        qr/ADVISE of 5 bytes: refused: the destination ended without a message/, '--workload', 'order'],
    ['postcopy/off', with(1, qq{exec "$qemu" "\$@" -m 64}),
        qr/ADVISE without data: harmless: the destination exited with status 1 instead of/, '--workload', 'order']);

done_testing;
