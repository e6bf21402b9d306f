#!/usr/bin/env perl
# Every format of the report can be read by those whom it is for, and says the same as the others.
#
# SPDX-License-Identifier: MIT
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Cli;
use JSON::PP ();
use TAP::Parser;
use Test::More;

plan skip_all => 'no qemu-system-x86_64' unless $qemu;

# One run with a bit of everything: a scenario that passes (a known bug of QEMU is one), one that
# fails with unprintable words, and one that is skipped.
my $fake = fake('crashes-riscv64');
my $riscv64 = script_file('qemu-system-riscv64', qq(exec $fake "\$@"\n));
(my $path = $riscv64) =~ s{/[^/]+$}{};
symlink $qemu, "$path/qemu-system-x86_64" or die "$path: $!";
my $run = run([qw(run precopy/unix/plain guest/suspend --accel tcg --arch), 'x86_64,riscv64',
        map { ('--format', "$_:report.$_") } qw(text tap junit json html)], env => {PATH => $path});
my $cwd = "$run->{dir}/cwd";
is($run->{status}, 1, 'exit status');
is($run->{out} . $run->{err}, '', 'five files, and nothing on standard output and standard error');
is_deeply([sort map { s{.*/}{}r } @{$run->{left}}], [map {"report.$_"} qw(html json junit tap text)],
    'the reports, and nothing else but bundles');

# TAP.
my $tap = TAP::Parser->new({tap => slurp("$cwd/report.tap")});
my (%point, $yaml);
while (my $result = $tap->next) {
    $point{$result->description =~ s/^- //r} = $result if $result->is_test;
    $yaml .= $result->raw if $result->is_yaml;
}
is_deeply([$tap->parse_errors], [], 'TAP: no errors');
is($tap->version, 13, 'TAP: version');
is($tap->tests_planned, 4, 'TAP: plan');
is_deeply([sort keys %point], [map { ("$_ guest/suspend", "$_ precopy/unix/plain") } qw(riscv64 x86_64)],
    'TAP: names');
ok(!$point{'riscv64 precopy/unix/plain'}->is_ok, 'TAP: what failed');
ok($point{"x86_64 $_"}->is_ok, "TAP: $_ passed") for qw(guest/suspend precopy/unix/plain);
like($point{'riscv64 guest/suspend'}->explanation, qr/needs suspend to RAM/, 'TAP: the skip\'s reason');
is_deeply([$tap->failed], [$point{'riscv64 precopy/unix/plain'}->number], 'TAP: nothing else failed');
like($yaml, qr/duration_ms: [\d.]+/, 'TAP: the time');
like($yaml, qr/fake-qemu: this will hurt/, 'TAP: the failure\'s report');

# JSON.
my $json = JSON::PP->new->utf8->decode(slurp("$cwd/report.json"));
my %result = map { ("$_->{arch} $_->{scenario}" => $_) } @{$json->{results}};
my $summary = $json->{summary};
is($json->{format}, 1, 'JSON: format');
is_deeply([sort keys %result], [sort keys %point], 'JSON: names');
is($summary->{passed} + $summary->{known}, 2, 'JSON: two passed');
is_deeply([@$summary{qw(failed skipped errors)}], [1, 1, 0], 'JSON: the other counts');
ok(!$summary->{interrupted} && $summary->{seconds} > 0, 'JSON: the rest of the summary');
my $passed = $result{'x86_64 precopy/unix/plain'};
like($passed->{status}, qr/^(pass|known)$/, 'JSON: pass');
is_deeply([@$passed{qw(arch accel image repetition repetitions message)}],
    ['x86_64', 'tcg', 'x86_rom', 1, 1, ''], 'JSON: what was run');
like($passed->{$_}, qr/^\d+\.\d+\.\d+$/, "JSON: $_") for qw(source_version destination_version);
like($passed->{machine}, qr/^pc-q35-\d/, 'JSON: the machine is a version, not an alias');
my %oracle = map { ($_->{name} => $_) } @{$passed->{oracles}};
is_deeply([sort keys %oracle], [qw(blackout continuity guest identity page-order position twin)],
    'JSON: the oracles that have judged');
cmp_ok($_->{bytes}, '>', 0, "JSON: $_->{name}: bytes") for values %oracle;
cmp_ok($passed->{measurements}{$_}, '>', 0, "JSON: $_") for qw(blackout_ms blackout_resolution_ms);
ok($passed->{measurements}{live}, 'JSON: the migration was live');
my $sum = 0;
$sum += $_->{ms} for @{$passed->{phases}};
cmp_ok($sum, '<=', $passed->{ms}, 'JSON: the phases are parts of the whole time');
is_deeply([@{$result{'riscv64 guest/suspend'}}{qw(status ms)}], ['skip', 0], 'JSON: skip');
my $failed = $result{'riscv64 precopy/unix/plain'};
is_deeply([$failed->{status}, $failed->{phase}], ['fail', 'migrate'], 'JSON: fail');
is_deeply([map { $_->{name} } @{$failed->{vms}}], ['source', 'destination'], 'JSON: its VMs');
is($failed->{vms}[0]{stderr}, 'fake-qemu: this will hurt', 'JSON: what QEMU said');
my $about = $json->{about};
like($about->{date}, qr/^20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ\z/, 'JSON: the date');
like($about->{command}, qr/^\Q$godwit\E run .*precopy\/unix\/plain guest\/suspend .* html:report\.html\z/,
    'JSON: the command line');
is_deeply([sort map { $_->{target} } @{$about->{targets}}], [sort keys %{{map { (split ' ')[0] => 1 } keys %result}}],
    'JSON: the targets');
for my $binary (map { $_->{source} } @{$about->{targets}}) {
    my ($sum) = split ' ', `sha256sum '$binary'`;
    is($about->{qemus}{$binary}{sha256}, $sum, "JSON: the checksum of $binary");
}
like($failed->{again}, qr/^godwit run precopy\/unix\/plain --arch riscv64 /, 'JSON: again');

# JUnit.
SKIP: {
    my $xmllint = (grep { -x } map {"$_/xmllint"} split /:/, $ENV{PATH})[0];
    skip 'no xmllint', 1 unless $xmllint;
    my $xpath = sub {
        open my $answer, '-|', $xmllint, '--xpath', $_[0], "$cwd/report.junit" or die $!;
        local $/;
        return (readline $answer) =~ s/\s+\z//r;
    };
    is(system($xmllint, '--noout', "$cwd/report.junit"), 0, 'JUnit: well-formed');
    my $suite = '/testsuites/testsuite';
    is($xpath->("string($suite/@*[name()='$_->[0]'])"), $_->[1], "JUnit: $_->[0]")
        for ['tests', 4], ['failures', 1], ['errors', 0], ['skipped', 1];
    is($xpath->("count($suite/testcase)"), 4, 'JUnit: as many as it says');
    is($xpath->("string($suite/properties/property[\@name='date']/\@value)"), $about->{date}, 'JUnit: the date');
    is($xpath->("string($suite/testcase[failure]/\@classname)"), 'riscv64', 'JUnit: what failed');
    like($xpath->("string($suite/testcase/failure)"), qr/fake-qemu: this will hurt/,
        'JUnit: the failure\'s report');
}

# HTML.
my $html = slurp("$cwd/report.html");
like($html, qr/\A<!DOCTYPE html>\n.*<\/html>\n\z/s, 'HTML: whole');
like($html, qr/<a href="#(r\d+)">precopy\/unix\/plain<\/a>.*<h2 id="\1" class="FAIL">riscv64 precopy\/unix\/plain</s,
    'HTML: what failed');
like($html, qr/fake-qemu: this will hurt/, 'HTML: the failure\'s report');
like($html, qr/<th>command<\/th><td>\Q$godwit\E run .*sha256 [0-9a-f]{64}</s, 'HTML: what is tested');
unlike($html, qr/(?:src|href)\s*=\s*"(?!#|\.)|url\(|<script [^>]|http/, 'HTML: nothing comes from elsewhere');
is(scalar(() = $html =~ /<script>/g), 1, 'HTML: one script');
my ($folder) = $html =~ /Its files: <a href="([^"]+)">/;
ok(-e "$cwd/$folder/report.txt", 'HTML: a link to the files of what failed') if defined $folder;
ok(defined $folder, 'HTML: a link to the files');

# Text.
my $text = slurp("$cwd/report.text");
my %word = (pass => 'ok', known => 'known', fail => 'FAIL', skip => 'skip');
my %shown;
$shown{"$2 $3"} = $1 while $text =~ /^(\w+) +(\w+) +(\w+\/\S+) /mg;
is_deeply(\%shown, {map { ($_ => $word{$result{$_}{status}}) } keys %result},
    'text: a line a result');
like($text, qr/^$summary->{passed} passed, 1 failed, 1 skipped.* in \d/m, 'text: the counts');
like($text, qr/^$oracle{twin}{bytes} bytes of guest RAM compared/m, 'text: what was proven');
unlike($text, qr/[^[:print:]\n]/, 'text: no control characters in a file');

my @x86 = qw(run -w order precopy/unix/plain --arch x86_64 --accel tcg);

# One format to standard output is what the file has; there is nothing else there.
for my $format (qw(text tap junit json)) {
    my $piped = run([@x86, '--format', $format, '--qemu', fake('crashes')]);
    is($piped->{err}, '', "$format in a pipe: nothing on standard error");
    unlike($piped->{out}, qr/[^[:print:]\n]/, "$format in a pipe: no control characters");
    like($piped->{out}, qr/this will hurt/, "$format in a pipe: the report");
}

# On a terminal there is progress that moves, and colour, unless they are not wanted.
SKIP: {
    skip 'no script(1)', 1 unless grep { -x "$_/script" } split /:/, $ENV{PATH};
    my %seen = (
        'a terminal' => [{}, 1, 1],
        'NO_COLOR' => [{NO_COLOR => 1}, 1, 0],
        'a dumb terminal' => [{TERM => 'dumb'}, 0, 0],
    );
    for my $name (sort keys %seen) {
        my ($env, $moves, $coloured) = @{$seen{$name}};
        my $shown = run([], env => $env, command => ['script', '-qec', "$godwit @x86", '/dev/null']);
        is($shown->{status}, 0, "$name: exit status");
        my $moved = () = $shown->{out} =~ /\r\e\[K/g;
        is(!!$moved, !!$moves, "$name: a line that moves, or none");
        is($shown->{out} =~ /\e\[3\dm/, !!$coloured, "$name: colour, or none");
        like($shown->{out}, qr/\[0\/1\] x86_64 precopy\/unix\/plain: migrate, iteration \d+, [\d.]+ MiB left, \d+ Mbit\/s/,
            "$name: phase, iteration, what is left, rate") if $moves;
        like($shown->{out}, qr/(?:^|\r\e\[K)(?:\e\[3\dm)?(?:ok|known)(?:\e\[0m)? /m, "$name: the result");
        unlike($shown->{out}, qr/[^[:print:]\r\n]/, "$name: nothing else") unless $moves;
    }
}

# A run that is cut short: whatever was asked for is in every report, once, and none of them is green.
{
    my ($path, $handle) = fifo();
    my $cut = start([qw(run precopy/unix/plain precopy/tcp/plain --repeat 2 -j1 --accel tcg --qemu), fake('hangs'),
            map { ('--format', "$_:report.$_") } qw(text tap junit json html)], env => {FAKE_QEMU_TELL => $path});
    told($handle);
    kill 'TERM', $cut->{pid};
    finish($cut);
    is($cut->{status}, 128 + 15, 'cut short: exit status');
    my %report = map { ($_ => slurp("$cut->{dir}/cwd/report.$_")) } qw(text tap junit json html);
    my $document = eval { JSON::PP->new->utf8->decode($report{json}) } || {};
    my %times;
    $times{"$_->{scenario} $_->{repetition}"}++ for @{$document->{results} || []};
    is_deeply(\%times, {map { ("precopy/$_" => 1) } 'unix/plain 1', 'unix/plain 2', 'tcp/plain 1', 'tcp/plain 2'},
        'cut short, JSON: each job once');
    is_deeply([@{$document->{summary}}{qw(passed failed skipped errors not_run)}], [0, 0, 0, 4, 4], 'cut short, JSON: the counts');
    is_deeply([map { $_->{message} } @{$document->{results} || []}],
        ['not run to its end: interrupted', ('not run: interrupted') x 3], 'cut short, JSON: the reasons');
    my $points = TAP::Parser->new({tap => $report{tap}});
    $points->run;
    is_deeply([$points->parse_errors], [], 'cut short, TAP: no errors');
    is($points->tests_planned, 4, 'cut short, TAP: the plan');
    is(scalar($points->failed), 4, 'cut short, TAP: none passed');
    like($report{junit}, qr/tests="4" failures="0" errors="4" skipped="0"/, 'cut short, JUnit: the counts');
    is(scalar(() = $report{junit} =~ /<error message="not run/g), 4, 'cut short, JUnit: each is an error');
    like($report{text}, qr/^0 passed, 0 failed, 0 skipped, 4 not run in .* \(interrupted\)$/m, 'cut short, text: the count');
    is(scalar(() = $report{text} =~ /^ERROR x86_64 .*  not run/mg), 4, 'cut short, text: each in a line');
    is(scalar(() = $report{html} =~ />ERROR</g), 4, 'cut short, HTML: each in a row');
}

# HTML: what went wrong comes first, what was skipped last.
like($html, qr/>FAIL<.*>(?:ok|known)<.*<summary>1 skipped<\/summary>.*>skip</s, 'HTML: the order');
unlike($html, qr/>skip<.*>(?:ok|known|FAIL)<\/td>/s, 'HTML: no skip before the rest');

# `godwit migrate` writes as many.
my $two = run([qw(migrate --arch x86_64 --accel tcg -w order), map { ('--format', "$_:two.$_") } qw(text json)]);
is($two->{status}, 0, 'migrate: exit status') or diag $two->{err};
is_deeply([sort map { s{.*/}{}r } @{$two->{left}}], [qw(two.json two.text)], 'migrate: both reports');
like(slurp("$two->{dir}/cwd/two.text"), qr/ migrate /, 'migrate: text');
is(JSON::PP->new->utf8->decode(slurp("$two->{dir}/cwd/two.json"))->{results}[0]{scenario}, 'migrate', 'migrate: JSON');

done_testing();
