#!/usr/bin/env perl
# The scenarios dump/* can fail: dumps that lack memory, or have other bytes than the guest, and a
# source that migrates while its guest is dumped. An editor between Godwit and the QEMU's monitor
# sees to that.
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

my $number = 0;
sub edited { my ($edit) = @_; return qemu_edited($edit, $newest, ++$number) }

ok_rows('dump/',
    ['migrating', edited('s/"paging": ?false/"paging":false,"begin":0,"length":1048576/'),
        qr/dump of \d+ bytes ends before the memory at 0x\d+/],
    ['migrating', edited(q{if ($from eq 'qemu' && $name eq 'destination' && -s 'guest.dump' && /"return": \{\}/) {
            open my $dump, '+<', 'guest.dump' or die; seek $dump, (-s $dump) / 4, 0; print $dump "\xee\xdd\xcc\xbb"; close $dump }}),
        qr/the destination's dump has 0x[0-9a-f]{2} at 0x[0-9a-f]+, expected 0x[0-9a-f]{2} as in its memory/],
    ['detached', edited('s/"migrate"/"query-status"/, s/"arguments":\{"uri":"unix:nobody.sock"\},?// if /nobody/'),
        qr/accepted migrate while its guest is dumped, expected a refusal/],
    ['detached', edited('s/"dump-guest-memory"/"no-such-command"/'), qr/no-such-command has not been found/]);

done_testing;
