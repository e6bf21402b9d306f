#!/usr/bin/env perl
# SPDX-License-Identifier: MIT
#
# Writes what became of the devices of each QEMU between the two marks in a Markdown file: a table
# of counts, and by target the devices that were not migrated, by QEMU's reason.
#
#   device-table.pl FILE REPORT...     reports of `godwit run 'device/*' --format json`; a later one
#                                      replaces what an earlier one has of a device
use strict;
use warnings;
use JSON::PP;
use Text::Wrap qw(wrap);

$Text::Wrap::columns = 103;
my ($file, @reports) = @ARGV;
die "usage: $0 FILE REPORT...\n" unless @reports;
my ($begin, $end) = ('<!-- tables: make device-table -->', '<!-- end of tables -->');

# Devices that need something that only a host has: a process that serves them, hardware, or the
# kernel's help.
my $HOST = qr{^(?:vhost-|vfio-|scsi-(?:block|generic)$|u2f-passthru$|virtio-input-host-|ivshmem-doorbell$
    |virtio-(?:gpu|vga)-gl|virtio-gpu-rutabaga|ccid-card-emulated$|x-pci-proxy-dev$|spapr-tpm-proxy$|iommufd
    |spapr-pci-host-bridge$|xen-|nitro-|virtio-nsm)}x;
my @KINDS = (
    [same  => 'migrated, and equal'],
    [known => 'migrated, and met a known bug of QEMU'],
    [fail  => 'failed'],
    [no    => 'QEMU says that they do not migrate'],
    [host  => 'need a process, hardware or the kernel of the host'],
    [fit   => 'cannot be plugged into a machine here'],
);

my (%counts, %total, %named, %seen_arch, %seen_version, %kinds);
for my $report (@reports) {
    open my $in, '<', $report or die "$report: $!\n";
    my $document = decode_json(do { local $/ = undef; <$in> });
    for my $result (@{$document->{results}}) {
        my ($device) = $result->{scenario} =~ m{^device/(.+)} or next;
        my ($arch, $version) = ($result->{arch}, $result->{source_version} // die "$report: no version\n");
        $seen_arch{$arch} = $seen_version{$version} = 1;
        $kinds{$version}{$arch}{$device} = kind($device, $result);
    }
}
for my $version (keys %kinds) {
    for my $arch (keys %{$kinds{$version}}) {
        for my $device (keys %{$kinds{$version}{$arch}}) {
            my $kind = $kinds{$version}{$arch}{$device};
            $counts{$version}{$arch}{$kind}++;
            $total{$version}{$arch}++;
            $named{$kind}{$device}{$arch} = 1 if $kind =~ /^(?:no|host|fit|fail)$/;
        }
    }
}

sub kind {
    my ($device, $result) = @_;
    return 'same' if $result->{status} eq 'pass';
    return 'known' if $result->{known_bugs} && @{$result->{known_bugs}} || $result->{status} eq 'known';
    return 'fail' if $result->{status} ne 'skip';
    return 'no' if $result->{message} =~ /^needs a device that migrates|stays as it is/;
    return $device =~ $HOST ? 'host' : 'fit';
}

sub by_number {
    return sort { my @a = split /\./, $a; my @b = split /\./, $b; $a[0] <=> $b[0] || $a[1] <=> $b[1] } @_;
}

my @arches = sort keys %seen_arch;
my $tables = '';
for my $version (by_number(keys %seen_version)) {
    $tables .= "| QEMU $version | " . join(' | ', @arches) . " |\n|" . '---|' x (@arches + 1) . "\n";
    $tables .= '| devices that a user can create | ' . join(' | ', map { $total{$version}{$_} // '-' } @arches) . " |\n";
    for my $row (@KINDS) {
        my ($kind, $text) = @$row;
        my @cells = map { $total{$version}{$_} ? $counts{$version}{$_}{$kind} // 0 : '-' } @arches;
        next if $kind eq 'fail' && !grep { /[1-9]/ } @cells;
        $tables .= "| $text | " . join(' | ', @cells) . " |\n";
    }
    my @of = map {
        my $count = $counts{$version}{$_};
        my $can = ($total{$version}{$_} || 0) - ($count->{no} || 0) - ($count->{host} || 0);
        $can > 0 ? sprintf '%d %%', 100 * (($count->{same} || 0) + ($count->{known} || 0)) / $can : '-'
    } @arches;
    $tables .= '| migrated, of those that neither refuse to migrate nor need the host | ' . join(' | ', @of) . " |\n\n";
}
for my $row (@KINDS) {
    my ($kind, $text) = @$row;
    next unless $named{$kind};
    my @list = map {
        my @on = sort keys %{$named{$kind}{$_}};
        "`$_`" . (@on == @arches ? '' : ' (' . join(', ', @on) . ')')
    } sort keys %{$named{$kind}};
    $tables .= wrap('- ', '  ', '**' . ucfirst($text) . '**, with at least one version: ' . join(', ', @list) . ".") . "\n";
}

open my $in, '<', $file or die "$file: $!\n";
my $text = do { local $/ = undef; <$in> };
close $in;
$text =~ s/\Q$begin\E.*?\Q$end\E/$begin\n\n$tables\n$end/s or die "$file: \"$begin\" and \"$end\" are not in it\n";
open my $out, '>', $file or die "$file: $!\n";
print $out $text;
close $out or die "$file: $!\n";
