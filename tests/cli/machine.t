#!/usr/bin/env perl
# Machine types of the binary without a guest: which are chosen, what is compared, what is skipped.
#
# SPDX-License-Identifier: MIT
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Cli;
use Test::More;

plan skip_all => 'no qemu-system-x86_64' unless $qemu;

my @on = ('--arch', 'x86_64', '--accel', 'tcg');

# The run, and its results by scenario.
sub results_of {
    my @which = grep({ $_ eq '--qemu' } @_) ? () : ('--qemu', $qemu);
    return results_by_scenario(@on, @which, @_);
}

# A QEMU that runs the shell commands END before $qemu, if it is a destination.
sub destination_that {
    my ($end) = @_;
    return qemu_but('*-incoming*', $end);
}

my ($run, $results) = results_of('machine/isapc', 'machine/microvm', 'machine/x-re?ote', 'machine/no-such');
is($run->{status}, 0, 'boards: exit status');
is($results->{'machine/isapc'}{status},   'pass', 'isapc');
is($results->{'machine/microvm'}{status}, 'pass', 'microvm');
cmp_ok($results->{'machine/isapc'}{measurements}{state_fields}, '>', 100, 'the state is compared');
cmp_ok($results->{'machine/isapc'}{measurements}{registers}, '>', 50, 'and so are the registers');
my ($twin) = grep { $_->{name} eq 'twin' } @{$results->{'machine/isapc'}{oracles}};
cmp_ok($twin->{bytes}, '>', 1 << 20, 'RAM is compared');
is($results->{'machine/x-remote'}{status}, 'pass', 'a glob asks the binary');
is($results->{'machine/no-such'}{status},  'skip', 'a machine that does not exist');
like($results->{'machine/no-such'}{message}, qr/^needs the machine no-such: QEMU \S+ has none$/, 'its reason');
ok_clean($run, 'nothing is left behind');

# A destination whose clock does not stand still, so that it saves another time than it has loaded.
($run, $results) = results_of('machine/isapc', '--qemu',
    destination_that(qq{exec "$qemu" "\$@" -rtc base=2001-02-03,clock=host}));
is($run->{status}, 1, 'a state that does not survive: exit status');
like($results->{'machine/isapc'}{message},
    qr/^the destination has another state than the source: mc146818rtc 0: \S+ /, 'it is named');

# A register of the destination that reads differently, although the streams are equal.
($run, $results) = results_of('machine/microvm', '--qemu',
    destination_that(qq{exec "$qemu" "\$@" -global fw_cfg_io.dma_enabled=off}));
is($run->{status}, 1, 'a register that does not survive: exit status');
like($results->{'machine/microvm'}{message}, qr/the destination has another state than the source: fw_cfg/, 'it is named');

# A crash and a refusal to start are not the same.
($run, $results) = results_of('machine/isapc', '--qemu', destination_that('kill -ABRT $$'));
is($run->{status}, 1, 'a crash at the start: exit status');
is($results->{'machine/isapc'}{kind}, 'crash', 'it is a crash');
my ($report) = grep { m{/report\.txt$} } @{$run->{bundles}};
like(slurp($report), qr/^x86_64, machine isapc, accelerator tcg, no guest; /m, 'the report names the machine');
($run, $results) = results_of('machine/isapc', '--allow-all-skipped', '--qemu',
    destination_that('echo "no firmware" >&2; exit 1'));
is($run->{status}, 0, 'a refusal to start: exit status');
is($results->{'machine/isapc'}{message}, 'needs more to start isapc: no firmware', "QEMU's own reason");

# A machine that does not let itself be migrated.
my $blocked = script_file('qemu-system-x86_64', <<"END");
#!/bin/sh
case "\$*" in
*"-machine none"*) exec "$qemu" "\$@" ;;
*) exec "$qemu" "\$@" -audiodev none,id=sound -usb -device usb-audio,audiodev=sound ;;
esac
END
($run, $results) = results_of('machine/pc', '--allow-all-skipped', '--qemu', $blocked);
is($run->{status}, 0, 'a machine that does not migrate: exit status');
like($results->{'machine/pc'}{message}, qr/^needs a machine that migrates: .*usb-audio/, 'its reason');

like(run(['list'])->{out}, qr{^machine/NAME +a machine type of the binary}m, 'list: the prototype');

done_testing;
