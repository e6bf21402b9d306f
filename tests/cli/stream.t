#!/usr/bin/env perl
# godwit stream: what it shows of streams that QEMUs have written, the fuzzer's seeds; what it says of
# damaged ones, and of what is no stream at all.
#
# SPDX-License-Identifier: MIT
use strict;
use warnings;
use Cwd qw(abs_path);
use File::Temp ();
use FindBin;
use lib "$FindBin::Bin/lib";
use Cli;
use JSON::PP ();
use Test::More;

my $seeds = abs_path("$FindBin::Bin/../fuzz/seeds");
my $folder = File::Temp->newdir('godwit-stream-XXXXXX', TMPDIR => 1);

# A file of that content; its path.
sub file_of {
    my ($name, $content) = @_;
    open my $file, '>:raw', "$folder/$name" or die "$folder/$name: $!";
    print $file $content;
    close $file or die "$folder/$name: $!";
    return "$folder/$name";
}

sub read_raw {
    my ($path) = @_;
    open my $file, '<:raw', $path or die "$path: $!";
    local $/;
    return scalar <$file>;
}

# Every item of every seed: without a gap, and to the end.
for my $seed (glob "$seeds/*") {
    my ($name) = $seed =~ m{([^/]+)\z};
    my $run = run(['stream', 'json', $seed]);
    is($run->{status}, 0, "json of $name: exit status") or diag($run->{err});
    my ($next, $good) = (0, 1);
    for my $line (split /\n/, $run->{out}) {
        my $item = JSON::PP->new->decode($line);
        $good &&= $item->{offset} == $next;
        $next += $item->{length};
    }
    ok($good, "json of $name: items without a gap");
    is($next, -s $seed, "json of $name: to the end");
    my $seen = run(['stream', 'inspect', '--pages', $seed]);
    is($seen->{status}, 0, "inspect $name: exit status");
    my ($bytes) = $seen->{out} =~ /\A\w+ channel, (\d+) bytes\n/;
    is($bytes, -s $seed, "inspect $name: its length");
    ok_clean($seen, "inspect $name: nothing is left behind");
}

# What is shown.
my $shown = run(['stream', 'inspect', '--pages', "$seeds/configuration"])->{out};
like($shown, qr/^machine type s390-ccw-virtio-7\.2$/m, 'inspect: the machine type');
like($shown, qr/^  configuration\/capabilities x-ignore-shared$/m, 'inspect: capabilities');
like($shown, qr/^  configuration\/uuid 12345678-1234-5678-9abc-def012345678$/m, 'inspect: the UUID');
like($shown, qr/^ +\d+ +976 full +9 cpu +0 +4$/m, 'inspect: a section');
like($shown, qr/^s390\.ram +8388608( +\d+){6}$/m, 'inspect: a RAM block');
like($shown, qr/^           0 w[zw.]{63}$/m, 'inspect: the map');
like(run(['stream', 'inspect', "$seeds/postcopy"])->{out}, qr/ packaged\n.* \| command +postcopy-listen\n/,
    'inspect: what is in a package');
like(run(['stream', 'inspect', "$seeds/multifd"])->{out}, qr/\Amultifd channel.*\n.*\n3 packets\n/,
    'inspect: a multifd channel');
like(run(['stream', 'inspect', "$seeds/preempt"])->{out}, qr/\Apreempt channel/,
    'inspect: a preempt channel');

# What is found to be right, and not.
for my $name (qw(configuration xbzrle compressed)) {
    my $run = run(['stream', 'verify', "$seeds/$name"]);
    is($run->{status}, 0, "verify $name: exit status") or diag($run->{err});
    like($run->{out}, qr/\ACPU 0: page order holds: .*; 8 pages, pass \d+\n\z/, "verify $name");
}
my $bytes = read_raw("$seeds/configuration");
is(run(['stream', 'verify', '--arch', 's390x', "$seeds/configuration"])->{status}, 0,
    'verify: the right architecture');

my @window = map { /"offset":(\d+).*"data":(\d+)/ ? $1 + $2 : () } grep {/"page-offset":1060864[,}]/}
    split /\n/, run(['stream', 'json', "$seeds/configuration"])->{out};
is(scalar @window, 1, 'the page at 0x103000 is there once');
my $spoiled = $bytes;
substr($spoiled, $window[0], 1) ^= "\x40";

# The devices' state, and one byte of it that differs.
my $described = slurp("$seeds/configuration");
my $fields = run(['stream', 'fields', "$seeds/configuration"]);
is($fields->{status}, 0, 'fields: exit status');
like($fields->{out}, qr/^timer 0: cpu_ticks_offset \(int64\) 0x00000000581ed555$/m, 'fields: a number');
my $equal = run(['stream', 'diff', "$seeds/configuration", "$seeds/configuration"]);
is($equal->{status}, 0, 'diff: equal streams: exit status');
like($equal->{out}, qr/\A\d+ fields are equal\n\z/, 'diff: equal streams');
my $ticks = index $described, "\0\0\0\0\x58\x1e\xd5\x55";
substr($described, $ticks + 7, 1) = "\x54";
my $unlike = run(['stream', 'diff', "$seeds/configuration", file_of('unlike', $described)]);
is($unlike->{status}, 1, 'diff: unlike streams: exit status');
is($unlike->{out}, "timer 0: cpu_ticks_offset 0x00000000581ed555 -> 0x00000000581ed554\n",
    'diff: what differs, and nothing else');
like($unlike->{err}, qr/\Agodwit: 1 of \d+ fields differ\n\z/, 'diff: how many');

my $swapped = $bytes;
substr($swapped, index($swapped, "\x7e\0\0\0\2"), 5) = "\x7e\0\0\0\3";
for (
    # Damage is told in one line; where the line says so it is, and it makes the exit status 1.
    [1, qr/CPU 0: page order broken at 0x103000: /, 'verify', file_of('spoiled', $spoiled)],
    [1, qr/cut: offset 0x2710: the stream ends in a page's record/, 'inspect',
        file_of('cut', substr $bytes, 0, 10000)],
    [1, qr/footer: offset 0x\w+: the footer of section 3 at the end of section 2, "ram"/, 'json',
        file_of('footer', $swapped)],
    [1, qr/after: offset 0x\w+: bytes after the end/, 'verify', file_of('after', "$bytes\n")],
    [1, qr/empty: offset 0x0: the stream ends in nothing: it is empty/, 'inspect',
        file_of('empty', '')],
    [1, qr/it begins with 0x23212f75/, 'inspect', "$FindBin::Bin/$FindBin::Script"],
    [1, qr/no RAM block in the stream has a Godwit guest's mailbox/, 'verify', "$seeds/preempt"],

    # What cannot be asked for makes it 2.
    [2, qr/cannot read \/no\/such: No such file/, 'inspect', '/no/such'],
    [2, qr/cannot read .*: Is a directory/, 'json', "$folder"],
    [1, qr/multifd-main: it has no description of the devices' state/, 'fields', "$seeds/multifd-main"],
    [1, qr/preempt: it has no description of the devices' state/, 'diff', "$seeds/configuration",
        "$seeds/preempt"],
    [2, qr/stream needs inspect, verify, json, fields or diff, and a file/],
    [2, qr/unknown action "fly" \(expected inspect, verify, json, fields or diff\)/, 'fly',
        "$seeds/preempt"],
    [2, qr/stream diff needs two files/, 'diff', "$seeds/configuration"],
    [2, qr/cannot read \/no\/such: No such file/, 'diff', "$seeds/configuration", '/no/such'],
    [2, qr/stream verify needs one file/, 'verify'],
    [2, qr/stream json needs one file/, 'json', "$seeds/preempt", "$seeds/preempt"],
    [2, qr/nknown option --fly/, 'json', '--fly', "$seeds/preempt"],
    [2, qr/--offset needs 0 or more/, 'json', '--offset', '-1', "$seeds/preempt"],
    [2, qr/--pages works only with inspect/, 'verify', '--pages', "$seeds/preempt"],
    [2, qr/--arch works only with verify/, 'json', '--arch', 's390x', "$seeds/preempt"],
    [2, qr/unknown architecture "vax"/, 'verify', '--arch', 'vax', "$seeds/preempt"],
    [2, qr/this is not a guest of x86_64/, 'verify', '--arch', 'x86_64', "$seeds/configuration"],
) {
    my ($status, $pattern, @args) = @$_;
    my $name = join ' ', 'stream', map {s{.*/}{}r} @args;
    my $run = run(['stream', @args]);
    is($run->{status}, $status, "$name: exit status");
    like($run->{err}, qr/\Agodwit: [[:print:]]+\n\z/, "$name: one line");
    like($run->{err}, $pattern, "$name: what is wrong");
    ok_clean($run, "$name: nothing is left behind");
}

# A stream behind something else.
my $behind = file_of('behind', 'x' x 5000 . $bytes);
my $run = run(['stream', 'verify', '--offset', 5000, $behind]);
is($run->{status}, 0, 'verify --offset: exit status') or diag($run->{err});

$run = run([], command => ['sh', '-c', '"$@" >/dev/full', 'sh', $godwit, 'stream', 'json', "$seeds/xbzrle"]);
is($run->{status}, 2, 'json on a full disk: exit status');
like($run->{err}, qr/\Agodwit: cannot write to standard output: .*\n\z/, 'json on a full disk');

done_testing();
