#!/usr/bin/env perl
# The scenarios memory/rom/* and memory/dimm/unplug* can fail: memory from files that is not the
# source's, blocks of a wrong size, DIMMs that stay, and QEMUs that do not refuse what they must.
#
# SPDX-License-Identifier: MIT
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Cli;
use Test::More;

plan skip_all => 'no qemu-system-x86_64' unless $qemu;

my $number = 0;

# A QEMU whose arguments PROGRAM, Perl code, changes in @a. REST comes after the command.
sub with {
    my ($pattern, $program, $rest) = @_;
    $rest //= '';
    return qemu_but($pattern, qq{exec perl -e 'my \@a = \@ARGV; $program exec \@a' "$qemu" "\$@" $rest},
        'with-' . ++$number);
}
sub edited { my ($edit) = @_; return qemu_edited($edit, $qemu, ++$number) }

# The answer to COMMAND of the VM NAME becomes ANSWER.
sub answer {
    my ($name, $command, $answer) = @_;
    return edited(qq~our \$id; if (\$from eq 'godwit' && \$name eq '$name' && /"$command"/) { (\$id) = /"id":\\s*(\\d+)/ }~
        . qq~ if (defined \$id && \$from eq 'qemu' && /"id": \$id\\b/) { \$_ = qq({$answer, "id": \$id}\\n); undef \$id }~);
}
my $SHRUNK = q{our $over ||= /"status": "completed"/; s/(tables +4 KiB +0x[0-9a-f]+) 0x0000000000040000/$1 0x0000000000020000/ if $over};

my @rows = (
    ['rom/option', with('*here.rom*', 's/=here.rom/=there.rom/ for @a;'),
        qr/source: 0x[0-9a-f]{2} at offset 0x[01] of RAM block \S+rom, expected 0x/],
    ['rom/option', with('*romsize=65536*', 's/romsize=65536/romsize=131072/ for @a;'),
        qr/source: RAM block \S+rom has 131072 bytes, expected 65536/],
    ['rom/option/refused', with('*romsize=131072*', 's/romsize=131072/romsize=65536/ for @a;'),
        qr/the source's migration ended as completed instead of failed/],
    ['rom/option/refused', with('*romsize=131072*', '', '2>/dev/null'),
        qr/the destination's option ROM has another size, and it ended without naming the RAM block/],
    ['rom/tables/larger', with('*acpitable*', 'splice @a, -4 if 3 == grep { $_ eq "-acpitable" } @a;'),
        qr/the tables have 0x20000 bytes on both sides, where one side has some more/],
    ['rom/tables/larger', edited("$SHRUNK && \$name eq 'destination'"),
        qr/twin: RAM block \S+tables has 0x40000 bytes on the source and 0x20000 on the destination/],
    ['rom/tables/larger', edited($SHRUNK),
        qr/the source's tables had 0x40000 bytes; now they have 0x20000 on the source and 0x20000 on the destination/],
    ['dimm/unplug-pending', edited(q{s/"return": \[\]/"return": [{}]/ if $from eq 'qemu' && $name eq 'destination'}),
        qr/destination: query-memory-devices lists a DIMM that was unplugged/],
    ['dimm/unplug-pending', answer('source', 'device_del', '"error": {"class": "GenericError", "desc": "not here"}'),
        qr/needs a machine whose DIMMs are unplugged: .*not here/, 'skip'],
    ['dimm/unplugged', answer('source', 'info mtree', '"return": "nothing"'),
        qr/needs a machine with registers acpi-mem-hotplug/, 'skip'],
    ['dimm/unplugged', edited(q{s/"object-del"/"query-name"/, s/,"arguments":\{"id":"dimm-memory"\}// if /"object-del"/}),
        qr/timed out after .* waiting for the source/, '--timeout-scale', '0.2'],
);
ok_rows('memory/', @rows);

done_testing;
