#!/usr/bin/env perl
# The scenarios failover/* can fail: a primary that is not hidden, not unplugged or not there, events
# that are missing or about something else, and a migration that does not wait.
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

# A QEMU whose arguments PROGRAM, Perl code, changes in @a.
sub with {
    my ($program) = @_;
    return qemu_but('*failover=on*', qq{exec perl -e 'my \@a = \@ARGV; $program exec \@a' "$qemu" "\$@"}, 'with-' . ++$number);
}
sub edited { my ($edit, $real) = @_; return qemu_edited($edit, $real // $qemu, ++$number) }

my $LOST = q{$from eq 'qemu' && s/"event": "%s"/"event": "X_LOST"/;};
my @short = ('--timeout-scale', '0.2');

my @rows = (
    # A primary that is no primary.
    ['hidden', with('s/,failover_pair_id=standby0// for @a;'),
        qr/source: the primary is there although no driver knows of it/],
    ['off', with('s/,failover_pair_id=standby0// for @a;'),
        qr/source: the primary is there before the driver knows of it/],
    ['hidden', edited(q{our $done; put($godwit, qq({"timestamp": {"seconds": 1, "microseconds": 1}, "event": "UNPLUG_PRIMARY", "data": {"device-id": "primary0"}}\n))
            if $name eq 'source' && /"status": "completed"/ && !$done++}),
        qr/source: reported UNPLUG_PRIMARY, although nothing must be unplugged/],
    ['off', edited(sprintf $LOST, 'FAILOVER_NEGOTIATED'), qr/waiting for .*FAILOVER_NEGOTIATED/, @short],
    ['off', edited(q{s/"device-id": "standby0"/"device-id": "other"/}),
        qr/source: FAILOVER_NEGOTIATED is about "other", expected "standby0"/],
    ['off', edited(q{s/"device-id": "primary0"/"device-id": "other"/}),
        qr/source: UNPLUG_PRIMARY is about "other", expected "primary0"/],
    ['off', edited(q{s/"name": "primary0"/"name": "gone"/ if $name eq 'source'}),
        qr/source: the primary is not there after FAILOVER_NEGOTIATED/],
    ['off', edited(q{s/"name": "primary0"/"name": "gone"/ if $name eq 'destination'}),
        qr/destination: the primary is not there after the migration/],
    ['off', edited(q{s/"device": 12,/"device": 13,/g if $name eq 'source'}), qr/source: query-pci lists no root port/],
    ['wait-unplug', edited(q{s/"status": "wait-unplug"/"status": "active"/ if $name eq 'source' && /"event"/}),
        qr/waiting for .*wait-unplug/, @short],
);
ok_rows('failover/', @rows);

done_testing;
