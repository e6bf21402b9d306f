#!/usr/bin/env perl
# Disks that are mirrored to the destination, and disks that fail: that the scenarios pass, and that
# each fails when what it judges is broken. What breaks it is an editor between Godwit and QEMU's
# monitor, which also writes into the images.
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

my @on = ('--arch', 'x86_64', '--accel', 'tcg', '--workload', 'order', '--seed', 7, '--slow');

sub results_of {
    my @which = grep({ $_ eq '--qemu' } @_) ? () : ('--qemu', $binary);
    return results_by_scenario(@on, @which, @_);
}

# A QEMU to which CHANGE is done with each line that Godwit sends, or, from qemu, gets. It can write
# a byte that nobody else writes into an image of this VM's folder.
sub filtered {
    my ($name, $change) = @_;
    my $spoil = q[sub spoil { open my $image, '+<', $_[0] or die "$_[0]: $!"; sysseek $image, 77_777, 0;]
        . q[ syswrite $image, "\xff"; return close $image }];
    return qemu_edited("our \$times; $spoil $change", $binary, $name);
}

my @rows = qw(mirror/precopy mirror/write-blocking mirror/tls mirror/broken mirror/daemon disk/failing/*);
my ($run, $results) = results_of(@rows);
is($run->{status}, 0, 'mirrors and failing disks: exit status') or diag($run->{out});
# QEMU 7.2 has known bugs of failing disks.
my $known = $newer ? qr/pass/ : qr/pass|known/;
is(join(' ', grep { $results->{$_}{status} !~ (m{^disk/} ? $known : qr/pass/) && $_ ne 'mirror/daemon' } sort keys %$results),
    '', 'all of them pass');
cmp_ok($results->{'mirror/precopy'}{measurements}{disk_writes}, '>=', 60, 'their writes are recorded');
like($results->{'mirror/tls'}{measurements}{refusals}[0], qr/TLS/, 'and the refusal of a client without TLS');
ok($results->{'mirror/broken'}{measurements}{mirror_failure}, 'and why a mirror failed');
ok_clean($run, 'nothing is left behind');

# A daemon is beside the destination's QEMU, and of another version.
script_file('qemu-storage-daemon', <<'END');
exec perl -e 'open my $q, "+<&=", 3;
syswrite $q, qq({"QMP": {"version": {"qemu": {"micro": 1, "minor": 2, "major": 3}}, "capabilities": []}}\n);
while (sysread $q, my $line, 9999) { my ($id) = $line =~ /"id":(\d+)/; syswrite $q, qq({"return": {}, "id": $id}\n) }'
END
($run, $results) = results_of('mirror/daemon', '--allow-all-skipped', '--qemu', filtered('beside', ''));
is($results->{'mirror/daemon'}{status}, 'skip', 'a daemon of another version: skipped') or diag($run->{out});
like($results->{'mirror/daemon'}{message}, qr{^needs qemu-storage-daemon \S+: \S+/qemu-storage-daemon is 3\.2\.1$}, 'and the versions are named');

my $loses = q{s/write -(?:P \d+|z) /read / if $from eq 'godwit' && $name eq '%s' && /qemu-io/ && ++$times > %d;};
my @broken = (
    # The mirror loses bytes: the last ones that the destination gets, or all that it writes later.
    ['mirror/precopy', filtered('drops', q{spoil('destination.img') if $from eq 'godwit' && /"nbd-server-stop"/;}),
        qr/^destination: disk destination\.img has 0xff at 0x12fd1, where /],
    ['mirror/postcopy', filtered('destination-loses', sprintf $loses, 'destination', 0), qr/^destination: disk destination\.img has /],
    # The source writes to its image after the hand-over.
    ['mirror/precopy', filtered('touches', q{spoil('disk.img') if $from eq 'godwit' && $name eq 'destination' && /"cont"/;}),
        qr/^probe: disk disk\.img has 0xff at 0x12fd1, where /],
    # Its mirror is over before the last writes.
    ['mirror/precopy', filtered('early', q~if ($from eq 'godwit' && $name eq 'source' && /qemu-io/ && ++$times == 49) {
            put($far, qq({"execute": "block-job-cancel", "arguments": {"device": "mirror"}, "id": "editor"}\n)) }~),
        qr/^the source's mirror is \{.*\}, where it should be ready in copy mode background/],
    ['mirror/precopy', filtered('not-all', q{s/"offset": \d+/"offset": 1/ if /"BLOCK_JOB_COMPLETED"/;}),
        qr/^the source's mirror reported BLOCK_JOB_COMPLETED instead of BLOCK_JOB_COMPLETED with all of the disk: /],
    # It is ready at once.
    ['mirror/precopy', filtered('at-once', q{s/"ready": false/"ready": true/ if $from eq 'qemu';}),
        qr/^the source's mirror is \{.*\}, where it should still copy the bulk of the disk/],
    # The server takes clients without TLS.
    ['mirror/tls', filtered('open', q{s/,"tls-creds":"tls"// if $from eq 'godwit' && /"nbd-server-start"/;}),
        qr/^the destination's NBD server, which has TLS credentials, accepted a client without TLS/],
    # A mirror that breaks does so without a reason. The source loses a write after it was broken off.
    ['mirror/broken', filtered('no-error', q{s/, "error": "[^"]*"// if /"BLOCK_JOB_COMPLETED"/;}),
        qr/^the source's mirror reported BLOCK_JOB_COMPLETED instead of BLOCK_JOB_COMPLETED with an error: /],
    ['mirror/cancelled/pre-switchover', filtered('loses-after-cancel', sprintf $loses, 'source', 60), qr/^source: disk disk\.img has /],
    # The disk does not fail. The source does not run on.
    ['disk/failing/flush', filtered('works', q{s/read 0 512/length/ if $from eq 'godwit';}),
        qr/^the source's migration ended as completed instead of failed/],
    ['disk/failing/flush', filtered('stands', q{$times++ if /"status": "failed"/; s/"status": "running"/"status": "paused"/ if $times;}),
        qr/^the source's run state after the failed migration is "paused" instead of "running"/],
    # The guest runs without its disk.
    ['disk/failing/activate', filtered('runs', q{s/"cont"/"query-name"/ if $from eq 'godwit' && $name eq 'destination';}),
        qr/^the destination accepted cont, although another QEMU has its disk/],
);
# What QEMU reports since 8.2, or since 10.0.
push @broken, (
    ['mirror/write-blocking', filtered('background', q{s/"write-blocking"/"background"/ if $from eq 'godwit';}),
        qr/^the source's mirror is \{.*\}, where it should be ready in copy mode write-blocking/],
    ['disk/failing/flush', filtered('reason', q{s/Input\/output error/Success/ if $from eq 'qemu';}),
        qr/^the source's migration failed with ".*Success", where the reason is "Input\/output error"/],
) if $newer;
for my $case (@broken) {
    my ($row, $with, $message) = @$case;
    my ($run, $results) = results_of($row, '--qemu', $with);
    is($run->{status}, 1, "$row, broken: exit status") or diag($run->{out});
    like($results->{$row}{message} // '', $message, "$row, broken: what is wrong");
    ok_clean($run, "$row, broken: nothing is left behind");
}

done_testing;
