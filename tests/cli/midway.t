#!/usr/bin/env perl
# The scenarios lifecycle/* and hops/reset can fail: each meets a QEMU that does not do what was asked of it, or says
# so, or does more. An editor between Godwit and the QEMU's monitor sees to that.
#
# SPDX-License-Identifier: MIT
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Cli;
use Test::More;

# The newest, which has the most of what is tried.
my ($newest) = unpacked();
$newest //= $qemu;
plan skip_all => 'no qemu-system-x86_64' unless $newest;

# Stops the guest without Godwit's knowledge: it would only keep a processor busy until the deadline.
my $HALT = q{; our $halted = 1; &tell('stop'); };
my $UNSEEN = q{next if our $halted && $from eq 'qemu' && /"event": "STOP"/; };

# The QEMU of one side takes COMMAND for another one that does nothing, and seems to have sent EVENT.
sub deaf {
    my ($side, $command, $event) = @_;
    my $lie = $event ? qq(; put(\$godwit, qq({"timestamp": {}, "event": "$event", "data": {}}\\n)) )
        : '';
    return $UNSEEN
        . qq{if (\$name eq '$side' && \$from eq 'godwit' && s/"$command"/"query-name"/) { 1 $lie$HALT}};
}

# It changes what it says.
sub liar {
    my ($side, $from, $to) = @_;
    return "\$name eq '$side' && \$from eq 'qemu' && s/$from/$to/";
}

# It runs its guest, unasked, when it reports that STATE of the migration.
sub eager {
    my ($side, $state) = @_;
    return qq{if (\$name eq '$side' && \$from eq 'qemu' && /"MIGRATION".*"status": "$state"/) }
        . q{{ &tell('cont') }};
}

# What was refused seems to have been done.
my $OBLIGING = q{if (/"error".*(?:in progress|not finalized)/) }
    . q{{ my ($id) = /"id": (\d+)/; $_ = qq({"return": {}, "id": $id}\n) }};

# Nothing happens, and that is all there is to see.
sub vain { return qr/timed out after .* waiting for .*$_[0]/ }

# The scenario, what is wrong with its QEMU, and what Godwit says. Without a family it is lifecycle/*.
my @rows = (
    ['hops/reset', deaf('hop1', 'system_reset'), vain('event RESET')],
    ['hops/reset', deaf('hop1', 'system_reset', 'RESET'), vain(q{'A' on})],
    ['setup/stop', eager('source', 'failed'), qr/run state after the failed migration.* "running"/],
    ['setup/reset', deaf('source', 'system_reset', 'RESET'), vain(q{'A' on})],
    ['setup/quit-source', deaf('source', 'quit'), vain('QEMU to quit')],
    ['active/stop', liar('source', '"status": "paused"', '"status": "running"'),
        qr/run state after stop is "running" instead of "paused"/],
    ['postcopy-paused/cont', $OBLIGING, qr/the source accepted cont, which it should refuse/],
    ['postcopy-paused/migrate-again', $OBLIGING, qr/the source accepted migrate, which it should refuse/],
    ['postcopy-paused/powerdown', deaf('source', 'system_powerdown'), vain('event POWERDOWN')],
    ['postcopy-paused/stop', liar('destination', '"status": "paused"', '"status": "running"'),
        qr/run state after stop in postcopy is "running" instead of "paused"/],
    ['postcopy-paused/reset', deaf('destination', 'system_reset'), vain('event RESET')],
    ['postcopy-paused/parameters', liar('source', '"announce-max": \d+', '"announce-max": 1'),
        qr/announce-max of the source is 1 after it was set/],
    ['active/stop-arrives', eager('destination', 'completed'),
        qr/run state after the migration of a stopped guest is "running"/],
    ['active/stop-fails', eager('source', 'failed'),
        qr/run state after the failed migration.* "running"/],
    ['active/reset', deaf('source', 'system_reset', 'RESET'), vain(q{'A' on})],
    ['active/reset-destination', deaf('destination', 'system_reset'), vain('event RESET')],
    ['active/reset-destination', q{s/"system_reset"/"quit"/}, qr/QEMU exited with status 0/],
    ['active/powerdown', deaf('source', 'system_powerdown'), vain('event POWERDOWN')],
    ['active/parameters', q{s/"announce-rounds":3/"announce-rounds":4/},
        qr/announce-rounds of the source is 4 after it was set to 3/],
    # Low bandwidths become a hundred times what they are, which is what they were before.
    ['active/bandwidth', q{$from eq 'godwit' ? s/"max-bandwidth":\d{5,7}\b\K/00/}
        . q{ : s/"max-bandwidth": \d{5,7}\K00\b//},
        qr/although its max-bandwidth had been lowered to \d{5,7} bytes/],
    ['active/migrate-again', $OBLIGING, qr/accepted migrate, which it should refuse/],
    ['active/migrate-again', q{s/in progress/elsewhere/}, qr/refused migrate for another reason/],
    ['active/quit-source', q{put($godwit, qq({"event": "RESUME"}\n)) if $name eq 'destination'}
        . q{ && $from eq 'qemu' && /"MIGRATION".*"active"/}, qr/ran its guest although/],
    ['active/quit-destination', liar('source', '"status": "failed"', '"status": "completed"'),
        qr/ended as completed instead of failed/],
    ['active/panic', eager('destination', 'completed'),
        qr/after the migration of a guest that has panicked is "running"/],
    ['pre-switchover/cont', $OBLIGING, qr/accepted cont, which it should refuse/],
    ['pre-switchover/stop', liar('destination', '"status": "running"', '"status": "io-error"'),
        qr/after the migration of a stopped guest is "io-error" instead of "paused"/],
    ['pre-switchover/reset', deaf('source', 'system_reset', 'RESET'), vain(q{'A' on})],
    ['pre-switchover/powerdown', deaf('destination', 'system_powerdown'), vain('event POWERDOWN')],
    ['pre-switchover/quit-source', q{put($godwit, qq({"event": "RESUME"}\n)) if $name eq}
        . q{ 'destination' && $from eq 'qemu' && /"MIGRATION".*"active"/}, qr/ran its guest although/],
    ['pre-switchover/quit-destination', q{s/.*"event": "RESUME".*\n// if $name eq 'source' && $from}
        . q{ eq 'qemu' && $moved; $moved ||= /"execute":"migrate"/}, vain('event RESUME')],
    ['device/cut', liar('source', '"status": "failed"', '"status": "completed"'),
        qr/ended as completed instead of failed/],
    ['device/quit-source', q{put($godwit, qq({"event": "RESUME"}\n)) if $name eq 'destination'}
        . q{ && $from eq 'qemu' && /"MIGRATION".*"active"/}, qr/ran its guest although/],
    ['device/quit-destination', liar('source', '"status": "failed"', '"status": "completed"'),
        qr/ended as completed instead of failed/],
    ['postcopy-device/cut', liar('source', '"status": "failed"', '"status": "postcopy-paused"'),
        qr/ended as postcopy-paused instead of failed/],
    ['postcopy-device/quit-source', q{put($godwit, qq({"event": "RESUME"}\n)) if $name eq}
        . q{ 'destination' && $from eq 'qemu' && /"MIGRATION".*"active"/}, qr/ran its guest although/],
    ['postcopy-device/quit-destination', liar('source', '"status": "failed"',
            '"status": "postcopy-paused"'), qr/ended as postcopy-paused instead of failed/],
    ['postcopy-active/stop', eager('destination', 'completed'),
        qr/run state after stop in postcopy is "running"/],
    ['postcopy-active/reset', deaf('destination', 'system_reset', 'RESET'), vain(q{'A' on})],
    ['postcopy-active/powerdown', deaf('destination', 'system_powerdown'), vain('event POWERDOWN')],
    ['postcopy-active/quit-source', liar('destination', '"return": (\\{.*)"status": "postcopy-paused"',
            '"return": $1"status": "failed"'), qr/the destination is alone .* migration failed/],
    ['postcopy-active/quit-destination', liar('source',
            '"return": (\\{.*)"status": "postcopy-paused"', '"return": $1"status": "failed"'),
        qr/the source is alone .* migration failed/],
);

# A migration that is under way would end without its guest's writes.
$_->[1] =~ s/\Q$HALT\E// for grep { $_->[0] =~ m{^active/} } @rows;

$_->[0] =~ m{^hops/} or $_->[0] = "lifecycle/$_->[0]" for @rows;
my $number = 0;
my @runs = run_all(2, map {
    my ($scenario, $edit, $message) = @$_;
    [['run', $scenario, '--arch', 'x86_64', '--accel', 'tcg', '--qemu',
        qemu_edited("our \$moved; $edit", $newest, ++$number . '/qemu-system-x86_64' =~ s{/}{-}r),
        $message =~ /timed out/ ? ('--timeout-scale', '0.25', '--workload', 'stamp', '--hops', 2) : ()]]
} @rows);
my $judged = 0;
for my $row (@rows) {
    my ($scenario, $edit, $message) = @$row;
    my $run = shift @runs;
    if ($run->{out} =~ /^skip .*needs (.*)/m) {
        SKIP: { skip "$scenario needs $1", 2 }
        next;
    }
    $judged++;
    is($run->{status}, 1, "$scenario fails");
    like($run->{out}, qr/^ +what +.*$message/m, "$scenario: $message")
        or diag($edit);
    note($run->{out} =~ /^ +what +(.*)/m);
}

cmp_ok($judged, '>=', @rows / 2, 'most rows ran');

# With an editor that changes nothing, they pass.
my $sound = run(['run', 'lifecycle/active/stop-arrives', 'lifecycle/postcopy-active/reset', '--arch',
    'x86_64', '--accel', 'tcg', '--qemu', qemu_edited('1', $newest, 'sound')]);
is($sound->{status}, 0, 'without an edit they pass') or diag($sound->{out});
ok_clean($sound, 'nothing is left behind');

done_testing;
