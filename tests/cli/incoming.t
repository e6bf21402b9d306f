#!/usr/bin/env perl
# The scenarios incoming/*, */no-tls/* and */release-ram can fail: destinations that listen elsewhere,
# sides that are not what they should be, and a source that keeps its memory.
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

my $number = 0;
sub edited { my ($edit) = @_; return qemu_edited($edit, $newest, ++$number) }

# A QEMU whose -incoming PROGRAM, Perl code, changes in $_.
sub listening {
    my ($program) = @_;
    return script_file('listening-' . ++$number,
        qq{exec perl -e 'my \@a = \@ARGV; for (map { \\\$a[\$_] } grep { \$_ && \$a[\$_ - 1] eq "-incoming" } 0 .. \$#a)}
            . qq{ { local *_ = \$_; $program } exec \@a' "$newest" "\$@"\n});
}

my $NO_CREDENTIALS = edited(q{s/"tls-creds": *"tls"/"tls-creds":""/});
my $JSON = grep { /11\./ } $newest;
my @rows = (
    ['incoming/uri/unix', listening('s/unix:.*/defer/;'), qr/Failed to connect|No such file/],
    ['incoming/uri/tcp', listening('s/^tcp:.*/defer/;'), qr/listens on TCP, but its query-migrate names no port/],
    ['precopy/unix/tls/no-tls/destination', $NO_CREDENTIALS, qr/migration ended as completed instead of failed/],
    ['precopy/tcp/tls/no-tls/source', $NO_CREDENTIALS, qr/migration ended as completed instead of failed/],
    ['postcopy/release-ram', edited(q{s/"release-ram"/"return-path"/ if $from eq 'godwit'}),
        qr/source still has \d+ of the \d+ pages of the window, although release-ram is on/],
);
push @rows, ['incoming/json/inet', listening('s/"inet"/"unix"/, s/"host": ?"127.0.0.1", ?"port": ?"0"/"path":"x"/;'),
    qr/listens on TCP, but its query-migrate names no port/] if $JSON;
ok_rows('', @rows);

done_testing;
