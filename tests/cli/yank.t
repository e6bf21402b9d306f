#!/usr/bin/env perl
# The scenarios yank/* can fail: each meets a QEMU that does not do what it was told, or lists another
# thing to yank. An editor between Godwit and the QEMU's monitor sees to that.
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

# What query-yank lists: never a migration, always one, and one for good once there was a yank.
my $NEVER = q{s/"type": "migration"/"type": "nothing"/};
my $EVER  = q~s/\{"type": "chardev", "id": "console"\}/{"type": "migration"}/~;
my $STAYS = qq{our \$yanked ||= \$from eq 'godwit' && /"yank"/; \$yanked && $EVER};
# A yank that does nothing: another command, which succeeds, in its place.
my $IDLE = q~if ($from eq "godwit" && s/"exec-oob":"yank"/"execute":"query-status"/) { s/, ?"arguments": ?\{.*?\]\}|"arguments": ?\{.*?\]\}, ?// }~;
my $TAKES = q~if (/"error".*Instance not found/) { my ($id) = /"id": (\d+)/; ~
    . q~$_ = qq({"return": {}, "id": $id}\n) }~;
my $PAUSED = q{$name eq 'source' && s/"status": "running"/"status": "paused"/};

sub of { my ($name, $edit) = @_; return "if (\$name eq '$name') { $edit }" }

my @rows = (
    ['none', $EVER, qr/source's query-yank lists a migration before it, expected none/],
    ['none', $TAKES, qr/source accepted yank/],
    ['source', of('source', $NEVER), qr/source's query-yank lists no migration during it, expected one/],
    ['destination', of('destination', $NEVER), qr/destination's query-yank lists no migration during it/],
    ['source', $PAUSED, qr/run state after the failed migration is "paused"/],
    ['source', $STAYS, qr/timed out .* waiting for the source's (query-yank to list no migration any more|answer to query-yank)/],
    (map { [$_, $IDLE, qr/timed out after/] }
        qw(source destination multifd/source multifd/destination postcopy/source postcopy/destination)),
);

my $number = 0;
my @runs = run_all(2, map {
    my ($scenario, $edit, $message) = @$_;
    [['run', "yank/$scenario", '--arch', 'x86_64', '--accel', 'tcg', '--qemu',
        qemu_edited($edit, $newest, ++$number), $message =~ /timed out/ ? ('--timeout-scale', '0.2') : ()]]
} @rows);
for my $row (@rows) {
    my ($scenario, $edit, $message) = @$row;
    my $run = shift @runs;
    is($run->{status}, 1, "yank/$scenario fails");
    like($run->{out}, qr/^ +what +.*$message/m, "yank/$scenario: $message")
        or diag($edit, $run->{out}, $run->{err});
}

done_testing;
