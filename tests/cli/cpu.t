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
ok_clean($run, 'nothing is left behind');

# A destination whose clock does not stand still, so that it saves another time than it has loaded.
my $clock = script_file('qemu-system-x86_64', <<"END");
#!/bin/sh
case "\$*" in
*-incoming*) exec "$qemu" "\$@" -rtc base=2001-02-03,clock=host ;;
*) exec "$qemu" "\$@" ;;
esac
END
($run, $results) = results_of('--arch', 'x86_64', '--qemu', $clock, 'cpu/486');
is($run->{status}, 1, 'a state that does not survive: exit status');
like($results->{'cpu/486'}{message}, qr/^the destination has another state than the source: mc146818rtc 0: /,
    'it is named');

# A QEMU that crashes with the model.
my $crash = script_file('qemu-system-x86_64', <<"END");
#!/bin/sh
case "\$*" in
*"-cpu 486"*) kill -SEGV \$\$ ;;
*) exec "$qemu" "\$@" ;;
esac
END
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
