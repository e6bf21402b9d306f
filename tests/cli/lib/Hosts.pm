# Two hosts on this one: network namespaces with a link between them. The second has its own mounts,
# temporary files and processes, and a real sshd. Its key may start `godwit serve --stdio` and nothing
# else.
#
# All of it ends with the test: whatever runs in a process namespace dies with its first process.
#
# SPDX-License-Identifier: MIT
package Hosts;

use strict;
use warnings;
use File::Temp ();

use constant ADDRESS => '10.77.0.2';

# Runs the test once more, in the namespaces of the first host. To be called when it is compiled,
# before Cli makes a folder. Returns false if this user, or this system, has no namespaces.
sub enter {
    my $able = !$> && !system 'unshare --net ip link add name near type veth peer name far 2>/dev/null';
    if ($able && !$^C && ($ENV{GODWIT_TEST_HOST} // '') ne 'first') {
        $ENV{GODWIT_TEST_HOST} = 'first';
        exec qw(unshare --mount --net --pid --fork --mount-proc --kill-child), $^X, $0, @ARGV or die "unshare: $!";
    }
    return $able;
}

# Why there cannot be two hosts, or nothing. ABLE is what enter() returned.
sub missing {
    my ($able) = @_;
    return 'no sshd (Debian: openssh-server)' unless sshd();
    return 'needs root, and network namespaces with a veth' unless $able;
    return;
}

sub sshd { my ($sshd) = grep { -x } qw(/usr/sbin/sshd /usr/bin/sshd); return $sshd }

sub shell { my ($command) = @_; return system($command) == 0 }

sub _spew {
    my ($self, $name, $text) = @_;
    open my $file, '>', "$self->{folder}/$name" or die "$name: $!";
    print $file $text;
    close $file or die "$name: $!";
    return;
}

# GODWIT is the program that the second host has.
sub new {
    my ($class, $godwit) = @_;
    my $self = bless {godwit => $godwit, folder => File::Temp->newdir('godwit-ssh-XXXXXX', TMPDIR => 1)}, $class;
    my $folder = $self->{folder};
    shell("ssh-keygen -q -t ed25519 -N '' -f $folder/$_") || die 'ssh-keygen failed' for qw(host client admin stranger);
    my ($client, $admin) = map { main::slurp("$folder/$_.pub") } qw(client admin);
    $self->_spew('keys', qq(restrict,command="'$godwit' serve --stdio" $client$admin));
    $self->_spew('sshd_config', <<"END");
HostKey $folder/host
AuthorizedKeysFile $folder/keys
PermitRootLogin yes
StrictModes no
UsePAM no
PidFile none
SetEnv TMPDIR=/run/tmp
ClientAliveInterval 1
ClientAliveCountMax 2
END
    $self->_spew('second', <<"END");
mount -t tmpfs none /run && mkdir /run/sshd /run/tmp && ip link set lo up
read go
ip address add @{[ADDRESS]}/24 dev far && ip link set far up && exec @{[sshd()]} -D -e -f $folder/sshd_config
END
    shell('ip link set lo up') or die 'no lo';
    return $self->boot;
}

# Starts the second host, which is not there, and links it to the first.
sub boot {
    my ($self) = @_;
    pipe my $wait, my $go or die "pipe: $!";
    my $second = fork // die "fork: $!";
    if (!$second) {
        open STDIN, '<&', $wait or die;
        open STDOUT, '>>', "$self->{folder}/sshd.log" or die;
        open STDERR, '>&', \*STDOUT or die;
        close $go;
        exec qw(unshare --mount --net --pid --fork --mount-proc --kill-child /bin/sh), "$self->{folder}/second";
    }
    close $wait;
    $self->{unshare} = $second;
    # unshare's child is the first process of the second host.
    my $inside = '';
    main::eventually(sub { ($inside) = split ' ', main::slurp("/proc/$second/task/$second/children"); $inside });
    $self->{inside} = $inside;
    main::eventually(sub { shell("nsenter --target $inside --net ip link show lo 2>/dev/null | grep -q UP") })
        && shell("ip link add name near type veth peer name far && ip link set far netns $inside"
            . ' && ip address add 10.77.0.1/24 dev near && ip link set near up')
        or die 'no link to the second host';
    syswrite $go, "go\n";
    main::eventually(sub { shell($self->ssh('admin') . ' true 2>/dev/null') })
        or die 'no ssh to the second host: ' . $self->log;
    return $self;
}

# Kills all of the second host, as if its power failed: nothing closes its connections.
sub kill_second {
    my ($self) = @_;
    shell('ip link set near down');
    kill 'KILL', $self->{inside};
    waitpid $self->{unshare}, 0;
    # A veth ends with the network namespace of either end.
    return main::eventually(sub { !shell('ip link show near >/dev/null 2>&1') });
}

sub cut    { return shell('ip link set near down') }
sub mend   { my ($self) = @_; return shell('ip link set near up') && main::eventually(sub { shell($self->ssh('admin') . ' true 2>/dev/null') }) }
sub log    { my ($self) = @_; return main::slurp("$self->{folder}/sshd.log") }

# An ssh to the second host with a key: "client" starts godwit serve, whatever it asks for; "admin"
# may do all; "stranger" nothing.
sub ssh {
    my ($self, $key) = @_;
    return "ssh -F none -i $self->{folder}/$key -o IdentitiesOnly=yes -o BatchMode=yes -o StrictHostKeyChecking=no"
        . ' -o UserKnownHostsFile=/dev/null -o LogLevel=INFO -o ConnectTimeout=20 -o ServerAliveInterval=1 root@' . ADDRESS;
}

# The options of `godwit run` for destinations on the second host. KEY is that of ssh().
sub peer {
    my ($self, $key) = @_;
    return ('--peer', $self->ssh($key // 'client') . ' godwit serve --stdio', '--peer-address', ADDRESS);
}

# What runs on the second host, and what lies about there.
sub left {
    my ($self) = @_;
    my $ssh = $self->ssh('admin');
    my $text = qx($ssh 'pgrep -l "qemu|godwit"; ls /run/tmp; pgrep -V >/dev/null && echo whole');
    return "no answer: $text" unless $text =~ s/^whole\n\z//m;
    return $text =~ s/\s+\z//r;
}

sub idle { my ($self) = @_; return $self->left eq '' }

1;
