#!/usr/bin/env perl
# The folders of harness/ form layers, in the order of the table in docs/architecture.md: a file
# includes only what is in its own folder or below it, so no two folders can include each other.
# No C file there has more than 500 lines beside its tables. Only results read measurements. Each
# rule is first seen to fail, on small trees that break it.
use strict;
use warnings;
use File::Basename qw(dirname);
use File::Find;
use File::Path qw(make_path);
use File::Temp qw(tempdir);
use Test::More;

my $most = 500;

sub slurp {
    my ($path) = @_;
    open my $file, '<', $path or die "$path: $!";
    local $/;
    return scalar <$file>;
}

# The layers of the table in PATH, lowest first.
sub layers_of {
    my ($path) = @_;
    return slurp($path) =~ /^\| `(\w+)\/` \|/mg;
}

# The C files below FOLDER, as paths in it.
sub sources {
    my ($folder) = @_;
    my @files;
    find({no_chdir => 1, wanted => sub {
        push @files, substr($_, 1 + length $folder) if /\.[ch]\z/ && -f;
    }}, $folder);
    return sort @files;
}

sub folder_of {
    my ($file) = @_;
    my $folder = dirname($file);
    return $folder eq '.' ? '' : $folder;
}

# How many lines of TEXT are not in a table, an initialiser at file level.
sub lines_beside_tables {
    my ($text) = @_;
    my ($lines, $inside) = (0, 0);
    for (split /\n/, $text) {
        $inside = 1 if /^[^\s#\/*].* = \{$/ || /^[A-Z_]+\(\w+\) = \{$/;
        $lines++ unless $inside;
        $inside = 0 if /^\};/;
    }
    return $lines;
}

# The header that lets measurements be read, and the only folders whose files may include it: those
# of the header itself and of the results. All other code only writes measurements.
my $measured = 'testbed/measured.h';
my @readers = ('testbed', 'run');

# What breaks a rule in FOLDER, whose folders are LAYERS, lowest first; a line each.
sub problems {
    my ($folder, @layers) = @_;
    my %height = map { $layers[$_] => $_ + 1 } 0 .. $#layers;
    my (@problems, %seen);
    for my $file (sources($folder)) {
        my $own = folder_of($file);
        my $text = slurp("$folder/$file");
        $seen{$own} = 1;
        push @problems, "$file: the folder is in no layer" if $own ne '' && !$height{$own};
        my $lines = lines_beside_tables($text);
        push @problems, "$file: $lines lines, more than $most" if $lines > $most;
        next if $own eq ''; # main.c, above all
        for my $include ($text =~ /^#include "([^"]+)"/mg) {
            push @problems, "$file: reads measurements"
                if $include eq $measured && !grep { $_ eq $own } @readers;
            next unless -f "$folder/$include";
            my $other = folder_of($include);
            push @problems, "$file: includes $include of a layer above"
                if !$height{$other} || $height{$other} > ($height{$own} // 0);
        }
    }
    push @problems, "$_/: there is no such folder" for grep { !$seen{$_} } @layers;
    return @problems;
}

# A tree with FILES, path and content each.
sub tree {
    my %files = @_;
    my $folder = tempdir(CLEANUP => 1);
    for my $path (keys %files) {
        make_path(dirname("$folder/$path"));
        open my $file, '>', "$folder/$path" or die;
        print $file $files{$path};
        close $file or die;
    }
    return $folder;
}

my $table = "static const int table[] = {\n" . "    1,\n" x ($most + 1) . "};\n";
my @good = (
    'low/a.h' => "int a;\n",
    'low/a.c' => "#include \"low/a.h\"\n#include <low/b.h>\n$table",
    'high/b.h' => "#include \"low/a.h\"\n",
    'main.c' => "#include \"high/b.h\"\n",
);
is_deeply([problems(tree(@good), 'low', 'high')], [], 'a tree in layers has no problems');

for my $broken (
    ['a layer above is included', ['low/c.c' => "#include \"high/b.h\"\n"],
     'low/c.c: includes high/b.h of a layer above'],
    ['two folders include each other', ['low/a.h' => "#include \"high/b.h\"\n"],
     'low/a.h: includes high/b.h of a layer above'],
    ['main is included', ['main.h' => "int m;\n", 'low/c.c' => "#include \"main.h\"\n"],
     'low/c.c: includes main.h of a layer above'],
    ['measurements are read', ['high/c.c' => "#include \"$measured\"\n"],
     'high/c.c: reads measurements'],
    ['a folder is in no layer', ['else/c.c' => "int c;\n"],
     'else/c.c: the folder is in no layer'],
    ['a file is too long', ['low/long.c' => "int i;\n" x ($most + 1)],
     'low/long.c: ' . ($most + 1) . " lines, more than $most"],
) {
    my ($name, $files, $problem) = @$broken;
    is_deeply([problems(tree(@good, @$files), 'low', 'high')], [$problem], "noticed: $name");
}
is_deeply([problems(tree(@good), 'low', 'middle', 'high')], ['middle/: there is no such folder'],
          'noticed: a layer without a folder');

my @layers = layers_of('docs/architecture.md');
cmp_ok(scalar @layers, '>', 5, 'docs/architecture.md has the table of layers');
my @problems = problems('harness', @layers);
is(scalar @problems, 0, 'the harness is built in layers') or diag(join "\n", @problems);
done_testing();
