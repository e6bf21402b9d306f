#!/usr/bin/env perl
# The scenarios cancel/after/* and multifd/postcopy/cancel/* can fail: sources that refuse what they
# must obey, or the other way round. An editor between Godwit and the QEMU's monitor sees to that.
#
# SPDX-License-Identifier: MIT
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Cli;
use Test::More;

my ($newest) = unpacked();
plan skip_all => 'no QEMU in build/qemus (make qemus)' unless $newest;

my $OBEYS = qemu_edited('s/migrate_cancel/query-status/', $newest, 'obeys');
my $REFUSES = qemu_edited('s/migrate_cancel/no-such-command/', $newest, 'refuses');
ok_rows('',
    ['cancel/after/device', $REFUSES, qr/has not been found.* in device$/m],
    ['cancel/after/postcopy-active', $OBEYS, qr/accepted migrate_cancel in postcopy-active, expected a refusal/],
    ['multifd/postcopy/cancel/device', $REFUSES, qr/no-such-command has not been found/],
    ['multifd/postcopy/cancel/setup', $REFUSES, qr/no-such-command has not been found/]);

done_testing;
