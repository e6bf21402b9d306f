#!/usr/bin/env perl
# What a QEMU says is words and nothing else: whatever it says, and wherever, no terminal obeys it, no
# reader of a report takes it for a part of the report, and no line to be pasted runs it.
#
# SPDX-License-Identifier: MIT
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Cli;
use Encode  ();
use JSON::PP ();
use TAP::Parser;
use Test::More;

# Behaviours of tests/fake-qemu.c that let a scenario begin, and what the report has to quote.
my %fails = (
    'hostile-babbles' => qr/not a JSON object/,
    'hostile-crashes' => qr/killed by signal 11/,
    'hostile-refuses' => qr/refused migrate/,
    'hostile-guest'   => qr/the console shows byte/,
);
# ... and those that are no usable QEMU.
my @unusable = qw(hostile-dies hostile-garbage);
my @scenario = qw(precopy/unix/plain --accel tcg --arch x86_64);

# Bytes that are valid UTF-8 and no character that anything obeys.
sub ok_tame {
    my ($bytes, $name) = @_;
    my $text = eval { Encode::decode('UTF-8', "$bytes", Encode::FB_CROAK) };
    ok(defined $text, "$name: UTF-8") or return;
    my ($wild) = $text =~ /([^\n\t -~\xa0-\x{10ffff}]|[\p{Cc}\p{Cf}\p{Zl}\p{Zp}](?<![\n\t]))/;
    ok(!defined $wild, "$name: no character that anything obeys")
        or diag(sprintf 'U+%04X', ord $wild);
    return;
}

# The words of a line as sh reads it, the first of which is the command.
sub words_of {
    my ($run, $line) = @_;
    $line =~ s/^(\S+)/said/;
    my $parsed = run([], command => ['sh', '-c', "said() { printf '%s\\0' \"\$\@\"; }\n$line\n"]);
    is($parsed->{err}, '', 'sh: no complaint');
    is_deeply([grep {m{/pwned$}} @{$parsed->{left}}], [], 'sh: the line runs no command');
    return split /\0/, $parsed->{out}, -1;
}

# The machine type that the fakes have, as fake-qemu.c has it.
sub hostile_machine {
    my $source = slurp("$FindBin::Bin/../fake-qemu.c");
    my ($literal) = $source =~ /^#define HOSTILE +\\\n((?:.*\\\n)*.*\n)/m;
    my $text = join '', $literal =~ /"((?:[^"\\]|\\.)*)"/g;
    my %plain = (n => "\n", r => "\r", '"' => '"', '\\' => '\\');
    $text =~ s{\\(?:x([0-9a-f]{2})|(.))}{defined $1 ? chr hex $1 : $plain{$2}}ge;
    return "pc-fake-1.2$text";
}

my @behaviours = sort keys %fails;
my @formats    = qw(text tap junit json html);
my @runs       = run_all(2, map { [['run', @scenario, '--qemu', fake($_),
            map { ('--format', "$_:report.$_") } @formats]] } @behaviours);
for my $behaviour (@behaviours) {
    my $run = shift @runs;
    subtest "a QEMU that is $behaviour" => sub {
        is($run->{status}, 1, 'exit status');
        is($run->{out} . $run->{err}, '', 'nothing beside the reports');
        my %report = map { ($_ => slurp("$run->{dir}/cwd/report.$_")) } @formats;
        my ($bundle) = glob "$run->{dir}/cwd/godwit-output/0001-*";
        $report{bundle} = slurp("$bundle/report.txt");
        $report{result} = slurp("$bundle/result.json");
        ok_tame($report{$_}, $_) for sort keys %report;
        like($report{$_}, $fails{$behaviour}, "$_: what it was") for sort keys %report;

        # No line of a report is the QEMU's alone.
        for my $name (qw(text bundle)) {
            unlike($report{$name}, qr/^(ok|not ok|\.\.\.|1\.\.|---$|Bail|pragma)/m, "$name: no line of its own");
        }

        # TAP.
        my $tap = TAP::Parser->new({tap => $report{tap}});
        my @kinds;
        while (my $result = $tap->next) {
            push @kinds, $result->type;
            is($result->directive, '', 'TAP: no directive') if $result->is_test;
        }
        is_deeply([$tap->parse_errors], [], 'TAP: no errors');
        is_deeply(\@kinds, [qw(version test yaml plan)], 'TAP: one point and its block');
        is_deeply([$tap->failed], [1], 'TAP: it failed');

        # JSON.
        my $json = eval { JSON::PP->new->utf8->decode($report{json}) } || {};
        is(scalar @{$json->{results} || []}, 1, 'JSON: one result');
        is($json->{results}[0]{status}, 'fail', 'JSON: it failed');

        # JUnit and HTML.
        SKIP: {
            my ($xmllint) = grep { -x } map {"$_/xmllint"} split /:/, $ENV{PATH};
            skip 'no xmllint', 2 unless $xmllint;
            for my $format (qw(junit html)) {
                (my $xml = $report{$format}) =~ s/<!DOCTYPE html>|<meta[^>]*>//g;
                open my $file, '>', "$run->{dir}/checked" or die $!;
                print $file $xml;
                close $file or die $!;
                is(system("$xmllint --noout '$run->{dir}/checked' 2>/dev/null"), 0, "$format: well-formed");
            }
        }
        unlike($report{html}, qr/<b a/, 'HTML: no markup of its own');

        # The line that does it again, in the shell's reading.
        for my $name (qw(text bundle)) {
            my ($again) = $report{$name} =~ /^ +(?:again +)?(\S*godwit run .*)$/m;
            my @words = words_of($run, $again // '');
            my ($machine) = map { $words[$_ + 1] } grep { $words[$_] eq '--machine' } 0 .. $#words - 1;
            is($machine, hostile_machine(), "$name: --machine as it was");
        }
        for my $line ($report{bundle} =~ /^(?:source|destination):\n +(.*)$/mg) {
            my @words = words_of($run, $line);
            my ($machine) = map { $words[$_ + 1] } grep { $words[$_] eq '-machine' } 0 .. $#words - 1;
            is($machine, hostile_machine() . ',dump-guest-core=off', 'by hand: -machine as it was');
        }
    };
}

# Everything else that speaks of a QEMU.
my %others = (
    (map { ("doctor, $_" => [['doctor', '--qemu', fake($_)]]) } @unusable, 'hostile-guest'),
    (map { ("run, $_" => [['run', @scenario, '--qemu', fake($_)]]) } @unusable, @behaviours),
    'list --why' => [['list', '--why', '--accel', 'tcg', '--qemu', fake('hostile-guest')]],
    'bench'      => [['bench', '-n1', @scenario, '--qemu', fake('hostile-crashes')]],
    'compare'    => [['compare', '-n1', @scenario, '--a', fake('hostile-crashes')]],
    'selftest'   => [['selftest', qw(relay/flip-bit --accel tcg), '--qemu', fake('hostile-refuses')]],
    'migrate'    => [['migrate', '--accel', 'tcg', '--qemu', fake('hostile-refuses')]],
);
my @names = sort keys %others;
my @said = run_all(2, map { $others{$_} } @names);
for my $name (@names) {
    my $run = shift @said;
    cmp_ok($run->{status}, '<=', 2, "$name: exit status");
    ok_tame($run->{$_}, "$name: std$_") for qw(out err);
    my @lines = split /\n/, $run->{err};
    is_deeply([grep { !/^(godwit: |(FAIL|ERROR) |      )/ } @lines], [], "$name: no line of the QEMU's own");
}

# A terminal, with the line that moves.
SKIP: {
    skip 'no script(1)', 1 unless grep { -x "$_/script" } split /:/, $ENV{PATH};
    my $fake = fake('hostile-crashes');
    my $shown = run([], command => ['script', '-qec', "$godwit migrate --accel tcg --qemu $fake", '/dev/null']);
    (my $rest = $shown->{out}) =~ s/\r\e\[K|\e\[\d+m|\r(?=\n)//g;
    ok_tame($rest, 'a terminal, but for what moves and what colours');
}

# What a stream has for a name: a machine type, a section, and what is told of where it is damaged.
{
    my $name = "\e[31m\n1..1\r\xc2\x9b\xe2\x80\xae\xff\x7f";
    my $stream = script_file('stream', '');
    open my $file, '>:raw', $stream or die "$stream: $!";
    print $file 'QEVM', pack('NCN/a*', 3, 7, "pc-$name"), pack('CNC/a*NN', 4, 1, "dev-$name", 0, 1), "\0" x 8;
    close $file or die "$stream: $!";
    for my $action (qw(inspect json verify)) {
        my $run = run(['stream', $action, $stream]);
        ok_tame($run->{$_}, "stream $action: std$_") for qw(out err);
        is(scalar(() = $run->{err} =~ /^godwit: /mg), scalar(split /\n/, $run->{err}),
            "stream $action: no line of the stream's own on standard error");
        is($run->{status}, 1, "stream $action: exit status");
        unlike($run->{out}, qr/^1\.\.1/m, "stream $action: no line of the stream's own");
    }
}

# Words of the command line and names of files are no better.
for my $args (["\e[31mcommand"], ['run', '--arch', 'x86_64', "\e[31m\xe2\x80\xaeglob"], ['run', '--qemu', "/no/\e[31m\xff\n\x7f"],
    ['stream', 'inspect', "/no/\e[31m\xff\nfile"], ['run', '--arch', 'x86_64', '--format', "tap:/no/\e[31m/\n/file"],
    ['migrate', '--arch', 'x86_64', '--fault', "\e[31m\n"]) {
    my $run = run($args);
    is($run->{status}, 2, 'wild words of a command line: exit status');
    ok_tame($run->{err}, 'wild words of a command line');
    like($run->{err}, qr/\Agodwit: .*\n\z/, 'wild words of a command line: one line');
}

done_testing();
