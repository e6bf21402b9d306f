#!/usr/bin/env perl
# godwit run --peer between two hosts, in each state of a migration: the link is cut, the second host
# dies, the first host dies. Nothing may be left on the survivor.
#
# SPDX-License-Identifier: MIT
use strict;
use warnings;
use Cwd qw(abs_path);
use FindBin;
use lib "$FindBin::Bin/../cli/lib";
use Hosts;
my $able;
BEGIN { $able = Hosts::enter() }
use Cli;
use Test::More;

plan skip_all => 'no qemu-system-x86_64' unless $qemu;
plan skip_all => Hosts::missing($able) if Hosts::missing($able);

my $accepted = '@' . abs_path("$FindBin::Bin/../accepted-bugs");
my $hosts    = Hosts->new($godwit);

# In each state of the source.
my @states = (
    ['setup',           qw(run precopy/tcp/plain)],
    ['active',          qw(run precopy/tcp/plain)],
    ['pre-switchover',  qw(migrate -t tcp -c pause-before-switchover)],
    ['device',          qw(migrate -t tcp -c pause-before-switchover)],
    ['postcopy-active', qw(run postcopy/recovery/plain)],
    ['postcopy-paused', qw(run postcopy/recovery/plain)],
    ['postcopy-recover(?:-setup)?', qw(run postcopy/recovery/plain)],
    ['completed',       qw(run precopy/tcp/plain)]);

# Begins a run whose source stops to listen to its monitor in that state. Returns it, and what ends the
# stop. Dies if the state does not come.
sub begin {
    my ($state, $isolated, $command, @rest) = @_;
    my ($said, $from) = fifo();
    my ($answer, $to) = fifo();
    my $source = qemu_edited(qq[
        if (\$from eq 'qemu' && \$name =~ /source/ && /"status": "$state"/) {
            open my \$say, '>', '$said' or die;
            print \$say "here\\n";
            close \$say;
            open my \$hear, '<', '$answer' or die;
            readline \$hear;
        }], $qemu, 'qemu-system-x86_64');
    my @words = ($command, @rest, qw(-w order -a x86_64 --accel tcg --accept-known), $accepted, '--qemu-src', $source, $hosts->peer);
    my $run = start(\@words, $isolated
        ? (command => [qw(unshare --pid --fork --mount-proc --kill-child), $godwit]) : ());
    is(told($from), "here\n", "$state: the source is there") or die;
    return ($run, sub { syswrite $to, "on\n" });
}

for my $case (@states) {
    my ($state, @command) = @$case;
    for my $fault (['the link is cut', sub { $hosts->cut }], ['the second host dies', sub { $hosts->kill_second }]) {
        my ($what, $do) = @$fault;
        my ($run, $go_on) = begin($state, 0, @command);
        ok($do->(), "$state: $what");
        $go_on->();
        finish($run);
        is($run->{status}, 1, "$state, $what: exit status") or diag($run->{out}, $run->{err});
        like($run->{out}, qr/connection to the other host was lost: .*(?:not responding|No route to host|Broken pipe)/,
            "$state, $what: the message says why");
        like($run->{out}, qr/^ +destination QEMU .*\n(?: +.*\n)* +events /m, "$state, $what: what is known of the destination");
        ok_clean($run, "$state, $what: nothing is left on the first host");
        $what =~ /second/ ? $hosts->boot : $hosts->mend;
        ok(eventually(sub { $hosts->idle }), "$state, $what: nothing is left on the second host");
    }
    my ($run) = begin($state, 1, @command);
    ok($hosts->cut && kill('KILL', $run->{pid}), "$state: the first host dies");
    waitpid $run->{pid}, 0;
    ok(eventually(sub { !processes($run) }), "$state, the first host dies: no process of it is left");
    $hosts->mend;
    ok(eventually(sub { $hosts->idle }), "$state, the first host dies: nothing is left on the second host");
}
done_testing;
