#!/usr/bin/env perl
# godwit stream on files that are small and stand for a lot (tests/fuzz/bomb.pl), and on thousands of
# damaged ones, each within bounds of memory and of processor time; and signals, which end it wherever
# it is. Prints how many of the damaged ones were found sound and damaged; DAMAGED=N tries more.
#
# SPDX-License-Identifier: MIT
use strict;
use warnings;
use Cwd qw(abs_path);
use File::Temp ();
use FindBin;
use lib "$FindBin::Bin/lib";
use Cli;
use POSIX ();
use Test::More;

my $fuzz   = abs_path("$FindBin::Bin/../fuzz");
my $folder = File::Temp->newdir('godwit-bombs-XXXXXX', TMPDIR => 1);

# Far more than it takes, far less than what it took when it was not bounded: in KiB, and in seconds of
# the processor.
my @limits = ('sh', '-c', 'ulimit -v 400000; ulimit -t 30; exec "$@"', 'sh');
# The sanitizers map more than there is.
$limits[2] =~ s/ulimit -v \d+; // if slurp($godwit) =~ /__asan_init/;

sub write_raw {
    my ($path, $content) = @_;
    open my $file, '>:raw', $path or die "$path: $!";
    print $file $content;
    close $file or die "$path: $!";
    return $path;
}

sub read_raw {
    my ($path) = @_;
    open my $file, '<:raw', $path or die "$path: $!";
    local $/;
    return scalar <$file>;
}

# One file each that is sound, and what verify says of it.
for (
    ['huge-block', 0, qr/no RAM block in the stream has/],
    ['xbzrle', 14000, qr/no RAM block in the stream has/],
    ['zero', 40000, qr/no RAM block in the stream has/],
    ['compressed', 4000, qr/no RAM block in the stream has/],
    ['names', 4096, qr/no RAM block in the stream has/],
    ['cpus', 1000, qr/CPU 1: the mailbox.s position/],
) {
    my ($kind, $count, $said) = @$_;
    my $file = "$folder/$kind";
    system("perl $fuzz/bomb.pl $kind $count > $file") == 0 or die "bomb.pl $kind";
    for my $action (['inspect', '--pages'], ['json'], ['verify', '--arch', 'ppc64']) {
        my $run = run([], command => [@limits, $godwit, 'stream', @$action, $file]);
        my $name = "$action->[0] of $kind, " . (-s $file) . ' bytes';
        is($run->{status}, $action->[0] eq 'verify' ? 1 : 0, "$name: exit status")
            or diag($run->{err});
        like($run->{err}, $said, "$name: what is said") if $action->[0] eq 'verify';
        like($run->{out}, qr/^r\n +0 \.{64}\n +\*\n *\w+ \.+\n\z/m, "$name: the map")
            if $kind eq 'huge-block' && $action->[0] eq 'inspect';
    }
}

# Signals, while it waits for what is to be read.
for my $signal (qw(INT TERM HUP)) {
    my ($path, $handle) = fifo();
    my $run = start(['stream', 'inspect', $path]);
    my $opened = sub {
        grep { (readlink($_) // '') eq $path } glob "/proc/$run->{pid}/fd/*";
    };
    ok(eventually($opened), "SIG$signal: it reads");
    kill $signal, $run->{pid};
    finish($run);
    is($run->{status}, 'signal ' . POSIX->can("SIG$signal")->(), "SIG$signal ends it");
}

# Damaged streams: cut, with flipped bits, with large numbers in them, with parts repeated.
my $damaged = $ENV{DAMAGED} || 600;
srand 20261128;
my %seeds = map { $_ => read_raw($_) } glob "$fuzz/seeds/*";
my @names = sort keys %seeds;
my @ways = (
    sub { $_[0] = substr $_[0], 0, int rand length $_[0]; return },
    sub { vec($_[0], int rand 8 * length $_[0], 1) ^= 1 for 0 .. rand 4; return },
    sub {
        my @numbers = ("\xff" x 8, "\x7f" . "\xff" x 7, "\0\0\0\1\0\0\0\0", "\xff\xff", "\xff" x 4,
            "\x80\0\0\0", pack('Q>', 1 << int rand 64));
        substr $_[0], int rand length $_[0], length $numbers[0], $numbers[rand @numbers];
        return;
    },
    sub {
        my $at = int rand length $_[0];
        substr $_[0], $at, 0, substr $_[0], int rand length $_[0], 1 + int rand 2000;
        return;
    },
);
my (%count, @broken);
my @actions = (['inspect', '--pages'], ['verify', '--arch', 'ppc64'], ['json']);
for my $number (1 .. $damaged) {
    my $bytes = $seeds{$names[$number % @names]};
    $ways[rand @ways]->($bytes) for 0 .. rand 3;
    my $file = write_raw("$folder/damaged", $bytes);
    my $action = $actions[rand @actions];
    my $output = `@{[map {"'$_'"} @limits, $godwit, 'stream', @$action, $file]} 2>&1 >/dev/null`;
    my $status = $? & 127 ? 'signal ' . ($? & 127) : $? >> 8;
    my $fine = $status eq '0' && $output eq '' || $status eq '1' && $output =~ /\Agodwit: [^\n]*\n\z/
        || $status eq '2' && $output =~ /\Agodwit: this is not a guest of [^\n]*\n\z/;
    $count{$fine ? "$action->[0], exit status $status" : 'broken'}++;
    push @broken, "number $number: @$action: $status: $output" unless $fine;
}
note("$damaged damaged streams: " . join('; ', map {"$_: $count{$_}"} sort keys %count));
ok(!@broken, "$damaged damaged streams: each is sound or damaged, in bounds")
    or diag(join "\n", @broken[0 .. ($#broken > 5 ? 5 : $#broken)]);

done_testing();
