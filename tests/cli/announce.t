#!/usr/bin/env perl
# The scenarios announce/* can fail: each meets a QEMU that announces more, less, earlier or later
# than it was told, another device, or a guest that has not arrived. An editor between Godwit and the
# QEMU's monitor, or another command line, sees to that.
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

# What the destination is told instead.
sub told_of {
    my ($name, $value) = @_;
    return qq{\$name eq 'destination' && s/"announce-$name":\\d+/"announce-$name":$value/};
}

# What announce-self is told instead.
sub asked_for {
    my ($name, $value) = @_;
    return qq{/announce-self/ && s/"$name":\\d+/"$name":$value/};
}

my $other_address = script_file('other-address', <<"END");
for word; do
    shift
    case "\$word" in *mac=52:54:00:67:77:01) word=\${word%1}2 ;; esac
    set -- "\$@" "\$word"
done
exec "$newest" "\$@"
END
my $SELF = '{"execute": "announce-self", "arguments": '
    . '{"initial": 50, "max": 50, "rounds": 1, "step": 0}, "id": "editor"}';
my $SOURCE = qq{put(\$far, qq(\$_)) for \$name eq 'source' && /"migrate"/ ? '$SELF' . "\\n" : ()};

# Sends a frame of its own when the destination reports that status.
sub forged_at {
    my ($status) = @_;
    return <<"END";
if (\$name eq 'destination' && /"MIGRATION".*"status": "$status"/) {
    socket my \$socket, AF_UNIX, SOCK_DGRAM, 0;
    send \$socket, 'x' x 60, 0, pack_sockaddr_un('destination.net');
}
END
}

my @rows = (
    ['paused', forged_at('completed'), qr{announce/paused: the destination announced a guest that is}],
    ['precopy', forged_at('active'), qr{announce/resumed: a frame was sent before}],
    ['precopy', told_of(rounds => 5), qr{announce/rounds: 5 frames were sent, expected 4}],
    ['none', told_of(rounds => 1), qr{announce/rounds: 1 frames were sent, expected 0}],
    ['postcopy', told_of(step => 1), qr{announce/spacing: .* between announcement 1 and 2, expected 100}],
    ['precopy', told_of(max => 61), qr{announce/spacing: .* between announcement 1 and 2, expected 100}],
    ['precopy', asked_for(initial => 5), qr{announce-self/spacing: .* between announcement 0 and 1}],
    ['precopy', asked_for(max => 20000) . ' && ' . asked_for(step => 3000),
        qr{announce-self/max: no delay is shorter}],
    # When the harness stops waiting, the second one too many may be due or not.
    ['precopy', asked_for(rounds => 6), qr{announce-self/rounds: [56] frames were sent, expected 4}],
    ['precopy', $SOURCE, qr{announce/source: the source sent 1 frames, expected none}],
);
my $number = 0;
my @runs = run_all(2, (map {
    my ($scenario, $edit) = @$_;
    [['run', "announce/$scenario", '--arch', 'x86_64', '--accel', 'tcg', '--qemu',
        qemu_edited($edit, $newest, ++$number)]]
} @rows), [['run', 'announce/precopy', '--arch', 'x86_64', '--accel', 'tcg', '--qemu', $other_address]]);
for my $row (@rows, ['precopy', 'another address', qr{announce/frames: .* sender is 52:54:00:67:77:02}]) {
    my ($scenario, $edit, $message) = @$row;
    my $run = shift @runs;
    is($run->{status}, 1, "announce/$scenario fails");
    like($run->{out}, $message, "announce/$scenario: $message") or diag($edit, $run->{out}, $run->{err});
}

done_testing;
