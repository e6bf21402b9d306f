#!/usr/bin/env perl
# Two scenarios of multifd/tcp can fail: zero-copy meets a QEMU to which nobody passes zero-copy-send,
# and is skipped for a user who must not lock memory; uri/plain meets one that names a thread less.
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

# Runs SCENARIO with a QEMU whose monitor is edited by EDIT.
sub edited {
    my ($scenario, $edit, $real, $number) = @_;
    return [['run', "multifd/tcp/$scenario", '--arch', 'x86_64', '--accel', 'tcg', '--workload', 'order', '--qemu',
        qemu_edited($edit, $real, $number)]];
}

# QEMU 7.2 has no query-migrationthreads yet, and 11.1 none any more.
my ($between) = grep { `$_ --version` =~ /version (?:8|9|10)\./ } unpacked();
my @edited = edited('zero-copy', 's/("zero-copy-send",\s*"state":\s*)true/${1}false/', $newest, 1);
push @edited, edited('uri/plain', 's/("name": "[^"]*)send([^"]*0")/${1}other${2}/', $between, 2) if $between;
my ($off, $less) = run_all(2, @edited);
is($off->{status}, 1, 'without zero-copy-send it fails');
like($off->{out}, qr/the source reports no page that the kernel had to copy/, 'and says why')
    or diag($off->{out}, $off->{err});
SKIP: {
    skip 'needs QEMU 10.0: run make qemus', 2 unless $less;
    is($less->{status}, 1, 'with a thread less it fails');
    like($less->{out}, qr/query-migrationthreads names \d+ threads that send, expected 16/, 'and says why')
        or diag($less->{out}, $less->{err});
}

SKIP: {
    skip 'needs root, to become another user', 1 if $> != 0;
    skip 'another user cannot run godwit here', 1
        if system 'setpriv', '--reuid', '65534', '--clear-groups', 'test', '-x', $godwit;
    my $why = `ulimit -l 64; setpriv --reuid 65534 --clear-groups $godwit list --why --arch x86_64 --qemu /usr/bin multifd/tcp/zero-copy 2>&1`;
    like($why, qr/needs to lock as much memory as the guest has: ulimit -l is 64 KiB/, 'it is skipped');
}
done_testing;
