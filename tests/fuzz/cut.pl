#!/usr/bin/perl
# Cuts most pages out of a migration stream, for a seed of the fuzzer: a stream's items follow each
# other, and without some of its pages it is still a stream.
#
#   tests/fuzz/cut.pl GODWIT FILE KEEP [bare] > SEED
#
# Of each RAM block KEEP pages of each kind stay, beside all records that name their block. A bare
# seed is without the description of the devices.
#
# SPDX-License-Identifier: MIT
use strict;
use warnings;

my ($godwit, $file, $keep, $bare) = @ARGV;
defined $keep or die "usage: cut.pl GODWIT FILE KEEP [bare] > SEED\n";
binmode STDOUT;
open my $stream, '<:raw', $file or die "cannot read $file: $!\n";
open my $items, '-|', $godwit, 'stream', 'json', $file or die "cannot start $godwit: $!\n";
my %kept;
while (my $item = <$items>) {
    my ($offset) = $item =~ /"offset":(\d+)/;
    my ($length) = $item =~ /"length":(\d+)/;
    next if $bare && $item =~ /"kind":"description"/;
    my ($flags) = $item =~ /"flags":(\d+)/;
    if ($item =~ /"kind":"page"/ && ($flags // 0) & 0x20) {
        my ($name) = $item =~ /"name":"([^"]*)"/;
        my ($page) = $item =~ /"page":"([^"]*)"/;
        next if $kept{"$name $page"}++ >= $keep;
    }
    seek $stream, $offset, 0 or die "cannot read $file: $!\n";
    read($stream, my $bytes, $length) == $length or die "cannot read $file\n";
    print $bytes;
}
