#!/usr/bin/env perl
# The scenarios disk/vhost-user/* can fail: a daemon that gives the destination another disk, or writes
# to another image. An editor between Godwit and the daemon's monitor sees to that.
#
# SPDX-License-Identifier: MIT
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Cli;
use File::Basename qw(dirname);
use Test::More;

my ($newest) = unpacked();
my ($daemon) = grep { -x } map {"$_/qemu-storage-daemon"} split /:/, $ENV{PATH};
plan skip_all => 'no QEMU in build/qemus (make qemus)' unless $newest;
plan skip_all => 'no qemu-storage-daemon' unless $daemon;

# A folder that has a daemon with that EDIT, for $PATH.
my $number = 0;

sub edited {
    my ($edit) = @_;
    my $path   = qemu_edited($edit, $daemon, 'daemon-' . ++$number);
    my $folder = dirname($path) . "/daemon-$number";
    mkdir $folder or die "$folder: $!";
    symlink $path, "$folder/qemu-storage-daemon" or die "$folder: $!";
    return $folder;
}

# Adds a node beside the disk's, and exports it to the destination.
my $OTHER = <<'END';
if ($from eq 'godwit' && /"block-export-add"/ && /"id": ?"destination"/) {
    put($far, '{"execute":"blockdev-add","arguments":{"driver":"null-co","read-zeroes":true,"size":1048576,'
            . '"node-name":"other"},"id":"editor"}' . "\n");
    s/"node-name": ?"disk"/"node-name":"other"/;
}
END
my @rows = (
    [$OTHER, qr/destination: 0x00 at 0x[0-9a-f]+, expected 0x[0-9a-f]+, which vhost-user-blk has read there just now/],
    ['s/"writable": ?true/"writable":false/', qr/source: vhost-user-blk answers a write with status 1, expected 0/],
    ['s/"filename": ?"vhost.img"/"filename":"copy.img"/; system "cp vhost.img copy.img" if /copy.img/',
        qr/vhost.img has 0x00 at byte 0, expected 0x[0-9a-f]+/],
);
my @runs = run_all(2, map {
    [['run', 'disk/vhost-user/plain', '--arch', 'x86_64', '--accel', 'tcg', '--qemu', $newest],
        env => {PATH => edited($_->[0]) . ":$ENV{PATH}"}]
} @rows);
for my $row (@rows) {
    my $run = shift @runs;
    is($run->{status}, 1, "fails: $row->[1]");
    like($run->{out}, $row->[1], 'and says why') or diag($run->{out}, $run->{err});
    ok_clean($run, 'nothing is left behind');
}

done_testing;
