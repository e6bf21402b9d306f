#!/usr/bin/env perl
# compat: what can go from one QEMU to another. The second QEMU is the first one behind a script, so
# that no other version is needed; another script breaks what arrives.
#
# SPDX-License-Identifier: MIT
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Cli;
use File::Temp qw(tempdir);
use JSON::PP ();
use Test::More;

plan skip_all => 'no qemu-system-x86_64' unless $qemu;

my @on = ('--arch', 'x86_64', '--accel', 'tcg');
my $dir = tempdir(CLEANUP => 1);

sub wrapper {
    my ($name, $incoming) = @_;
    return qemu_but('*-incoming*', qq{exec "$qemu" "\$@" $incoming}, $name);
}

sub compat
{
    return run(['compat', @on, '--devices', 'usb-tablet,e1000', '--cpu-models', 'none', @_]);
}

my $same = wrapper('same', '');
my $run = compat('-f', "json:$dir/same.json", '-f', 'text', $qemu, $same);
is($run->{status}, 0, 'two that are alike: exit status') or diag $run->{err};
like($run->{out}, qr/^arch +from +to +machine +same/m, 'a table');
like($run->{out}, qr/^x86_64 .* pc-q35-\S+ +3 +0 +0 +0 +0 +0 +0 +0 +0$/m, 'the machine and two devices');
my $report = JSON::PP->new->utf8->decode(slurp("$dir/same.json"));
is(scalar @{$report->{cells}}, 6, 'both directions');
is_deeply([grep { $_->{result} ne 'same' } @{$report->{cells}}], [], 'all go');
is_deeply($report->{causes}, [], 'no causes');
ok_clean($run, 'nothing is left behind');

# The clock of this one's destination does not stand still: every machine is struck by one cause.
my $broken = wrapper('broken', '-rtc base=2001-02-03,clock=host');
$run = compat('-f', "json:$dir/broken.json", '-f', "html:$dir/broken.html", '-f', 'text',
    '--write-baseline', "$dir/baseline", $qemu, $broken);
is($run->{status}, 1, 'one that loses state: exit status');
like($run->{out}, qr/^lost, x86_64 from \S+ .*: (?=.*e1000).*usb-tablet/m, 'one line with two names');
$report = JSON::PP->new->utf8->decode(slurp("$dir/broken.json"));
my @lost = grep { $_->{result} eq 'lost' } @{$report->{cells}};
is_deeply([sort map { $_->{subject} } @lost], ['', 'e1000', 'usb-tablet'], 'only towards it');
like($lost[0]{reason}, qr/mc146818rtc/, 'the device that lost it is named');
like(slurp("$dir/broken.html"), qr/<table>.*mc146818rtc/s, 'HTML');

# CPU models: one whose features the destination changes, one that it does not start, one that goes,
# and one of which nothing is promised. A device that the destination does not plug.
my $picky = script_file('picky', <<"END");
#!/bin/sh
case "\$*" in
*-incoming*) ;;
*) exec "$qemu" "\$@" ;;
esac
case "\$*" in
*'-cpu Nehalem-v1'*) exec "$qemu" "\$@" -global Nehalem-v1-x86_64-cpu.sse4.2=off ;;
*'-cpu max'*) exec "$qemu" "\$@" -global max-x86_64-cpu.aes=off ;;
*'-cpu Conroe-v1'*) echo 'no such Conroe' >&2; exit 1 ;;
*'-device e1000,'*) echo 'no such e1000' >&2; exit 1 ;;
esac
exec "$qemu" "\$@"
END
$run = run(['compat', @on, '--devices', 'e1000', '--cpu-models', 'Nehalem-v1,Conroe-v1,Penryn-v1,max',
        '--direction', 'both', '-f', "json:$dir/picky.json", '-f', 'text', $qemu, $picky]);
is($run->{status}, 1, 'CPU models: exit status') or diag $run->{err};
$report = JSON::PP->new->utf8->decode(slurp("$dir/picky.json"));
my %towards = map { ("$_->{kind} $_->{subject}" => $_) }
    grep { $_->{destination} =~ /picky/ } @{$report->{cells}};
is($towards{'cpu Nehalem-v1'}{result}, 'lost', 'a model with another feature is lost');
like($towards{'cpu Nehalem-v1'}{reason}, qr/sse4[._-]2: on -> off/, 'the feature is named');
is($towards{'cpu Conroe-v1'}{result}, 'refused', 'a model that the destination does not start');
like($towards{'cpu Conroe-v1'}{reason}, qr/does not start Conroe-v1.*no such Conroe/, 'with its reason');
is($towards{'cpu Penryn-v1'}{result}, 'same', 'a model that goes');
is($towards{'cpu max'}{result}, 'varies', 'max has no version');
is($towards{'device e1000'}{result}, 'refused', 'a device that the destination does not plug');
is_deeply([grep { $_->{destination} !~ /picky/ && $_->{result} ne 'same' } @{$report->{cells}}], [],
    'everything goes back');
like($run->{out}, qr/^lost, .*: CPU model Nehalem-v1$/m, 'text names the kind');

# Every version of every family that both have, and what is left out. The second QEMU lists only two
# versions of each: one machine is as good as fifty here.
my $list = `"$qemu" -machine help`;
my %both = map { my $family = $_; ($family => [(sort { $b <=> $a } $list =~ /^pc-$family-(\d+\.\d+) /mg)[0, 1]]) }
    qw(q35 i440fx);
my @few = map { my $family = $_; map {"pc-$family-$_"} @{$both{$family}} } sort keys %both;
my $listed = join '|', map {quotemeta} @few;
my $lists = qemu_edited(<<"END", $qemu, 'few');
if (/"numa-mem-supported"/) {
    s/\\{[^{}]*"name": "(?!(?:$listed)")[^"]*-\\d+[.][0-9.]+"[^{}]*\\}(?:, )?//g;
    s/, \\]/]/;
}
END
my $old = "pc-q35-$both{q35}[1]";
my $few = script_file('few', <<"END");
case "\$*" in
*'-machine none'*) exec "$lists" "\$@" ;;
*-incoming*) ;;
*) exec "$qemu" "\$@" ;;
esac
case "\$*" in
*'-machine $old,'*'-device usb-tablet,'*) echo 'no such tablet' >&2; exit 1 ;;
esac
exec "$qemu" "\$@"
END
$run = run(['compat', @on, '--devices', 'none', '--cpu-models', 'none', '--all-machines', '--find-newest',
        '-f', "json:$dir/all.json", '-f', "text:$dir/all.txt", $qemu, $few]);
is($run->{status}, 0, 'all machines: exit status') or diag $run->{err};
$report = JSON::PP->new->utf8->decode(slurp("$dir/all.json"));
my @machines = map { $_->{machine} } @{$report->{cells}};
is_deeply([sort @machines], [sort @few], 'each version of each family that both have, and nothing else');

# Two devices at once on the older of two versions, and alone what is refused there.
$run = run(['compat', @on, '--devices', 'e1000,usb-tablet', '--cpu-models', 'none', '--all-machines',
        '--direction', 'both', '-f', "json:$dir/later.json", $qemu, $few]);
is($run->{status}, 1, 'devices on all machines: exit status') or diag $run->{err};
$report = JSON::PP->new->utf8->decode(slurp("$dir/later.json"));
my @cells = grep { $_->{kind} eq 'device' && $_->{destination} =~ /few/ } @{$report->{cells}};
my %older = map { ("pc-$_-$both{$_}[1]" => 1) } keys %both;
is_deeply([map { "$_->{machine} $_->{subject}" } grep { $_->{result} ne 'same' } @cells],
    ["$old usb-tablet"], 'one is refused on one machine type');
like((grep { $_->{result} ne 'same' } @cells)[0]{reason}, qr/no such tablet/, 'its reason');
is_deeply(
    [sort map { "$_->{machine} $_->{subject}" } grep { $_->{together} } @cells],
    [sort map { my $type = $_; map {"$type $_"} qw(e1000 usb-tablet) } grep { $_ ne $old } keys %older],
    'the others of the older types are tried together, and those of that type alone');

# What is in the baseline is accepted, and nothing else.
$run = compat('--baseline', "$dir/baseline", $qemu, $broken);
is($run->{status}, 0, 'nothing is worse than the baseline: exit status');
$run = run(['compat', @on, '--devices', 'usb-tablet,usb-kbd', '--cpu-models', 'none',
        '--baseline', "$dir/baseline", $qemu, $broken]);
is($run->{status}, 1, 'something is worse: exit status');
like($run->{out}, qr/^NEW lost/m, 'it is marked');

# The newest to which everything can go. The bare machine is enough.
my @bare = ('--devices', 'none', '--cpu-models', 'none');
$run = run(['compat', @on, @bare, '--find-newest', $qemu, $same]);
is($run->{status}, 0, 'find-newest: exit status');
is($run->{out}, "$same\n", 'find-newest: its path');
$run = run(['compat', @on, @bare, '--find-newest', $qemu, $broken]);
is($run->{status}, 1, 'find-newest, there is none: exit status');
is($run->{out}, '', 'find-newest, there is none');

# Bad input: one line, exit status 2.
my ($empty, $other) = map { "$dir/$_" } qw(empty other);
open my $file, '>', $empty or die; close $file;
open $file, '>', $other or die;
print $file '{"godwit-compat-baseline": 1, "pairs": ["x86_64 1.0 to 2.0"], "findings": []}';
close $file;
for my $case (
    [[$qemu], qr/needs two QEMUs or more/, 'one QEMU'],
    [[], qr/needs two QEMUs or more/, 'no QEMU'],
    [[$qemu, "$dir/no-such"], qr/no-such/, 'no such file'],
    [['--qemu', $qemu, $qemu, $same], qr/leave out --qemu/, '--qemu'],
    [['--all-machines', '--machine', 'q35', $qemu, $same], qr/exclude each other/, 'machines twice'],
    [['--devices', 'none', '--baseline', $empty, $qemu, $same], qr/broken JSON/, 'an empty baseline'],
    [['--devices', 'none', '--baseline', $other, $qemu, $same], qr/baseline of other QEMUs/, 'a baseline of others'],
    [['--baseline', "$dir/none", $qemu, $same], qr/none/, 'no baseline'],
    [['--find-newest', '--direction', 'upgrade', $qemu, $same], qr/leave out --direction/, 'direction'],
    [['-f', 'tap', $qemu, $same], qr/unknown format "tap"/, 'a format'],
    [['-j', '0', $qemu, $same], qr/-j needs a number/, 'jobs'],
    [['--devices', 'no-such-*', $qemu, $same], qr/no device matches --devices no-such-\*/, 'no such device'],
    [['--cpu-models', 'none-such', $qemu, $same], qr/no CPU model matches --cpu-models/, 'no such CPU model'],
    [['--machine', 'no-such', $qemu, $same], qr/has no machine "no-such"/, 'no such machine type'],
    [['--machine', 'pc-q35-0.1', $qemu, $same], qr/has no machine "pc-q35-0.1"/, 'an old machine type'],
) {
    my ($arguments, $message, $what) = @$case;
    my $bad = compat(@$arguments);
    is($bad->{status}, 2, "$what: exit status");
    like($bad->{err}, qr/^godwit: [^\n]*\n\z/, "$what: one line");
    like($bad->{err}, $message, "$what: message");
}

done_testing;
