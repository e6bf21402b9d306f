#!/usr/bin/perl
# Writes a sound migration stream that is small and stands for a lot: what reads it must not take more
# time or memory than the stream has bytes for. Each is a seed of the fuzzer with a small COUNT, and a
# test of the command line with a large one.
#
#   tests/fuzz/bomb.pl KIND COUNT > FILE
#
#   huge-block   one RAM block of almost 2^56 bytes, no page (COUNT is not used)
#   xbzrle       COUNT pages of 64 KiB, each a zero page and a change of one byte
#   zero         COUNT zero pages of 64 KiB
#   compressed   COUNT pages of 64 KiB, each compressed to some eighty bytes
#   names        COUNT RAM blocks, and 64 times as many zero pages that name the last of them
#   cpus         a guest of 64 CPUs, each with COUNT zero pages of 64 KiB
#
# SPDX-License-Identifier: MIT
use strict;
use warnings;
use Compress::Zlib qw(compress);

# Of include/godwit/guest_abi.h, in big-endian guests.
use constant {MAILBOX => 0x10000, WINDOW => 0x100000, PAGE => 65536};

my ($kind, $count) = @ARGV;
defined $count && $count =~ /\A\d+\z/ or die "usage: bomb.pl KIND COUNT > FILE\n";
binmode STDOUT;

sub name { return pack 'C/a', @_ }

# Header, configuration with its subsections, and the beginning of the section "ram", with all blocks
# together SIZE bytes long.
sub head {
    my ($size, @subsections) = @_;
    return pack('a4 N C N/a', 'QEVM', 3, 7, 'pc-9.9') . join('', @subsections)
        . pack('C N C/a N N Q>', 1, 1, 'ram', 0, 4, $size | 4);
}

sub subsection { return "\5" . name($_[0]) . pack('N', 1) . $_[1] }
sub block { return name($_[0]) . pack('Q>', $_[1]) }

my $large_pages = subsection('configuration/target-page-bits', pack 'N', 16);
my $mark = pack 'Q>', 0x10;
my $end  = $mark . pack('C N C', 0x7e, 1, 0);

# The records of COUNT pages, each made by the function, which is given its offset.
sub pages {
    my ($make) = @_;
    return join '', map { $make->($_ * PAGE) } 0 .. $count - 1;
}

# A record's head: flag and offset, in the block "r".
sub record {
    my ($offset, $flag) = @_;
    return $offset ? pack('Q>', $offset | $flag | 0x20) : pack('Q> C/a', $flag, 'r');
}

# A page with a guest's mailboxes, and one with its parameters.
sub guest {
    my ($start, $end, $page_size, $cpus) = @_;
    my $mailbox = pack 'N N Q> Q> x40', 0x47444d42, 1, 0, $start;
    my $parameters = pack 'N N Q> Q> N N N N Q>', 0x47445754, 2, $start, $end, $page_size, 8,
        ($cpus - 1) << 8, 0, 0;
    return map { $_ . "\0" x (PAGE - length) } $mailbox x $cpus, $parameters;
}

my %kinds = (
    'huge-block' => sub {
        my $size = (1 << 56) - PAGE;
        return head($size) . block('r', $size) . $end;
    },
    xbzrle => sub {
        return head($count * PAGE, $large_pages) . block('r', $count * PAGE)
            . pages(sub { record($_[0], 2) . "\0" })
            . pages(sub { record($_[0], 0x40) . pack('C n C C a', 1, 3, 5, 1, 'x') }) . $end;
    },
    zero => sub {
        return head($count * PAGE, $large_pages) . block('r', $count * PAGE)
            . pages(sub { record($_[0], 2) . "\0" }) . $end;
    },
    compressed => sub {
        my $page = compress("\0" x (PAGE - 1) . 'x');
        return head($count * PAGE, $large_pages) . block('r', $count * PAGE)
            . pages(sub { record($_[0], 0x100) . pack('N/a', $page) }) . $end;
    },
    names => sub {
        my @names = map {"block$_"} 1 .. $count;
        return head($count * 4096) . join('', map { block($_, 4096) } @names)
            . pack('Q> C/a C', 2, $names[-1], 0) x ($count * 64) . $end;
    },
    cpus => sub {
        my ($start, $size) = (WINDOW, $count * 64 * PAGE);
        my ($mailbox, $parameters) = guest($start, $start + $size, PAGE, 64);
        return head($start + $size, $large_pages) . block('r', $start + $size)
            . record(0, 2) . "\0" . record(MAILBOX, 8) . $mailbox
            . record(2 * MAILBOX, 8) . $parameters
            . join('', map { record($start + $_ * PAGE, 2) . "\0" } 0 .. $count * 64 - 1) . $end;
    },
);
my $make = $kinds{$kind} or die "bomb.pl: there are @{[sort keys %kinds]}\n";
print $make->();
