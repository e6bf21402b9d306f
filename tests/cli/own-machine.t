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

done_testing();
