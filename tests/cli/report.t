#!/usr/bin/env perl
# godwit report: what `convert` writes is what the run would have written, `merge` takes all shards of
# one run and nothing else, `diff` finds what is worse, and no file can do harm.
#
# SPDX-License-Identifier: MIT
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Cli;
use File::Temp qw(tempdir);
use JSON::PP ();
use Storable qw(dclone);
use Test::More;

my $dir    = tempdir(CLEANUP => 1);
my $schema = "$FindBin::Bin/../../docs/results.schema.json";
my ($python) = grep { system("$_ -c 'import jsonschema' >/dev/null 2>&1") == 0 } qw(python3 /usr/bin/python3);

sub spew {
    my ($name, $bytes) = @_;
    open my $file, '>:raw', "$dir/$name" or die "$dir/$name: $!";
    print $file $bytes;
    close $file or die "$dir/$name: $!";
    return "$dir/$name";
}

sub document { return JSON::PP->new->utf8->decode($_[0]) }
sub spew_json { return spew($_[0], JSON::PP->new->utf8->canonical->encode($_[1])) }
sub report { return run(['report', @_]) }

# Exit status 2 and one line that matches, and nothing on standard output.
sub refuses {
    my ($args, $pattern, $name) = @_;
    my $refused = report(@$args);
    is($refused->{status}, 2, "$name: exit status");
    like($refused->{err}, qr/\Agodwit: [[:print:]]{1,600}\n\z/, "$name: one printable line") or return;
    like($refused->{err}, $pattern, "$name: it says why");
    is($refused->{out}, '', "$name: nothing on standard output");
    return;
}

# Every format, from a run and from its results.
my @formats = qw(text tap junit json html csv ctrf tmt github markdown);
my @sources = (['hostile', qw(precopy/unix/plain precopy/tcp/plain --repeat 2 --qemu), fake('hostile-crashes')]);
push @sources, ['real', qw(precopy/unix/plain guest/suspend --qemu), $qemu, '--qemu', fake('crashes')] if $qemu;
my %made;
for my $source (@sources) {
    my ($name, @args) = @$source;
    my $run = run(['run', '--accel', 'tcg', '-j1', @args, map { ('--format', "$_:report.$_") } @formats]);
    is($run->{status}, 1, "$name: exit status");
    $made{$name} = spew("$name.json", slurp("$run->{dir}/cwd/report.json"));
    for my $format (@formats) {
        my $again = report('convert', '--format', $format, $made{$name});
        is($again->{status}, 0, "$name, convert to $format: exit status") or diag($again->{err});
        my $wrote = slurp("$run->{dir}/cwd/report.$format");
        # The page links to folders as seen from its own.
        my @pages = map {s{href="[^"]*/godwit-output/}{href="godwit-output/}gr} $again->{out}, $wrote;
        is($pages[0], $pages[1], "$name, convert to $format: what the run wrote");
        my @missing = grep { !-d "$run->{dir}/cwd/$_" } $wrote =~ /href="([^"]*godwit-output[^"]*)"/g;
        is("@missing", '', "$name, $format: its links lead to folders");
        unlike($again->{out}, qr/[^[:print:]\n]/a, "$name, convert to $format: nothing for a terminal");
    }
    is(report('convert', $made{$name})->{out}, slurp("$run->{dir}/cwd/report.text"), "$name, convert: text by default");
    is(report('convert', '--gate', $made{$name})->{status}, 1, "$name, convert --gate: a failure");
}
my $hostile = document(slurp($made{hostile}));

# The new formats.
{
    my $ctrf = document(report('convert', '-f', 'ctrf', $made{hostile})->{out});
    is_deeply([@$ctrf{qw(reportFormat)}, $ctrf->{results}{tool}{name}], ['CTRF', 'godwit'], 'CTRF: head');
    my $summary = $ctrf->{results}{summary};
    is_deeply([@$summary{qw(tests passed failed skipped pending other)}], [4, 0, 4, 0, 0, 0], 'CTRF: counts');
    cmp_ok($summary->{stop}, '>=', $summary->{start}, 'CTRF: times');
    my %tests = map { $_->{name} => $_ } @{$ctrf->{results}{tests}};
    is_deeply([sort keys %tests], [map { ("precopy/$_ #1", "precopy/$_ #2") } qw(tcp/plain unix/plain)], 'CTRF: names');
    is($_->{status}, 'failed', 'CTRF: status') for values %tests;
    like($tests{'precopy/tcp/plain #1'}{trace}, qr/^phase +migrate$/m, 'CTRF: the report');

    my @lines = split /\n/, report('convert', '-f', 'csv', $made{hostile})->{out};
    is(scalar @lines, 5, 'CSV: a line a result');
    like($lines[1], qr/\A"x86_64","precopy\/\w+\/plain",1,"fail","crash"/, 'CSV: cells');
    my $formula = dclone($hostile);
    $formula->{results}[0]{message} = qq(=cmd|'/c calc'!A0",\n"x);
    like(report('convert', '-f', 'csv', spew_json('formula.json', $formula))->{out},
        qr/,"'=cmd\|'\/c calc'!A0"", ""x"$/m, 'CSV: quotes, and no formula');

    my $many = dclone($hostile);
    $many->{results} = [map { my $copy = dclone($hostile->{results}[0]);
            @$copy{qw(repetition message)} = ($_, "50%\n::error title=forged::x"); $copy } 1 .. 30];
    my $step = "$dir/step";
    my $github = run(['report', 'convert', '-f', 'github', spew_json('many.json', $many)], env => {GITHUB_STEP_SUMMARY => $step});
    my @annotations = split /\n/, $github->{out};
    is(scalar @annotations, 10, 'GitHub: no more annotations than are shown');
    is(scalar(grep { !/^::error title=[^:,]*::/ } @annotations), 0, 'GitHub: each line is one');
    like($annotations[0], qr/::50%25%0A::error/, 'GitHub: no line that is forged');
    like($annotations[-1], qr/::21 more$/, 'GitHub: how many more');
    is(scalar(() = slurp($step) =~ /^<details>/mg), 30, 'GitHub: the summary has each');
    is(slurp($step), report('convert', '-f', 'markdown', "$dir/many.json")->{out}, 'Markdown: the summary');
    run(['report', 'convert', '-f', 'github', "$dir/many.json"], env => {GITHUB_STEP_SUMMARY => $step});
    is(scalar(() = slurp($step) =~ /^## Godwit/mg), 2, 'GitHub: the summary is appended');
    $many->{results}[$_]{message} = '<b>' x 100_000 for 0 .. 29;
    my $long = report('convert', '-f', 'markdown', spew_json('long.json', $many))->{out};
    cmp_ok(length $long, '<', 1024 * 1024, 'Markdown: no larger than GitHub takes');
    like($long, qr/more are left out/, 'Markdown: it says so');
    unlike($long, qr/<b>/, 'Markdown: no HTML from outside');
}

# Shards.
my @quick  = ('precopy/*/plain', '--accel', 'tcg', '--qemu', fake('crashes'));
my @shards = map { spew("shard-$_.json", run(['run', @quick, '--shard', "$_/3", '--seed', $_, '-f', 'json'])->{out}) } 1 .. 3;
my @names  = split /\n/, run(['list', 'precopy/*/plain'])->{out} =~ s/ .*//mgr;
{
    my $merged = report('merge', @shards[2, 0, 1]);
    is($merged->{status}, 0, 'merge: exit status') or diag($merged->{err});
    my $document = document($merged->{out});
    is_deeply([sort map { $_->{scenario} } @{$document->{results}}], [sort @names], 'merge: each scenario once');
    is($document->{summary}{failed}, scalar @names, 'merge: the counts');
    is_deeply([@{$document->{selection}}{qw(shard shards)}], [1, 1], 'merge: one part of one');
    is_deeply([map { $_->{shard} } @{$document->{about}{parts}}], [1, 2, 3], 'merge: what the parts were');
    my $path = spew('merged.json', $merged->{out});
    SKIP: {
        skip 'no python3 with jsonschema (Debian: python3-jsonschema)', 1 unless $python;
        is(`$python $FindBin::Bin/lib/schema.py --strict '$schema' '$path' 2>&1`, '', 'merge: valid');
    }
    is(report('merge', $path)->{status}, 0, 'merge: once more');
    is(report('merge', '--gate', @shards)->{status}, 1, 'merge --gate: a failure');
    my $several = report('merge', '-f', 'junit:all.xml', '-f', 'text', @shards);
    like($several->{out}, qr/^0 passed, ${\scalar @names} failed/m, 'merge: several formats');
    like(slurp("$several->{dir}/cwd/all.xml"), qr/tests="${\scalar @names}"/, 'merge: into a file');

    # Shards by recorded times: one scenario takes as long as all others.
    my $times = document(slurp($path));
    $_->{ms} = 1000 for @{$times->{results}};
    my ($slow) = grep { $_->{scenario} eq $names[1] } @{$times->{results}};
    $slow->{ms} = 1000 * (@names - 1);
    my $file = spew_json('times.json', $times);
    my @weighed = map { run(['run', @quick, '--shard', "$_/2", '--shard-times', $file, '-f', 'json']) } 1, 2;
    my @parts = map { spew("weighed-$_.json", $weighed[$_]{out}) } 0, 1;
    is_deeply([sort map { scalar @{document($_->{out})->{results}} } @weighed], [sort 1, @names - 1], '--shard-times: the long one alone');
    my $sum = @names - 1;
    like($weighed[0]{err}, qr/^godwit: shard 1 of 2: \d+ of ${\scalar @names} scenarios, about $sum\.0 s with -j1; all shards take about $sum\.0 s$/m,
        '--shard-times: what it says');
    is(report('merge', @parts)->{status}, 0, '--shard-times: the parts are a whole');
    refuses(['merge', $parts[0], spew('unweighed.json', run(['run', @quick, qw(--shard 2/2 -f json)])->{out})],
        qr/unweighed\.json is of another run/, 'a shard by other times');
    pop @{$times->{results}} while @{$times->{results}} > 1;
    like(run(['run', @quick, qw(--shard 1/2 --shard-times), spew_json('few.json', $times), '-f', 'json'])->{err},
        qr/; ${\(@names - 1)} not in \S+few\.json count as 1\.0 s each$/m, '--shard-times: scenarios of which nothing is known');

    refuses(['merge', @shards[0, 2]], qr/shard 2 of 3 is missing/, 'a missing shard');
    refuses(['merge', @shards[0, 1]], qr/shard 3 of 3 is missing/, 'the last shard missing');
    refuses(['merge', @shards, $shards[1]], qr/shard 2 of 3 is in .*shard-2\.json and in .*shard-2\.json/, 'a doubled shard');
    my $foreign = spew('foreign.json', run(['run', @quick, qw(--cpus 2 --shard 2/3 -f json)])->{out});
    refuses(['merge', $shards[0], $foreign, $shards[2]], qr/foreign\.json is of another run/, 'a foreign shard');
    my $fourth = spew('fourth.json', run(['run', @quick, qw(--shard 2/4 -f json)])->{out});
    refuses(['merge', $shards[0], $fourth, $shards[2]], qr/of another run than .*: shards: 4 and 3/, 'a shard of four');
    my %edited = (
        'a result less' => [sub { pop @{$_[0]{results}} }, qr/a file is not complete/],
        'a result of another shard' => [sub { $_[0]{results}[0] = document(slurp($shards[0]))->{results}[0] }, qr/ is in .* and in /],
        'a repetition that is missing' => [sub { $_[0]{results}[0]{repetitions} = 2 }, qr/was to run 2 times/],
    );
    for my $name (sort keys %edited) {
        my $document = document(slurp($shards[1]));
        $edited{$name}[0]->($document);
        refuses(['merge', $shards[0], spew_json('edited.json', $document), $shards[2]], $edited{$name}[1], "a shard with $name");
    }
}

# What has become of scenarios: each status to each other one, and to none.
{
    my $template = $hostile->{results}[0];
    my %bug = map { $_ => {id => $_, summary => 's', reference => 'r', seen => 'x'} } qw(a b);
    my $with = sub {
        my ($file, %status) = @_;
        my $document = dclone($hostile);
        $document->{results} = [map {
            my ($status, @bugs) = split / /, $status{$_};
            +{ %$template, scenario => $_, status => $status, repetitions => 1, repetition => 1,
                message => $status =~ /pass|known/ ? '' : "why\n\e[31m",
                measurements => {@bugs ? (known_bugs => [@bug{@bugs}]) : ()} }
        } sort keys %status];
        return spew_json($file, $document);
    };
    my @cases = (
        ['pass', 'pass', 'same'], ['pass', 'known a', 'worse'], ['pass', 'skip', 'worse'], ['pass', 'error', 'worse'],
        ['pass', 'fail', 'worse'], ['known a', 'pass', 'better'], ['known a', 'known a', 'same'],
        ['known a', 'known b', 'worse'], ['known a', 'known a b', 'worse'], ['known a b', 'known a', 'better'],
        ['known a', 'fail', 'worse'], ['skip', 'pass', 'came'], ['skip', 'known a', 'came'], ['skip', 'fail', 'worse'],
        ['skip', 'skip', 'same'], ['fail', 'pass', 'better'], ['fail', 'skip', 'went'], ['fail', 'fail', 'same'],
        ['error', 'fail', 'worse'], ['fail', 'error', 'better'], ['error', 'skip', 'went'],
        [undef, 'pass', 'came'], [undef, 'skip', 'came'], [undef, 'fail', 'worse'], ['pass', undef, 'went'], ['fail', undef, 'went']);
    for my $case (@cases) {
        my ($old, $new, $expected) = @$case;
        my $name = ($old // 'nothing') . ' to ' . ($new // 'nothing');
        my @files = map { $with->($_->[0], common => 'pass', defined $_->[1] ? (it => $_->[1]) : ()) } ['old.json', $old], ['new.json', $new];
        my $diff = report('diff', '-f', 'json', @files);
        my $found = document($diff->{out});
        my ($change) = grep { @{$found->{$_}} } qw(worse better came went);
        is($change // 'same', $expected, "diff: $name");
        is($diff->{status}, $expected eq 'worse' ? 1 : 0, "diff: $name: exit status");
        unlike(report('diff', @files)->{out}, qr/[^[:print:]\n]/a, "diff: $name: tame") if $expected eq 'worse';
    }
    my @pair = ($with->('old.json', it => 'pass', gone => 'pass'), $with->('new.json', it => 'fail', more => 'pass'));
    is(report('diff', @pair)->{out}, <<'END', 'diff: the text');
worse   x86_64 it: pass -> fail: why \x1b[31m
came    x86_64 more: - -> pass
went    x86_64 gone: pass -> -
1 worse, 0 better, 1 came, 1 went, 0 the same
END
    refuses(['diff', $pair[0], $with->('new.json', other => 'pass')], qr/no scenario in common/, 'diff: nothing in common');
}

# Files that are wrong.
my %wrong = (
    'empty' => '', 'no JSON' => "hello\n", 'cut off' => substr(slurp($made{hostile}), 0, 2000), 'zeros' => "\0" x 4096,
    'no UTF-8' => "{\"format\": \"\xff\xfe\"}", 'deep' => '[' x 1_000_000, 'a list' => '[]', 'another object' => '{"a": 1}',
    'a name twice' => '{"format": 1, "format": 1}', 'an escape' => "\e[31m{", 'a number' => '1e999');
refuses(['convert', spew('wrong.json', $wrong{$_})], qr/wrong\.json: not /, "a file that is $_") for sort keys %wrong;
my %damage = (
    'a later version' => [sub { $_[0]{format} = 2 }, qr/results of version 2; this program reads version 1/],
    'a version that is text' => [sub { $_[0]{format} = '1' }, qr/there is no "format"/],
    'no selection' => [sub { delete $_[0]{selection} }, qr/selection is not an object/],
    'shard 4 of 3' => [sub { @{$_[0]{selection}}{qw(shard shards)} = (4, 3) }, qr/no such shard/],
    'shard 0' => [sub { $_[0]{selection}{shard} = 0 }, qr/selection: "shard"/],
    'a shard that is no int' => [sub { $_[0]{selection}{shards} = 1e15 }, qr/selection: "shards"/],
    'no results' => [sub { delete $_[0]{results} }, qr/"results" is not an array/],
    'results that are an object' => [sub { $_[0]{results} = {} }, qr/"results" is not an array/],
    'a result that is text' => [sub { $_[0]{results}[1] = 'x' }, qr/results\[1\] is not an object/],
    'an unknown status' => [sub { $_[0]{results}[0]{status} = 'good' }, qr/results\[0\]: "status"/],
    'no scenario' => [sub { delete $_[0]{results}[0]{scenario} }, qr/results\[0\]: "scenario" is missing/],
    'a name with a line end' => [sub { $_[0]{results}[0]{scenario} = "a\nok 1" }, qr/"scenario" is not what/],
    'a name that turns text around' => [sub { $_[0]{results}[0]{target} = "a\x{202e}" }, qr/"target" is not what/],
    'a time below 0' => [sub { $_[0]{results}[0]{ms} = -1 }, qr/"ms"/],
    'a time beyond all' => [sub { $_[0]{results}[0]{ms} = 1e300 }, qr/"ms"/],
    'a result twice' => [sub { $_[0]{results}[1] = $_[0]{results}[0] }, qr/is there twice/],
    'known without a bug' => [sub { $_[0]{results}[0]{status} = 'known' }, qr/no known bug is named/],
    'a bug without a name' => [sub { $_[0]{results}[0]{measurements}{known_bugs} = [{}] }, qr/known_bugs\[0\]: "id"/],
    'bugs that are text' => [sub { $_[0]{results}[0]{measurements}{known_bugs} = 'x' }, qr/"known_bugs" is not an array/],
);
for my $name (sort keys %damage) {
    my $document = dclone($hostile);
    $damage{$name}[0]->($document);
    refuses(['convert', spew_json('damaged.json', $document)], $damage{$name}[1], $name);
}
{
    spew('huge.json', '');
    truncate "$dir/huge.json", 300 << 20 or die "truncate: $!";
    refuses(['convert', "$dir/huge.json"], qr/huge\.json/, 'a huge file');
    my ($fifo) = fifo();
    refuses(['convert', $fifo], qr/not a regular file/, 'a FIFO');
    refuses(['convert', $dir], qr/not a regular file/, 'a folder');
    refuses(['convert', "$dir/none.json"], qr/No such file/, 'no file');
    refuses(['convert', "$dir/none\e[31m.json"], qr/No such file/, 'a name with an escape');
}

# Members of any kind, where reporters do not rely on them: no format fails, or prints what is not tame.
{
    my @values = ("\e[31m\n1..1\n::error::x", -1, 9e18, 1.5, undef, JSON::PP::true(), [], {}, [[]], {a => {b => []}});
    my $state = 1;
    my $random = sub { $state = ($state * 1103515245 + 12345) % 2**31; return ($state >> 8) % $_[0] };
    my $change;
    $change = sub {
        my ($value) = @_;
        return $values[$random->(scalar @values)] if $random->(8) == 0;
        return {map { $_ => $change->($value->{$_}) } sort keys %$value} if ref $value eq 'HASH';
        return [map { $change->($_) } @$value] if ref $value eq 'ARRAY';
        return $value;
    };
    my $real = document(slurp($made{real} // $made{hostile}));
    my %relied = map { $_ => 1 } qw(scenario target status message ms kind known repetition repetitions);
    my (@bad, $read) = ();
    for my $round (1 .. 12) {
        my $document = dclone($real);
        for my $result (@{$document->{results}}) {
            for my $key (sort grep { !$relied{$_} } keys %$result) {
                my $fresh = $change->($result->{$key});
                next if $key eq 'measurements' && (ref $fresh ne 'HASH' || $result->{status} eq 'known');
                next if $key =~ /^(vms|oracles)$/ && ref $fresh ne 'ARRAY';
                delete $fresh->{known_bugs} if $key eq 'measurements';
                $result->{$key} = $fresh;
            }
        }
        my $path = spew_json('random.json', $document);
        my @runs = run_all(3, map { [['report', 'convert', '-f', $_, $path]] } @formats);
        for my $i (0 .. $#runs) {
            $read += $runs[$i]{status} == 0;
            push @bad, "$round $formats[$i]: $runs[$i]{status} $runs[$i]{err}"
                if $runs[$i]{status} !~ /^[02]$/ || $runs[$i]{out} =~ /[^[:print:]\n]/a || $runs[$i]{err} =~ /CRITICAL|assert/;
        }
    }
    is(join("\n", @bad), '', 'members of any kind: nothing crashes, and all is tame');
    cmp_ok($read, '>=', 60, 'members of any kind: most are read');
}

# Usage.
refuses($_->[0], $_->[1], "report @{$_->[0]}") for
    [[], qr/expected merge, diff or convert/], [['join'], qr/expected merge, diff or convert/], [['merge'], qr/expected the results/],
    [['diff', $shards[0]], qr/expected two files/], [['convert'], qr/expected one file/], [['convert', @shards], qr/expected one file/],
    [['convert', '-f', 'pdf', $shards[0]], qr/unknown format "pdf"/], [['diff', '-f', 'tap', @shards[0, 1]], qr/expected text or json/],
    [['diff', '--gate', @shards[0, 1]], qr/--gate is for/], [['convert', '-f', 'tap', '-f', 'json', $shards[0]], qr/only one --format/],
    [['convert', '-f', 'tap:/no/such/folder/x', $shards[0]], qr/cannot write/];

done_testing();
