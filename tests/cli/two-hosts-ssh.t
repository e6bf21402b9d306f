#!/usr/bin/env perl
# godwit run --peer between two hosts, with a real sshd in the second. The link is cut, and the second
# host dies, in a postcopy; `make check-hosts` does this, and more, in each state of a migration.
#
# SPDX-License-Identifier: MIT
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Hosts;
my $able;
BEGIN { $able = Hosts::enter() }
use Cli;
use Test::More;

plan skip_all => 'no qemu-system-x86_64' unless $qemu;
plan skip_all => Hosts::missing($able) if Hosts::missing($able);

my $hosts = Hosts->new($godwit);
my @here  = (qw(-a x86_64 --accel tcg --qemu), $qemu);
my @peer  = (@here, $hosts->peer);
my @names = qw(precopy/tcp/plain multifd/tcp/uri/plain precopy/tcp/tls/psk/match postcopy/recovery/plain smp/2);
my ($run, $results) = results_by_scenario(@names, @peer);
is($run->{status}, 0, 'exit status') or diag($run->{out}, $run->{err});
like($results->{$_}{status}, qr/^(?:pass|known)$/, $_) or diag($results->{$_}{message}) for @names;
ok_clean($run, 'nothing is left on the first host');
ok(eventually(sub { $hosts->idle }), 'nothing is left on the second host');

# Who has no key gets nothing; who has Godwit's key gets Godwit alone.
my $stranger = run(['run', 'precopy/tcp/plain', @here, $hosts->peer('stranger')]);
is($stranger->{status}, 2, 'a stranger: exit status');
like($stranger->{err}, qr/Permission denied/, 'a stranger: the message');
is($hosts->left, '', 'a stranger: nothing was started');
my $shell = $hosts->ssh('client') . " 'touch /run/tmp/visited' </dev/null";
like(qx($shell 2>&1), qr/the client is gone/, "Godwit's key starts Godwit");
ok(eventually(sub { $hosts->idle }), '... and no other command');

my $transport = "perl '$FindBin::Bin/lib/transport.pl'";
sub meanwhile {
    my ($call) = @_;
    my ($option, $command, @rest) = $hosts->peer;
    return run(['run', 'postcopy/plain', @here, '--timeout-scale', 0.3, $option,
        "$transport 'call:$call' '<\"status\": \"postcopy-active\"' $command", @rest]);
}

# The link is cut in postcopy, so that nothing comes any more, not even an end of the connection.
my $cut = meanwhile('ip link set near down');
is($cut->{status}, 1, 'the link is cut: exit status') or diag($cut->{out}, $cut->{err});
ok_clean($cut, 'the link is cut: nothing is left on the first host');
ok(eventually(sub { $hosts->log =~ /Timeout, client not responding/ }), 'the link is cut: sshd notices');
ok($hosts->mend && eventually(sub { $hosts->idle }), 'the link is cut: nothing is left on the second host');

my $dies = meanwhile("kill -9 $hosts->{inside}");
is($dies->{status}, 1, 'the second host dies: exit status') or diag($dies->{out}, $dies->{err});
ok_clean($dies, 'the second host dies: nothing is left on the first host');
done_testing;
