#!/usr/bin/env perl
# The guest in a machine of the user's own: further arguments of QEMU reach both sides, or one, of
# every scenario, and the line that runs it again.
#
# SPDX-License-Identifier: MIT
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Cli;
use JSON::PP ();
use Test::More;

plan skip_all => 'no qemu-system-x86_64' unless $qemu;
my @real = ('--accel', 'tcg', '--qemu', $qemu);

sub results {
    my ($run) = @_;
    my $report = eval { JSON::PP->new->utf8->decode($run->{out}) } || {};
    return @{$report->{results} || []};
}

# Both sides have the device, the CPUs and the memory, and the state compare sees them.
my @both = run(['run', 'state/machine', 'precopy/unix/plain', '-w', 'order', '--keep', '-f', 'json', @real,
    '--', '-device', 'virtio-rng-pci', '-smbios', 'type=1,product=my machine', '-smp', 2, '-m', '128M']);
is($both[0]{status}, 0, 'both sides: exit status') or diag($both[0]{err}, $both[0]{out});
my @of = results($both[0]);
is(scalar @of, 2, 'both sides: two results');
for my $result (@of) {
    my $name = $result->{scenario};
    for my $vm (@{$result->{vms}}) {
        like($vm->{command}, qr/ -device virtio-rng-pci -smbios 'type=1,product=my machine' -smp 2 -m 128M /, "$name: the $vm->{name} has them");
        unlike($vm->{command}, qr/ -smp .* -smp /, "$name: the $vm->{name} has no other -smp");
    }
    like($result->{again}, qr/ --memory 128 .*-- -device virtio-rng-pci -smbios 'type=1,product=my machine' -smp 2 -m 128M\z/, "$name: once more");
}
ok_clean($both[0], 'both sides: nothing is left behind');

# The line that runs it again is taken again.
my ($again) = map { $_->{again} } grep { $_->{scenario} eq 'state/machine' } @of;
my $repeated = run([], command => ['sh', '-c', $again =~ s/^\S+/'$godwit'/r]);
is($repeated->{status}, 0, 'once more: exit status') or diag($again, $repeated->{err});

# One side: QEMU notices, and the reason is its own.
my $one = run(['run', 'precopy/unix/plain', '-w', 'order', '-f', 'json', @real, '--src-args', '-device virtio-rng-pci']);
my ($failed) = results($one);
is($one->{status}, 1, 'one side: exit status');
is($failed->{status}, 'fail', 'one side: it fails');
like($failed->{again}, qr/ --src-args '-device virtio-rng-pci'\z/, 'one side: once more');

# A scenario that needs more CPUs than the machine has is skipped. Disks are not written.
my $disk = script_file('disk', 'x' x 65536);
my $few = run(['run', 'smp/4', 'guest/defaults', '-w', 'order', @real, '--', '-smp', 2, '-drive',
    "if=none,id=d,format=raw,file=$disk", '-device', 'virtio-blk-pci,drive=d']);
is($few->{status}, 0, 'fewer CPUs: exit status') or diag($few->{err}, $few->{out});
like($few->{out}, qr/^skip .* smp\/4 .*needs 4 CPUs: the machine has 2 by -smp$/m, 'fewer CPUs: the reason');

# A command line as libvirt logs it: the machine around Godwit's guest, and with what it boots, which is
# firmware here. Its disk stays as it is.
my $before = slurp($disk);
my $line = script_file('command', <<"END");
LC_ALL=C \\
HOME=/var/lib/libvirt/qemu/domain-1-x \\
$qemu \\
-name guest=x,debug-threads=on -S \\
-object '{"qom-type":"secret","id":"masterKey0","format":"raw","file":"/nonexistent/master-key.aes"}' \\
-machine q35,usb=off,dump-guest-core=off -accel tcg -m 160 -nodefaults \\
-chardev socket,id=charmonitor,fd=28,server=on,wait=off -mon chardev=charmonitor,id=monitor,mode=control \\
-blockdev '{"driver":"file","filename":"$disk","node-name":"storage","auto-read-only":true}' \\
-blockdev '{"node-name":"format","read-only":false,"driver":"raw","file":"storage"}' \\
-device '{"driver":"virtio-blk-pci","drive":"format","id":"virtio-disk0"}' \\
-chardev pty,id=charserial0 -device '{"driver":"isa-serial","chardev":"charserial0","id":"serial0","index":0}' \\
-vnc 127.0.0.1:0 -sandbox on,spawn=deny
END
# SeaBIOS switches the disk's write cache off at some time, which QEMU loses.
my $cache = 'device-virtio-blk-cache';
for my $guest (qw(godwit theirs)) {
    my $run = run(['migrate', '--command', $line, '--guest', $guest, '--keep', '-f', 'json', '--accept-known', $cache]);
    my ($result) = results($run);
    is($run->{status}, 0, "--guest $guest: exit status") or diag($run->{err}, $run->{out});
    like($result->{again}, qr/ --command \Q$line\E --guest $guest\z/, "--guest $guest: once more");
    cmp_ok($result->{measurements}{state_fields} // 0, '>', 1000, "--guest $guest: its state is compared")
        if $guest eq 'theirs';
    like($result->{vms}[0]{command}, qr/"driver":"virtio-blk-pci"/, "--guest $guest: its disk is there");
    ok_clean($run, "--guest $guest: nothing is left behind");
}
is(slurp($disk), $before, 'the disk is unchanged');

{
    my $more = run(['migrate', '--command', $line, '-f', 'json', '--', '-device', 'virtio-rng-pci']);
    my ($result) = results($more);
    is($more->{status}, 0, '--command and --: exit status') or diag($more->{err}, $more->{out});
    like($result->{again}, qr/ --guest godwit -- -device virtio-rng-pci\z/, '--command and --: once more');
}

# Once SeaBIOS has looked for a system on the disk, its write cache is off: a known bug, and nothing
# else has changed. A register that differs for another reason is none.
(my $firmware = slurp($line)) =~ s/-machine q35,/-machine q35,graphics=off,/;
my $booted = script_file('booted', $firmware);
my @port = ('--accept-known', $cache, map { ("--$_->[0]-args", "-chardev null,id=debug "
    . "-device isa-debugcon,chardev=debug,iobase=0x405,readback=$_->[1]") } ['src', 233], ['dst', 7]);
my @booted = run_all(2, map { [['migrate', '--command', $booted, '--guest', 'theirs', '--after', 'No bootable',
    '-f', 'json', @$_]] } [], ['--accept-known', $cache], \@port);
for my $expected ([1, 'fail'], [0, 'known'], [1, 'fail']) {
    my $run = shift @booted;
    my ($result) = results($run);
    is($run->{status}, $expected->[0], 'after the firmware: exit status') or diag($run->{err}, $run->{out});
    is($result->{status}, $expected->[1], 'after the firmware: status');
}

# From standard input, and a guest whose console shows nothing: that is a failure in time.
my $quiet = run([], command => ['sh', '-c', 'cat "$0" | "$@"', $line, $godwit, 'migrate', '--command', '-',
    '--guest', 'theirs', '--after', 'no such text', '--timeout-scale', '0.1']);
is($quiet->{status}, 1, '--after: exit status if it does not come');
like($quiet->{out}, qr/waiting for "no such text" on the source's console/, '--after: what did not come');
ok_clean($quiet, '--after: nothing is left behind');

done_testing();
