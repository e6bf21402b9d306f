#!/usr/bin/env perl
# What the host does to a migration is not QEMU's: a full disk is an error of the environment, exit
# status 2, with QEMU's words; an accelerator that cannot be had, that QEMU fails under, or that is
# slow are three things.
#
# SPDX-License-Identifier: MIT
use strict;
use warnings;
use File::Temp qw(tempdir);
use FindBin;
use lib "$FindBin::Bin/lib";
use Cli;
use Test::More;

# In a mount namespace of our own, with a small tmpfs for everything that is written.
sub in_small_tmpfs {
    my (@command) = @_;
    my $text = 'mount -t tmpfs -o size=10m none /mnt && TMPDIR=/mnt exec "$@"';
    my $output = qx{unshare -m --propagation private sh -c '$text' sh @command 2>&1};
    return ($? >> 8, $output);
}

SKIP: {
    skip 'needs a QEMU for x86_64', 6 unless $qemu;
    skip 'needs to mount a file system', 6
        if system('unshare -m --propagation private mount -t tmpfs none /mnt 2>/dev/null');
    for my $scenario ('precopy/exec', 'precopy/fd/file') {
        my ($status, $output) = in_small_tmpfs($godwit, 'run', '--arch', 'x86_64', '--accel', 'tcg',
            '--qemu', $qemu, '-w', 'order', '-o', '/mnt/output', '--window', '0x100000:0x1900000', $scenario);
        is($status, 2, "$scenario on a full disk: exit status 2") or diag $output;
        like($output, qr/No space left on device/, "$scenario: it says why");
        unlike($output, qr/^FAIL/m, "$scenario: it is no failure");
    }
}

# What `godwit doctor` says of the accelerator, with a QEMU that does SCRIPT when KVM is to be used,
# and is the real one otherwise.
sub accelerator {
    my ($name, $script) = @_;
    my $path = script_file("qemu-$name",
        qq{case "\$*" in *"-accel kvm"*) $script;; esac\nexec $qemu "\$@"\n});
    my $run = run(['doctor', '--arch', 'x86_64', '--qemu', $path]);
    return $run->{out} =~ /accelerator (.*)/ ? $1 : "no accelerator: $run->{out}$run->{err}";
}

SKIP: {
    skip 'needs a QEMU for x86_64', 6 unless $qemu;
    skip 'needs KVM', 6 unless open my $kvm, '+<', '/dev/kvm';
    like(accelerator('fails', 'echo "the test says no" >&2; exit 1'),
        qr/^tcg: QEMU failed under KVM: .*the test says no/, 'a QEMU that fails under KVM is quoted');
    like(accelerator('sleeps', 'exec sleep 60'),
        qr/^tcg: KVM is slower: 12 passes took \d+ ms under TCG; in that time the guest made 0 /,
        'one that is slow under KVM is slow');
    # One that was built without TCG. TCG plays the part of KVM.
    my $without = script_file('qemu-no-tcg', <<"END");
case "\$*" in *"-accel tcg"*) echo "the test has no tcg" >&2; exit 1;; esac
for word; do shift; [ "\$word" = kvm ] && word=tcg; set -- "\$@" "\$word"; done
exec $qemu "\$@"
END
    like(run(['doctor', '--arch', 'x86_64', '--qemu', $without])->{out},
        qr/^ +accelerator kvm: QEMU failed under TCG: .*the test has no tcg/m, 'a QEMU without TCG uses KVM');
    my $neither = script_file('qemu-neither',
        qq{case "\$*" in *"-accel "*) echo "the test says no" >&2; exit 1;; esac\nexec $qemu "\$@"\n});
    like(run(['doctor', '--arch', 'x86_64', '--qemu', $neither])->{err},
        qr/measuring the accelerator tcg: .*the test says no/, 'one that has neither is an error');
    my $slow = run(['run', '--timeout-scale', '0.02', '--qemu', fake('silent-guest'), 'precopy/unix/plain']);
    is($slow->{status}, 2, 'a guest that cannot be measured in time: exit status 2');
    like($slow->{err}, qr/measuring the accelerator tcg: timed out after .* waiting for/, 'it is told so');
}

SKIP: {
    skip 'needs a QEMU for x86_64', 1 unless $qemu;
    skip 'needs to mount a file system, and /dev/kvm', 1
        if system('unshare -m --propagation private mount --bind /dev/null /dev/kvm 2>/dev/null');
    my $output = qx{unshare -m --propagation private sh -c 'mount --bind /dev/null /dev/kvm && exec "\$@"' sh $godwit doctor --arch x86_64 --qemu $qemu 2>&1};
    like($output, qr{accelerator tcg: /dev/kvm does not answer: }, 'a /dev/kvm that is none is no slow one');
}

# An unprivileged user, who is in no group.
my @nobody = qw(setpriv --reuid 65534 --regid 65534 --clear-groups --inh-caps=-all);
SKIP: {
    skip 'needs a QEMU for x86_64', 2 unless $qemu;
    skip 'needs to be root, to mount a file system, and /dev/kvm', 2
        if $> || system("unshare -m --propagation private mount --bind /dev/null /dev/kvm 2>/dev/null && @nobody true 2>/dev/null");
    my $folder = tempdir(CLEANUP => 1);
    open my $node, '>', "$folder/kvm" or die "$folder/kvm: $!\n";
    close $node or die "$folder/kvm: $!\n";
    chown 0, scalar(getgrnam 'daemon'), "$folder/kvm" or die "$folder/kvm: $!\n";
    for ([0660, qr{Permission denied \(members of group "daemon" can\)$}m], [0600, qr{Permission denied$}m]) {
        my ($mode, $expected) = @$_;
        chmod $mode, "$folder/kvm" or die "$folder/kvm: $!\n";
        my $output = qx{unshare -m --propagation private sh -c 'mount --bind $folder/kvm /dev/kvm && exec "\$@"' sh @nobody env TMPDIR=/tmp $godwit doctor --arch x86_64 --qemu $qemu 2>&1};
        like($output, qr{^kvm +no: /dev/kvm cannot be opened: $expected}m, sprintf 'doctor on a /dev/kvm of mode %o', $mode);
    }
}

# The same user of a host that allows userfaultfd to root only.
SKIP: {
    skip 'needs a QEMU for x86_64', 8 unless $qemu;
    skip 'needs to be root', 8 if $> || system("@nobody true 2>/dev/null");
    skip 'needs a host that allows userfaultfd to root only', 8
        if slurp('/proc/sys/vm/unprivileged_userfaultfd') !~ /^0$/ || !system("@nobody test -w /dev/userfaultfd");
    my $why = qr/this host allows it to root only \(sysctl vm\.unprivileged_/;
    my $reason = qr/needs userfaultfd: $why/;
    my $as_nobody = sub { return qx{@nobody env TMPDIR=/tmp $godwit @_ --arch x86_64 --accel tcg --qemu $qemu 2>&1} };
    my @usual = $as_nobody->(qw(doctor));
    my ($able, $all) = "@usual" =~ /can run (\d+) of (\d+) scenarios/;
    my @why = $as_nobody->(qw(list --why));
    my @lacking = grep {/$reason/} @why;
    is(scalar(grep {/ runs( only if requested)?$/} @why), $able, 'doctor and list agree how many scenarios can run');
    cmp_ok(scalar(@lacking), '>=', 20, 'list names those that need userfaultfd');
    like(join("", @usual), qr/\Q${\ scalar @lacking} scenarios on 1 target: needs userfaultfd\E$/m, 'doctor counts them');
    like("@usual", qr/userfaultfd +no postcopy: $why/, 'doctor says what is missing');
    my @counts = map { /(\d+) scenarios? on 1 target: needs/ ? $1 : () } @usual;
    is("@counts", join(' ', sort { $b <=> $a } @counts), 'what most scenarios lack stands first');
    like($usual[-1], qr/^next +godwit run --quick/, 'doctor says how to go on');
    for my $scenario ('postcopy/plain', 'multifd/tcp/postcopy') {
        like(join('', $as_nobody->('run', '-w', 'order', '--allow-all-skipped', '-o', '/nonexistent', $scenario)),
            qr/^skip .* 0\.00 s +$reason/m, "$scenario is skipped before it starts");
    }
}

done_testing();
