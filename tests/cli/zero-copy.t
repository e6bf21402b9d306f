#!/usr/bin/env perl
# The scenario multifd/tcp/zero-copy can fail: it meets a QEMU to which nobody passes zero-copy-send,
# and is skipped for a user who must not lock memory.
#
# SPDX-License-Identifier: MIT
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Cli;
use Test::More;

my ($newest) = unpacked();
$newest ||= $qemu;
plan skip_all => 'no qemu-system-x86_64' unless $newest;

my @run = ('run', 'multifd/tcp/zero-copy', '--arch', 'x86_64', '--accel', 'tcg', '--workload', 'order', '--qemu');
my $edit = 's/("zero-copy-send",\s*"state":\s*)true/${1}false/';
my ($off) = run_all(1, [[@run, qemu_edited($edit, $newest, 1)]]);
is($off->{status}, 1, 'without zero-copy-send it fails');
like($off->{out}, qr/the source reports no page that the kernel had to copy/, 'and says why')
    or diag($off->{out}, $off->{err});

SKIP: {
    skip 'needs root, to become another user', 1 if $> != 0;
    skip 'another user cannot run godwit here', 1
        if system 'setpriv', '--reuid', '65534', '--clear-groups', 'test', '-x', $godwit;
    my $why = `ulimit -l 64; setpriv --reuid 65534 --clear-groups $godwit list --why --arch x86_64 --qemu /usr/bin multifd/tcp/zero-copy 2>&1`;
    like($why, qr/needs to lock as much memory as the guest has: ulimit -l is 64 KiB/, 'it is skipped');
}
done_testing;
