#!/usr/bin/env perl
# godwit run --peer between two hosts, at length: everything that can run there on each architecture, and
# some of it over a slow link. QEMUS names folders of QEMUs (default: those in PATH).
#
# SPDX-License-Identifier: MIT
use strict;
use warnings;
use Cwd qw(abs_path);
use FindBin;
use lib "$FindBin::Bin/../cli/lib";
use Hosts;
my $able;
BEGIN { $able = Hosts::enter() }
use Cli;
use JSON::PP ();
use Test::More;

plan skip_all => 'no qemu-system-x86_64' unless $qemu;
plan skip_all => Hosts::missing($able) if Hosts::missing($able);

my $accepted = '@' . abs_path("$FindBin::Bin/../accepted-bugs");
my $hosts    = Hosts->new($godwit);

# Everything that can run, for each QEMU and architecture.
my @folders = map { abs_path(-d "$_/bin" ? "$_/bin" : $_) } split ' ', $ENV{QEMUS} // '';
my @binaries;
for my $arch (split ' ', qx('$FindBin::Bin/../../mk/arches.sh')) {
    my %seen;
    push @binaries, map { [$arch, $_] } grep { -x && !$seen{abs_path($_)}++ }
        map {"$_/qemu-system-$arch"} @folders ? @folders : split /:/, $ENV{PATH};
}
ok(scalar @binaries, 'there are QEMUs');
for my $binary (@binaries) {
    my ($arch, $path) = @$binary;
    my $run = run(['run', '-a', $arch, '-w', 'order,stamp', qw(--accel tcg -j2 -f json --accept-known), $accepted, '--qemu-src', $path,
        '--qemu-dst', $path, $hosts->peer]);
    my $report = eval { JSON::PP->new->utf8->decode($run->{out}) } // {};
    my %count;
    $count{$_->{status}}++ for @{$report->{results}};
    my $name = "$path: " . join ', ', map {"$count{$_} $_"} sort keys %count;
    is($run->{status}, 0, $name)
        or diag($run->{err}, map {"$_->{scenario}: $_->{message}\n"} grep { $_->{status} =~ /fail|error/ } @{$report->{results}});
    cmp_ok($count{pass} // 0, '>=', 20, "$path: many passed");
    ok_clean($run, "$path: nothing is left on the first host");
    ok(eventually(sub { $hosts->idle }), "$path: nothing is left on the second host");
}

# A slow link. Where the kernel cannot delay packets, a queue does that to whoever fills it.
my @slow = ('netem delay 25ms', 'tbf rate 40mbit burst 32k latency 200ms');
my ($queue) = grep { Hosts::shell("tc qdisc add dev near root $_ 2>/dev/null") } @slow;
diag("a slow link: $queue");
# A small window: ssh, which shares the link, must not fall silent for longer than its limits.
my @here = (qw(-a x86_64 --accel tcg --window 0x100000:0x500000), '--qemu-src', $qemu);
my ($late, $results) = results_by_scenario(qw(precopy/tcp/plain postcopy/recovery/plain multifd/tcp/uri/plain), @here, $hosts->peer);
is($late->{status}, 0, 'a slow link: exit status') or diag($late->{out}, $late->{err});
my $measured = $results->{'precopy/tcp/plain'}{measurements};
cmp_ok($measured->{blackout_resolution_ms}, '<=', $measured->{blackout_ms}, 'a slow link: the blackout has a bound for its error');
diag("blackout $measured->{blackout_ms} ms, at most $measured->{blackout_resolution_ms} ms too long");
if ($queue =~ /netem/) {
    cmp_ok($measured->{blackout_resolution_ms}, '>=', 25, '... which is not below what the link adds');
}
Hosts::shell('tc qdisc del dev near root');
done_testing;
