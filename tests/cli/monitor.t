#!/usr/bin/env perl
# The scenarios monitor/* can fail: each meets a QEMU whose human monitor does something else than
# it was asked, or shows something else than QMP reports. An editor between Godwit and the QEMU's
# monitor sees to that.
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

my @rows = (
    ['precopy', 's/info migrate( -a)?"/info status"/', qr/"info migrate" does not match "\S*status:\\s\+active/],
    ['precopy', 's/(normal[:=] *)(?=[0-9])/${1}9/', qr/does not match "\(\?:normal: \|normal=\)\d+/],
    ['precopy', 's/(downtime: |down=)(?=[0-9])/${1}9/', qr/does not match "\(\?:downtime: \|down=\)\d+/],
    ['precopy', 's/migrate_incoming/help/', qr/did not obey "migrate_incoming/],
    ['xbzrle', 's/xbzrle-cache-size 524288/xbzrle-cache-size 262144/', qr/does not match "size\S* \*524288/],
    ['postcopy', 's/migrate_pause/no_such_command/', qr/did not obey "migrate_pause", printing "unknown command/],
    ['settings', 's/downtime-limit 301/downtime-limit 302/',
        qr/migrate_set_parameter downtime-limit: 301 is set, and shown: QMP reads 302/],
    ['settings', 's/downtime-limit: 301 ms/downtime-limit: 300 ms/',
        qr/downtime-limit: 301 is set, and shown: "info migrate_parameters" does not show it/],
    ['settings', 's/announce-max 551/announce-step 102/', qr/announce-max: 551 .*: announce-step went from 100 to 102/],
    ['settings', 's/migrate_set_capability multifd on/info status/', qr/did not obey "migrate_set_capability multifd on"/],
    ['settings', 's/migrate_set_capability multifd on/migrate_set_capability xbzrle off/',
        qr/migrate_set_capability multifd: it is switched, and shown: QMP does not read it on/],
    ['settings', 's/multifd: on/multifd: off/', qr/multifd: .* "info migrate_capabilities" does not show it on/],
    ['settings', 's/multifd-channels 0"/multifd-channels 5"/',
        qr/migrate_set_parameter multifd-channels 0: refused: .*multifd-channels went from 2 to 5/],
    ['settings', 's/"migrate_continue no-such-state"/"migrate_set_capability xbzrle off"/',
        qr/migrate_continue no-such-state: refused: the monitor printed nothing/],
);
my $number = 0;
my @runs = run_all(2, map {
    my ($scenario, $edit) = @$_;
    [['run', "monitor/$scenario", '--arch', 'x86_64', '--accel', 'tcg', '--workload', 'order', '--qemu',
        qemu_edited($edit, $newest, ++$number)]]
} @rows);
for my $row (@rows) {
    my ($scenario, $edit, $message) = @$row;
    my $run = shift @runs;
    is($run->{status}, 1, "monitor/$scenario fails: $edit");
    like($run->{out}, $message, "monitor/$scenario: $message") or diag($edit, $run->{out}, $run->{err});
}

done_testing;
