#!/usr/bin/env perl
# malformed/answers can fail: sources that give no reason, that obey, or whose guest is not as it was.
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

sub what_fails {
    my ($name, $edit) = @_;
    my ($run, $results) = results_by_scenario('--arch', 'x86_64', '--accel', 'tcg', '-w', 'order', '--timeout-scale', '0.3',
        '--qemu', qemu_edited("our \$times; $edit", $newest, $name), 'malformed/answers');
    is($run->{status}, 1, "$name: it fails");
    ok_clean($run, "$name: nothing is left behind");
    return $results->{'malformed/answers'}{message};
}

like(what_fails('mute', q{s/, "error-desc": "[^"]*"// if $from eq 'qemu';}),
    qr/21 of 21 checks failed:\n.*a type that is none: 0: the migration that it started failed without a reason/,
    'no reason: each answer is named');
# It waits for an answer that nobody gives.
like(what_fails('deaf', q{s/unix:answers.sock/exec:cat >\/dev\/null/ if $from eq 'godwit' && /"migrate"/ && !$times++;}),
    qr/^timed out after .* waiting for the source's migration to be failed/, 'a source that never hears its peer');
like(what_fails('runs', q{s/"running": false/"running": true/ if $from eq 'qemu' && /"paused"|"running"/ && ++$times > 6;}),
    qr/checks failed:\n.*went from .*false.* to .*true/, 'a source whose guest runs on');

done_testing;
