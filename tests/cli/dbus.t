#!/usr/bin/env perl
# The scenarios dbus-vmstate/* can fail: QEMUs that ask too few helpers, or those of the other side, and
# migrations that do not fail.
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

# A QEMU whose -object dbus-vmstate is changed by EDIT, Perl code.
sub with {
    my ($edit) = @_;
    return script_file('with-' . ++$number,
        qq{exec perl -e 'my \@a = \@ARGV; for (grep { /^dbus-vmstate,/ } \@a) { $edit } exec \@a' "$newest" "\$@"\n});
}

ok_rows('dbus-vmstate/',
    ['precopy', with('s/,,third//;'),
        qr/source's helper "third" was asked 0 times to save and 0 times to load, expected 1 and 0/],
    ['precopy', with('s/,id-list=.*//;'), qr/source's helper "unlisted" was asked 1 times to save .* expected 0 and 0/],
    ['precopy', with('s/destination.bus/source.bus/;'),
        qr/source's helper "first" was asked 1 times to save and 1 times to load, expected 1 and 0/],
    ['missing', with('s/id-list=first,,second/id-list=second/;'), qr/ended as completed instead of failed/],
    ['too-large', with('s/id-list=first,,second/id-list=second/;'), qr/ended as completed instead of failed/]);

# A QEMU without GIO has the object in its schema, and nowhere else.
my $lacks = qemu_edited(q{s/Parameter 'addr' is missing|failed to connect to DBus[^"]*/invalid object type: dbus-vmstate/ if $from eq 'qemu';},
    $newest, 'lacks');
my (undef, $results) = results_by_scenario('--arch', 'x86_64', '--accel', 'tcg', '-w', 'order', '--qemu', $lacks,
    '--allow-all-skipped', 'dbus-vmstate/precopy');
like($results->{'dbus-vmstate/precopy'}{message}, qr/^needs object dbus-vmstate: not in QEMU /, 'built without GIO: skipped');

done_testing;
