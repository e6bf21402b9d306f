#!/usr/bin/env perl
# godwit run --peer between two hosts: two network namespaces, each with its own mounts, temporary
# files and processes, and a real sshd in the second. All of it ends with this test: whatever runs in
# a process namespace dies with its first process.
#
# SPDX-License-Identifier: MIT
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";

# The first host: this test once more, in namespaces of its own, before Cli makes a folder.
my $namespaces;

BEGIN {
    $namespaces = !$> && !system 'unshare --net ip link add name near type veth peer name far 2>/dev/null';
    if (!$^C && $namespaces && ($ENV{GODWIT_TEST_HOST} // '') ne 'first') {
        $ENV{GODWIT_TEST_HOST} = 'first';
        exec qw(unshare --mount --net --pid --fork --mount-proc --kill-child), $^X, $0 or die "unshare: $!";
    }
}
use Cli;
use Test::More;

my ($sshd) = grep { -x } qw(/usr/sbin/sshd /usr/bin/sshd);
plan skip_all => 'no qemu-system-x86_64' unless $qemu;
plan skip_all => 'no sshd (Debian: openssh-server)' unless $sshd;
plan skip_all => 'needs root, and network namespaces with a veth' unless $namespaces;

my $folder = File::Temp->newdir('godwit-ssh-XXXXXX', TMPDIR => 1);
system "ssh-keygen -q -t ed25519 -N '' -f $folder/$_" and BAIL_OUT('ssh-keygen failed') for qw(host client);
sub spew { my ($name, $text) = @_; open my $file, '>', "$folder/$name" or die; print $file $text; close $file or die; return }
spew('sshd_config', <<"END");
HostKey $folder/host
AuthorizedKeysFile $folder/client.pub
PermitRootLogin yes
StrictModes no
UsePAM no
PidFile none
SetEnv TMPDIR=/run/tmp
ClientAliveInterval 1
ClientAliveCountMax 2
END
# The second host.
spew('second', <<"END");
mount -t tmpfs none /run && mkdir /run/sshd /run/tmp && ip link set lo up
read go
ip address add 10.77.0.2/24 dev far && ip link set far up && exec $sshd -D -e -f $folder/sshd_config
END
pipe my $wait, my $go or die;
my $second = fork // die;
if (!$second) {
    open STDIN, '<&', $wait or die;
    open STDERR, '>', "$folder/sshd.log" or die;
    close $go;
    exec qw(unshare --mount --net --pid --fork --mount-proc --kill-child /bin/sh), "$folder/second";
}
close $wait;
# unshare's child is the first process of the second host.
my $inside;
eventually(sub { ($inside) = split ' ', slurp("/proc/$second/task/$second/children") // ''; $inside });
sub shell { my ($command) = @_; return system($command) == 0 }
ok(eventually(sub { shell("nsenter --target $inside --net ip link show lo 2>/dev/null | grep -q UP") }), 'the second host is there');
ok(shell("ip link set lo up; ip link add name near type veth peer name far && ip link set far netns $inside && ip address add 10.77.0.1/24 dev near && ip link set near up"),
    'a link between them');
syswrite $go, "go\n";
my $ssh = "ssh -F none -i $folder/client -o BatchMode=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null"
    . ' -o LogLevel=ERROR root@10.77.0.2';
ok(eventually(sub { shell("$ssh true 2>/dev/null") }), 'ssh to the second host')
    or BAIL_OUT(slurp("$folder/sshd.log"));

# What runs there, and what lies about there.
sub there { my ($what) = @_; my $text = qx($ssh '$what'); return $text =~ s/\s+\z//r }
sub idle { return there('pgrep -l "qemu|godwit"; ls /run/tmp') eq '' }

my @peer = (qw(-a x86_64 --accel tcg --qemu), $qemu, '--peer', "$ssh '$godwit' serve --stdio", '--peer-address', '10.77.0.2');
my ($run, $results) = results_by_scenario(qw(precopy/tcp/plain multifd/tcp/uri/plain precopy/tcp/tls/psk/match
    postcopy/recovery/plain smp/2), @peer);
is($run->{status}, 0, 'exit status') or diag($run->{out}, $run->{err});
like($results->{$_}{status}, qr/^(?:pass|known)$/, $_) or diag($results->{$_}{message})
    for qw(precopy/tcp/plain multifd/tcp/uri/plain precopy/tcp/tls/psk/match postcopy/recovery/plain smp/2);
ok_clean($run, 'nothing is left on the first host');
ok(eventually(\&idle), 'nothing is left on the second host');

# The link is cut in postcopy, so that nothing comes any more, not even an end of the connection.
my $cut = run(['run', 'postcopy/plain', @peer[0 .. 5], '--timeout-scale', 0.3, '--peer-address', '10.77.0.2', '--peer',
    "perl '$FindBin::Bin/lib/transport.pl' 'call:ip link set near down' '<\"status\": \"postcopy-active\"' $ssh '$godwit' serve --stdio"]);
is($cut->{status}, 1, 'the link is cut: exit status') or diag($cut->{out}, $cut->{err});
ok_clean($cut, 'the link is cut: nothing is left on the first host');
ok(eventually(sub { slurp("$folder/sshd.log") =~ /Timeout, client not responding/ }), 'the link is cut: sshd notices');
ok(shell('ip link set near up') && eventually(sub { shell("$ssh true 2>/dev/null") }) && eventually(\&idle),
    'the link is cut: nothing is left on the second host');

# The second host dies.
my $dies = run(['run', 'postcopy/plain', @peer[0 .. 5], '--timeout-scale', 0.3, '--peer-address', '10.77.0.2', '--peer',
    "perl '$FindBin::Bin/lib/transport.pl' 'call:kill -9 $inside' '<\"status\": \"postcopy-active\"' $ssh '$godwit' serve --stdio"]);
is($dies->{status}, 1, 'the second host dies: exit status') or diag($dies->{out}, $dies->{err});
ok_clean($dies, 'the second host dies: nothing is left on the first host');
done_testing;
