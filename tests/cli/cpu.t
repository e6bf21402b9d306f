#!/usr/bin/env perl
# CPU models of the binary under the guest: which are chosen, what is judged, and what is skipped.
#
# SPDX-License-Identifier: MIT
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Cli;
use Test::More;

plan skip_all => 'no qemu-system-x86_64' unless $qemu;

# The run, and its results by scenario.
sub results_of { return results_by_scenario('--accel', 'tcg', @_) }

my @on = ('--arch', 'x86_64', '--qemu', $qemu);
my ($run, $results) = results_of(@on, 'cpu/qemu64*', 'cpu/486', 'cpu/no-such');
is($run->{status}, 0, 'models: exit status');
my %status = map { $_ => $results->{$_}{status} } keys %$results;
is($status{'cpu/486'}, 'pass', 'a model');
is_deeply([grep { m{^cpu/qemu64} && $status{$_} ne 'pass' } keys %status], [], 'a glob asks the binary');
ok(scalar(grep {m{^cpu/qemu64}} keys %status), 'and finds something');
cmp_ok($results->{'cpu/486'}{measurements}{state_fields}, '>', 1000, 'the state is compared');
ok(scalar(grep { $_->{name} eq 'page-order' } @{$results->{'cpu/486'}{oracles}}), 'the guest is judged');
is($status{'cpu/no-such'}, 'skip', 'a model that does not exist');
like($results->{'cpu/no-such'}{message}, qr/^needs more to start no-such: .*no-such/, "QEMU's own reason");
my $results_486 = $results->{'cpu/486'};
ok_clean($run, 'nothing is left behind');

# A destination whose clock does not stand still, so that it saves another time than it has loaded.
my $clock = qemu_but('*-incoming*', qq{exec "$qemu" "\$@" -rtc base=2001-02-03,clock=host});
($run, $results) = results_of('--arch', 'x86_64', '--qemu', $clock, 'cpu/486');
is($run->{status}, 1, 'a state that does not survive: exit status');
like($results->{'cpu/486'}{message}, qr/^the destination has another state than the source: mc146818rtc 0: /,
    'it is named');

# The guest itself compares the identification of its CPU. A destination with one more or one less
# feature is found and named; QEMU takes the stream of all of these.
ok(scalar(grep { $_->{name} eq 'identity' && $_->{registers} > 5 } @{$results_486->{oracles}}),
    'the identification of the CPU is judged');
for (
    ['x86_64', 'order', 'qemu64', 'qemu64,+ssse3', qr/CPUID 0x1\.0 ECX: 0x\w{8} -> 0x\w{8}$/m],
    ['x86_64', 'stamp', 'qemu64,+popcnt', 'qemu64', qr/CPUID 0x1\.0 ECX: 0x\w{8} -> 0x\w{8}$/m],
    ['x86_64', 'order', 'qemu64', 'qemu64,model-id=another',
        qr/CPUID 0x80000002\.0 EAX: 0x\w{8} -> 0x\w{8}, .*/m],
    ['riscv64', 'order', 'rv64', 'rv64,zba=off', qr/Zba: 0x1 -> 0x0$/m],
    ['s390x', 'stamp', 'qemu', 'qemu,msa5=off', qr/STFLE doubleword 0: 0x\w+ -> 0x\w+/],
) {
    my ($arch, $workload, $source, $destination, $difference) = @$_;
    SKIP: {
        skip "no qemu-system-$arch", 4 if system("command -v qemu-system-$arch >/dev/null");
        my $name = "$arch, $workload, $source to $destination";
        my @migrate = (qw(migrate --accel tcg --stopped --arch), $arch, '--workload', $workload);
        my @cpus = ('--src-args', "-cpu $source", '--dst-args', "-cpu $destination");
        my $other = run([@migrate, @cpus]);
        is($other->{status}, 1, "$name: exit status");
        like($other->{out}, qr/destination: the CPU identifies itself .* the source: $difference/,
            "$name: it is named");
        is(run([@migrate, '--oracle', 'twin', @cpus])->{status}, 0, "$name: without the oracle");
        is(run([@migrate, '--', '-cpu', $source])->{status}, 0, "$name: without a change");
    }
}

# A QEMU that crashes with the model.
my $crash = qemu_but('*"-cpu 486"*', 'kill -SEGV $$');
($run, $results) = results_of('--arch', 'x86_64', '--qemu', $crash, 'cpu/486');
is($run->{status}, 1, 'a crash at the start: exit status');
is($results->{'cpu/486'}{kind}, 'crash', 'it is a crash');

# A 32-bit model of a 64-bit target.
SKIP: {
    skip 'no qemu-system-aarch64', 2 if system('command -v qemu-system-aarch64 >/dev/null');
    ($run, $results) = results_of('--arch', 'aarch64', '--allow-all-skipped', 'cpu/cortex-a15');
    is($run->{status}, 0, 'a 32-bit model: exit status');
    like($results->{'cpu/cortex-a15'}{message},
        qr/^needs a CPU that runs Godwit's guest: cortex-a15 has no register /, 'its reason');
}

like(run(['list'])->{out}, qr{^cpu/NAME +a CPU model of the binary}m, 'list: the prototype');

done_testing;
