#!/usr/bin/env perl
# godwit run --peer: destinations on another host, which is this one behind a transport; with root's
# rights also one in a network namespace of its own, with its own processes, behind a real sshd. And
# transports that die, are cut or fall silent in the middle.
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

my @options   = qw(-a x86_64 --accel tcg);
my $serve     = "'$godwit' serve --stdio";
my $transport = "$FindBin::Bin/lib/transport.pl";
sub peer { my ($command) = @_; return (@options, '--peer', $command, '--peer-address', '127.0.0.1') }

my ($run, $results) = results_by_scenario(qw(precopy/tcp/plain precopy/unix/plain postcopy/recovery/plain
    multifd/tcp/tls/x509/default-host), '--qemu', $qemu, peer($serve));
is($run->{status}, 0, 'exit status') or diag($run->{out}, $run->{err});
like($results->{$_}{status}, qr/^(?:pass|known)$/, $_)
    for qw(precopy/tcp/plain postcopy/recovery/plain multifd/tcp/tls/x509/default-host);
is($results->{'precopy/unix/plain'}{message}, 'needs both QEMUs on one host', 'a unix socket');
like($results->{'precopy/tcp/plain'}{again},
    qr{ --qemu-src \S+ --qemu-dst qemu-system-x86_64 --peer '.* serve --stdio' --peer-address 127\.0\.0\.1 },
    'how to run it again');
ok_clean($run, 'nothing is left');

# What arrives on the other host is judged: a bit is flipped on the way.
my $flipped = run(['migrate', '--transport', 'tcp', '--fault', 'flip-bit', '--seed', 1, peer($serve)]);
is($flipped->{status}, 1, 'a flipped bit: exit status') or diag($flipped->{out}, $flipped->{err});
like($flipped->{out}, qr/^FAIL/m, 'a flipped bit is found');

# Peers that are none.
my @refused = (
    ['false',                      qr/the connection to the other host was lost"$/],
    ['echo no way to b >&2; exit 9', qr/the connection to the other host was lost: no way to b"$/],
    ['echo Hello there from a shell', qr/sent something that is not Godwit's protocol/],
    [q{printf '\0\0\0\017H{"protocol":99}'; cat >/dev/null}, qr/speaks version 99 of the protocol/],
    ['no-such-command-of-ours',    qr/the connection to the other host was lost/],
);
for my $case (@refused) {
    my ($command, $message) = @$case;
    my $refused = run(['run', 'precopy/tcp/plain', peer($command)]);
    is($refused->{status}, 2, "$command: exit status");
    like($refused->{err}, $message, "$command: the message");
    ok_clean($refused, "$command: nothing is left");
}
my @wrong = (
    [['--peer', 'x'], qr/--peer needs a command .* and --peer-address/],
    [['--peer-address', 'x'], qr/--peer-address needs --peer/],
    [['--peer', 'x', '--peer-address', 'b.example'], qr/--peer-address needs an IPv4 address/],
    [['--peer', 'x', '--peer-address', '127.0.0.1', '--cross'], qr/--peer excludes --cross/]);
for my $case (@wrong) {
    my $refused = run(['run', 'precopy/tcp/plain', @options, @{$case->[0]}]);
    is($refused->{status}, 2, "@{$case->[0]}: exit status");
    like($refused->{err}, $case->[1], "@{$case->[0]}: the message");
}
like(run(['run', 'precopy/tcp/plain', '--peer', 'x', '--peer-address', '127.0.0.1'])->{err}, qr/--peer needs --arch/, 'no --arch');
my $absent = run(['run', 'precopy/tcp/plain', peer($serve), '--qemu-dst', '/no/such/folder']);
is($absent->{status}, 2, 'no QEMU there: exit status');
like($absent->{err}, qr{the other host refuses: cannot start /no/such/folder/qemu-system-x86_64}, 'no QEMU there: the message');

# The server answers whoever does not speak its protocol, and starts nothing but QEMUs.
my @served = (
    ['nonsense' => "GET / HTTP/1.1\r\n\r\n", qr/not Godwit's protocol/],
    ['another program' => hello(program => '/bin/sh'), qr/"\/bin\/sh" is no QEMU by its name/],
    ['a file outside' => hello(files => ['../x']), qr/a file outside of its folder/],
    ['an absolute file' => hello(files => ['/etc/x']), qr/a file outside of its folder/],
    ['a channel of its own' => hello(channels => [0]), qr/a channel number that is out of range/],
    ['memory of nothing' => hello() . frame('R', "\0" x 17), qr/a frame that does not fit here/],
    ['data for nobody' => hello() . frame('D', "\x09abc"), qr/a frame that does not fit here/],
    ['a file without a name' => hello() . frame('F', "\x01abc"), qr/a part of a file that it has not named/],
    ['no greeting' => frame('S', ''), qr/something else than a greeting/],
    ['too large' => pack('N', 0x7fffffff) . 'H', qr/not Godwit's protocol/],
    ['nothing' => '', qr/the client is gone/]);

sub frame { my ($kind, $content) = @_; return pack('NA', length $content, $kind) . $content }

sub hello {
    my %hello = (protocol => 1, program => 'qemu-system-x86_64', arguments => [], files => [], channels => [], @_);
    return frame('H', JSON::PP->new->encode(\%hello));
}
for my $case (@served) {
    my ($name, $bytes, $message) = @$case;
    my $hex    = unpack 'H*', $bytes;
    my $served = run([], command => ['/bin/sh', '-c', "perl -e 'print pack q(H*), q($hex)' | $serve"]);
    is($served->{status}, 2, "serve, $name: exit status");
    like($served->{err}, $message, "serve, $name: the message");
    ok_clean($served, "serve, $name: nothing is left");
}
like(run(['serve'])->{err}, qr/expected --stdio/, 'serve without --stdio');

# The other host dies, or the way to it, while the destination waits, loads, or runs the guest.
my @failures = (
    [kill   => '"migrate-incoming"'],
    [kill   => '<"status": "active"'],
    [kill   => '<"status": "postcopy-active"'],
    [cut    => '<"status": "postcopy-active"'],
    [silent => '<"status": "active"', '--timeout-scale', 0.2]);
my @failing = run_all(2, map {
    my ($mode, $moment, @more) = @$_;
    [['run', 'postcopy/plain', @more, '--qemu', $qemu, peer("perl '$transport' $mode '$moment' $serve")]]
} @failures);
for my $failing (@failing) {
    my ($mode, $moment) = @{shift @failures};
    my $name = "$mode at $moment";
    is($failing->{status}, 1, "$name: exit status") or diag($failing->{out}, $failing->{err});
    like($failing->{out}, $mode eq 'silent' ? qr/timed out|did not answer/ : qr/^ +what +.*(?:connection to the other host was lost|the destination)/m,
        "$name: the message");
    ok(eventually(sub { !processes($failing) }), "$name: no process is left");
    is(join("\n", grep { m{/tmp/} } @{$failing->{left}}), '', "$name: no file is left");
}
done_testing;
