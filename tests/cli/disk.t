#!/usr/bin/env perl
# Disks that go with the guest: that the scenarios pass, and that each fails when what it judges is
# broken. What breaks it is an editor between Godwit and QEMU's monitor, or a program that writes into
# the image.
#
# SPDX-License-Identifier: MIT
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Cli;
use Test::More;

my $newer = (unpacked())[-1];
my $binary = $newer // $qemu;
plan skip_all => 'no qemu-system-x86_64' unless $binary;

my @on = ('--arch', 'x86_64', '--accel', 'tcg', '--workload', 'order', '--seed', 7);

sub results_of {
    my @which = grep({ $_ eq '--qemu' } @_) ? () : ('--qemu', $binary);
    return results_by_scenario(@on, @which, @_);
}

# A QEMU to which CHANGE is done with each line that Godwit sends, or, from qemu, gets.
sub filtered {
    my ($name, $change) = @_;
    return qemu_edited("our \$times; $change", $binary, $name);
}

my ($run, $results) = results_of(
    qw(disk/raw/* disk/qcow2/* disk/vhost-user/* disk/cancelled disk/late-block-activate* disk/failing/activate
        disk/pause-before-switchover disk/inactive/export disk/inactive/mirror-to dirty-bitmaps/* --slow)
);
is($run->{status}, 0, 'disks and bitmaps: exit status') or diag($run->{out});
is(scalar(grep { $results->{$_}{status} ne 'pass' && !m{^disk/(?:failing|vhost-user)/} } keys %$results), 0, 'all of them pass');
# These are live on memory that a QEMU before 9.0 does not carry over whole.
my ($major) = `$binary --version` =~ /version (\d+)/;
for my $name ('disk/vhost-user/plain', 'disk/vhost-user/postcopy') {
    my $status = $results->{$name}{status} // 'not run';
    is($status, $status eq 'known' && $major < 9 ? 'known' : 'pass', $name);
}
cmp_ok($results->{'disk/raw/plain'}{measurements}{disk_writes}, '>=', 40, 'their writes are recorded');
like($results->{'disk/raw/plain'}{measurements}{refusals}[0], qr/write" lock/, 'and the refusal');
ok_clean($run, 'nothing is left behind');

# A write is lost, one that nothing overwrites: all that follow it in the run are lost as well.
my $loses = q{s/write -(?:P \d+|z) /read / if $from eq 'godwit' && $name eq '%s' && /qemu-io/ && ++$times > %d;};
my $wrong = qr/disk disk\.img has 0x[0-9a-f]{2} at 0x[0-9a-f]+, where 0x[0-9a-f]{2} was written last/;
my @broken = (
    ['disk/raw/plain', filtered('source-loses', sprintf $loses, 'source', 0), $wrong],
    ['disk/qcow2/plain', filtered('source-loses-later', sprintf $loses, 'source', 12), $wrong],
    ['disk/raw/postcopy', filtered('destination-loses', sprintf $loses, 'destination', 0), $wrong],
    ['disk/qcow2/postcopy', filtered('destination-loses-later', sprintf $loses, 'destination', 12), $wrong],
    ['disk/pause-before-switchover', filtered('loses-in-pause', sprintf $loses, 'source', 24), $wrong],
    ['disk/cancelled', filtered('loses-after-cancel', sprintf $loses, 'source', 24), $wrong],
    ['disk/late-block-activate/back', filtered('loses-at-home', sprintf $loses, 'source', 24), $wrong],
    # Both sides get the disk: the second cont of the source is not refused.
    ['disk/raw/plain', filtered('shares', q{s/"cont"/"query-name"/ if $from eq 'godwit' && $name eq 'source' && /"cont"/ && $times++;}),
        qr/^the source accepted cont, although another QEMU has its disk/],
    ['disk/late-block-activate/back', filtered('takes', q{s/"cont"/"query-name"/ if $from eq 'godwit' && $name eq 'destination';}),
        qr/^the destination accepted cont, although another QEMU has its disk/],
);
# A disk that was handed over: QEMU accepts what would write to it, dies of it, or writes.
push @broken, (
    ['disk/inactive/resize', filtered('resizes', q~if (/"error".*inactive node/) { my ($id) = /"id": (\d+)/; $_ = qq({"return": {}, "id": $id}\n) }~),
        qr/^the source accepted block_resize with .*, although another QEMU has its disk/, '--slow'],
    ['disk/inactive/bitmap', filtered('dies', q~if ($from eq 'godwit' && $name eq 'source' && s/"block-dirty-bitmap-add"/"quit"/) { s/,"arguments":\{.*?\}// }~),
        qr/^(sending \S+ to the source: )?the source's QEMU exited with status 0/, '--slow'],
    ['disk/inactive/threshold', filtered('loses-there', sprintf $loses, 'destination', 12), $wrong, '--slow'],
) if $newer;
# Which disk is active is known since 10.0 only.
push @broken, (
    ['disk/raw/plain', filtered('keeps', q{s/"active": false/"active": true/g if $from eq 'qemu' && $name eq 'source';}),
        qr/^the source's disk is active after the migration/],
    ['disk/late-block-activate', filtered('early', q{s/"active": false/"active": true/g if $from eq 'qemu' && $name eq 'destination';}),
        qr/^the destination's disk is active before its guest has run/],
    ['disk/raw/plain', filtered('never', q{s/"active": true/"active": false/g if $from eq 'qemu' && $name eq 'destination';}),
        qr/^the destination's disk is inactive after its guest has run/],
) if $newer;
# Bitmaps. A bit that is wrong: a write that the model has is a read.
my $bits = qr/^(?:destination|source|last|probe): bitmap \S+ has other bits than were written: /;
push @broken, (
    ['dirty-bitmaps/precopy', filtered('bits-source', sprintf $loses, 'source', 30), $bits],
    ['dirty-bitmaps/postcopy', filtered('bits-destination', sprintf $loses, 'destination', 0), $bits],
    # One that stays busy is waited for, until the deadline.
    ['dirty-bitmaps/broken', filtered('busy', q{s/"busy": false/"busy": true/ if $from eq 'qemu' && /"busy"/ && $times; $times++ if $from eq 'godwit' && /"migrate"/;}),
        qr/^timed out after .* (?:the failed migration to let go of the source's bitmaps|query-named-block-nodes) \(phase: fail\)/, '--timeout-scale', 0.2],
    ['dirty-bitmaps/cancelled', filtered('bits-clear', q{s/"block-dirty-bitmap-clear"/"block-dirty-bitmap-enable"/ if $from eq 'godwit';}), $bits],
    # The capability is off, or on.
    ['dirty-bitmaps/precopy', filtered('off', q{s/("dirty-bitmaps","state":)true/$1false/ if $from eq 'godwit';}),
        qr/^destination: the disk has 0 bitmaps instead of 3/],
    ['dirty-bitmaps/without', filtered('on', q{s/(\{"capability":)"events"(,"state":true\})/$1"events"$2,$1"dirty-bitmaps"$2/ if $from eq 'godwit';}),
        qr/^destination: the disk has 3 bitmaps instead of 0/],
    # A bitmap that records although it should not.
    ['dirty-bitmaps/precopy', filtered('enabled', q{s/"block-dirty-bitmap-disable"/"block-dirty-bitmap-enable"/ if $from eq 'godwit';}),
        qr/^source: bitmap off is .*, where granularity 512, recording off/],
    # The names, and the transform, are lost.
    ['dirty-bitmaps/mapping', filtered('names', q{s/-there/-elsewhere/g if $from eq 'godwit' && /block-bitmap-mapping/;}),
        qr/^destination: there is no bitmap fine-there/],
    ['dirty-bitmaps/mapping/persistent', filtered('transient', q{s/("persistent":)true/$1false/g if $from eq 'godwit' && /block-bitmap-mapping/;}),
        qr/^destination: bitmap fine-there is .*, where .* persistent on are right/],
    # What was not stored at the end is not in the image.
    ['dirty-bitmaps/mapping/persistent', filtered('removes', q{s/"name":"coarse-there"/"name":"fine-there"/ if $from eq 'godwit' && /sha256/ && $name eq '';}),
        qr/^probe: bitmap coarse-there has other bits/],
) if $newer;
for my $case (@broken) {
    my ($row, $with, $message, @more) = @$case;
    my ($run, $results) = results_of($row, '--qemu', $with, @more);
    is($run->{status}, 1, "$row, broken: exit status") or diag($run->{out});
    like($results->{$row}{message} // '', $message, "$row, broken: what is wrong");
    ok_clean($run, "$row, broken: nothing is left behind");
}

# A machine without a place for the device.
($run, $results) = results_of('disk/raw/plain', '--machine', 'microvm');
is($results->{'disk/raw/plain'}{status}, 'skip', 'microvm has no bus for virtio-blk-pci: skipped')
    or diag($run->{out});

done_testing;
