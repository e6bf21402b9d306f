#!/usr/bin/env perl
# Devices of the binary beside the guest: which are chosen, what is migrated, and what is skipped.
#
# SPDX-License-Identifier: MIT
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Cli;
use File::Basename qw(dirname);
use Test::More;

plan skip_all => 'no qemu-system-x86_64' unless $qemu;

my @on = ('--arch', 'x86_64', '--accel', 'tcg');

# The run, and its results by scenario.
sub results_of {
    my @which = grep({ $_ eq '--qemu' } @_) ? () : ('--qemu', $qemu);
    return results_by_scenario(@on, @which, @_);
}

my ($run, $results) = results_of(map {"device/$_"} qw(e1000 usb-tablet virtio-rng-pci));
is($run->{status}, 0, 'three devices: exit status');
is_deeply([map { "$_ $results->{$_}{status}" } sort keys %$results],
    ['device/e1000 pass', 'device/usb-tablet pass', 'device/virtio-rng-pci pass'], 'they survive');
cmp_ok($results->{'device/e1000'}{measurements}{state_fields}, '>', 1000, 'their state is compared');
ok_clean($run, 'nothing is left behind');

# A glob asks the binary.
($run, $results) = results_of('device/*-rng-pci', 'device/usb-t*');
my %names = map { $_ => 1 } keys %$results;
ok($names{"device/$_"}, "a glob: $_") for qw(virtio-rng-pci usb-tablet);
is_deeply([grep { !/-rng-pci$|usb-t/ } keys %names], [], 'a glob: nothing else');

# Several in one machine.
($run, $results) = results_of('prelaunch/e1000+usb-tablet+e1000', 'prelaunch/e1000+pc-dimm', 'hotplug/e1000+e1000');
is_deeply([map { "$_ $results->{$_}{status}" } sort keys %$results],
    ['hotplug/e1000+e1000 skip', 'prelaunch/e1000+pc-dimm skip', 'prelaunch/e1000+usb-tablet+e1000 pass'],
    'several devices in one machine');
like($results->{'prelaunch/e1000+pc-dimm'}{message}, qr/memory, of its own/, 'one that does not fit: the reason');
like($results->{'hotplug/e1000+e1000'}{message}, qr/names several/, 'one that is for a single device: the reason');
cmp_ok($results->{'prelaunch/e1000+usb-tablet+e1000'}{measurements}{state_fields}, '>', 1000, 'their state is compared');

# What cannot be tried is skipped for a reason.
($run, $results) = results_of('device/no-such', 'device/virtio-input-host-pci', 'device/usb-audio',
    '--allow-all-skipped');
is($run->{status}, 0, 'skips: exit status');
is($results->{"device/$_"}{status}, 'skip', "$_ is skipped")
    for qw(no-such virtio-input-host-pci usb-audio);
like($results->{'device/no-such'}{message}, qr/^needs the device no-such: QEMU \S+ has none$/,
    'a device that does not exist');
like($results->{'device/virtio-input-host-pci'}{message}, qr/evdev property is required/,
    "a device that needs hardware: QEMU's own reason");
like($results->{'device/usb-audio'}{message}, qr/^needs a device that migrates: .*usb-audio/,
    'a device that does not migrate');

# A TPM is a process of its own, one for each QEMU.
SKIP: {
    skip 'no swtpm', 5 unless grep { -x "$_/swtpm" } split /:/, $ENV{PATH};
    ($run, $results) = results_of('prelaunch/tpm-tis');
    is($results->{'prelaunch/tpm-tis'}{status}, 'pass', 'a TPM survives');
    ok_clean($run, 'its process and its folder are gone');
    my $other = qemu_but('*"-name destination"*tpm-tis*',
        qq{exec "$qemu" \$(printf '%s ' "\$@" | sed s/tpm-tis,/tpm-crb,/)}, 'qemu-system-x86_64');
    ($run, $results) = results_of('device/tpm-tis', '--qemu', $other);
    my ($source) = grep { $_->{name} eq 'source' } @{$results->{'device/tpm-tis'}{vms}};
    like("$source->{tpm}; $source->{command}",
        qr/^mkdir -p (\S+) && swtpm .*path=(\S+) --tpmstate dir=\1; .*path=\2 /,
        'after a failure it can be started by hand');
    for my $case (['none', qr/^needs swtpm, which emulates a TPM: install the package swtpm$/],
        ['broken', qr/^needs more to plug tpm-tis: .*tpm-emulator: /])
    {
        my ($name, $message) = @$case;
        my $folder = dirname(script_file('path', ''));
        script_file('swtpm', "exit 1\n") if $name eq 'broken';
        local $ENV{PATH} = $folder;
        ($run, $results) = results_of('prelaunch/tpm-tis', '--allow-all-skipped');
        like($results->{'prelaunch/tpm-tis'}{message}, $message, "swtpm: $name");
    }
}

# Another machine of the binary, one that never runs, a machine that runs already, several at once.
($run, $results) = results_of('device/virtio-rng-device', 'prelaunch/e1000', 'hotplug/usb-tablet', 'hotplug/e1000',
    'hotplug/isa-serial', 'devices/common');
is($run->{status}, 0, 'variants: exit status');
is_deeply([map { "$_ $results->{$_}{status}" } sort keys %$results],
    ['device/virtio-rng-device pass', 'devices/common pass', 'hotplug/e1000 pass', 'hotplug/isa-serial skip',
        'hotplug/usb-tablet pass', 'prelaunch/e1000 pass'], 'they survive');
is($results->{'device/virtio-rng-device'}{measurements}{board}, 'microvm', 'the machine that has the bus');
like($results->{'hotplug/isa-serial'}{message},
    qr/^needs a device for a running machine: .*'isa\.0' does not support hotplugging/, "QEMU's own reason");
my @common = @{$results->{'devices/common'}{measurements}{devices} || []};
cmp_ok(@common, '>=', 12, 'common devices');
ok(scalar(grep { /^virtio-net-pci,/ } @common), 'common devices: a network');

# A device that comes and goes, one that only its guest could give back, and QEMU's own network.
($run, $results) = results_of('unplug/usb-tablet', 'unplug/e1000', 'unplug/pc-dimm', 'netdev/user/removed');
is_deeply([map { "$_ $results->{$_}{status}" } sort keys %$results],
    ['netdev/user/removed pass', 'unplug/e1000 pass', 'unplug/pc-dimm skip', 'unplug/usb-tablet pass'], 'nothing is left of them');
like($results->{'unplug/pc-dimm'}{message}, qr/^needs a device that can be unplugged: /, 'what is still there');

# A CPU for the running guest, and a destination that has another device in its place.
($run, $results) = results_of('smp/hotplug');
is($results->{'smp/hotplug'}{status}, 'pass', 'a CPU that is plugged survives');
my $other = qemu_but('*-incoming*', <<"END");
    for word; do
        case \$word in *-cpu,id=subject,*) word=virtio-rng-pci ;; esac
        shift
        set -- "\$@" "\$word"
    done
    exec "$qemu" "\$@"
END
($run, $results) = results_of('smp/hotplug', '--qemu', $other);
is($run->{status}, 1, 'a destination without the CPU: exit status');
like($results->{'smp/hotplug'}{message}, qr/destination/, 'it is said of the destination');

# A destination whose clock does not stand still, so that it saves another time than it has loaded.
my $clock = qemu_but('*-incoming*', qq{exec "$qemu" "\$@" -rtc base=2001-02-03,clock=host});
($run, $results) = results_of('device/usb-tablet', '--qemu', $clock);
is($run->{status}, 1, 'a state that does not survive: exit status');
my $wrong = $results->{'device/usb-tablet'};
like($wrong->{message}, qr/^the destination has another state than the source: mc146818rtc 0: \S+ /,
    'it is named');
is_deeply([grep { !/^mc146818rtc / } @{$wrong->{measurements}{state_differences}}], [],
    'and nothing else');

# The list says that there are such scenarios, and no name in it is one that runs.
like(run(['list'])->{out}, qr{^device/NAME +a device of the binary}m, 'list: the prototype');
my $refused = run(['run', 'device/', @on]);
is($refused->{status}, 2, 'no name: exit status');
like($refused->{err}, qr{no scenario matches "device/"}, 'no name');
my $none = run(['run', 'device/no-such-*', @on]);
is($none->{status}, 2, 'a glob that matches nothing: exit status');
like($none->{err}, qr/nothing was run|nothing ran|no .*matches/, 'a glob that matches nothing');

# Pokes. A property of virtio-pci makes QEMU leave out the state of a modern device, as old versions did:
# one write is enough to show that.
($run, $results) = results_of('poke/virtio-rng-pci', '--seed', '1');
is($run->{status}, 0, 'a poked device: exit status');
cmp_ok($results->{'poke/virtio-rng-pci'}{measurements}{poked}, '>', 500, 'how often it is poked');
($run, $results) =
    results_of('poke/virtio-rng-pci', '--seed', '1', '--', '-global', 'virtio-pci.migrate-extra=off');
is($run->{status}, 1, 'a poked device that loses state: exit status');
my $poked = $results->{'poke/virtio-rng-pci'};
like($poked->{message}, qr/^after (?:write|out)[bwl] 0x[0-9a-f]+ 0x[0-9a-f]+ \(virtio-pci.*: the destination has another state than the source: virtio-rng-pci, virtio-pci/,
    'the pokes that show it, and the register');
cmp_ok(scalar @{$poked->{measurements}{pokes}}, '<=', 3, 'few pokes are left');

# Away, home, and away again after a reset. A QEMU of another clock at each place in turn.
sub clock_of {
    my ($name) = @_;
    return qemu_but(qq{*"-name $name"*}, qq{exec "$qemu" "\$@" -rtc base=2001-02-03,clock=host});
}

($run, $results) = results_of('roundtrip/e1000', 'roundtrip/usb-audio');
is($run->{status}, 0, 'a round trip: exit status');
is($results->{'roundtrip/e1000'}{status}, 'pass', 'it survives');
cmp_ok($results->{'roundtrip/e1000'}{measurements}{$_}, '>', 1000, "a round trip: $_") for qw(state_fields registers);
like($results->{'roundtrip/usb-audio'}{message}, qr/^needs a device that migrates: /, 'one that does not migrate');
ok_clean($run, 'a round trip leaves nothing behind');
for my $case (['destination', qr/^on the way there: the destination has another state/], ['return', qr/^on the way back: the destination has another/],
    ['reset-destination', qr/^after a reset: the destination has another state/])
{
    my ($name, $message) = @$case;
    ($run, $results) = results_of('roundtrip/e1000', '--qemu', clock_of($name));
    is($run->{status}, 1, "another clock $name: exit status");
    like($results->{'roundtrip/e1000'}{message}, qr/$message.*: mc146818rtc 0: /, 'it is named');
}

done_testing;
