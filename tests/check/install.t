#!/usr/bin/env perl
# `make install` into an empty folder: the command runs from anywhere, other projects find the guests
# by pkg-config and by CMake, and `make uninstall` leaves no file.
#
# SPDX-License-Identifier: MIT
use strict;
use warnings;
use Cwd qw(abs_path getcwd);
use File::Basename qw(dirname);
use File::Temp qw(tempdir);
use Test::More;

$ENV{LC_ALL} = 'C';
delete @ENV{qw(DESTDIR PREFIX PARTS MAKEFLAGS MAKELEVEL PKG_CONFIG_SYSROOT_DIR)};
my $source = getcwd();
my $build  = dirname(abs_path($ENV{GODWIT} // 'build/godwit'));
my $dir    = tempdir(CLEANUP => 1);
my $empty  = "$dir/elsewhere";
mkdir $empty or die "$empty: $!\n";

sub have {
    my ($tool) = @_;
    return system("command -v $tool >/dev/null 2>&1") == 0;
}

# Runs a shell command. Returns its exit status and its output.
sub run {
    my ($command) = @_;
    my $output = `($command) 2>&1 </dev/null`;
    return ($? >> 8, $output);
}

sub works {
    my ($what, $command) = @_;
    my ($status, $output) = run($command);
    is $status, 0, $what or diag "$command\n$output";
    return $output;
}

sub slurp {
    my ($path) = @_;
    open my $file, '<:raw', $path or die "$path: $!\n";
    local $/ = undef;
    return scalar <$file>;
}

sub spew {
    my ($path, $text) = @_;
    open my $file, '>', $path or die "$path: $!\n";
    print $file $text;
    close $file or die "$path: $!\n";
    return;
}

sub files_in {
    my ($folder) = @_;
    return sort split /\n/, `find '$folder' ! -type d`;
}

my $version = (slurp('harness/base/version.h') =~ /GODWIT_VERSION "(.*)"/)[0];
my $abi     = (slurp('include/godwit/guest_abi.h') =~ /^#define GODWIT_ABI_VERSION (\d+)/m)[0];
my $prefix  = "$dir/prefix";
my $make    = "make -s O='$build'";

works 'make install', "$make install PREFIX='$prefix'";
is join("\n", files_in($prefix)),
    join("\n", sort split /\n/, works('the list of files', "PREFIX='$prefix' mk/install.sh list '$build' command guests")),
    'the files are those of the list';

# The command, with an environment and a working directory that know nothing of the source tree.
my $godwit = "cd '$empty' && env -i PATH='$prefix/bin:/usr/bin:/bin' HOME='$empty' TMPDIR='$empty' godwit";
is works('godwit --version', "$godwit --version"), "godwit $version\n", 'the version';
like works('godwit list', "$godwit list"), qr{^precopy/unix/plain }m, 'the list has scenarios';
SKIP: {
    have('qemu-system-x86_64') or skip 'no qemu-system-x86_64', 2;
    like works('godwit run', "$godwit run precopy/unix/plain --accel tcg --arch x86_64 -w order"),
        qr/^(1 passed|0 passed.*, 1 with a known bug)/m, 'a migration';
}
SKIP: {
    have('strip') or skip 'no strip', 2;
    works 'strip', "strip -o '$dir/stripped' '$prefix/bin/godwit'";
    ok index(slurp("$dir/stripped"), "$source/") < 0, 'no path of the source tree is in the program';
}

# The images.
for my $header (glob 'gen/*.h') {
    my ($image) = $header =~ m{gen/(.*)\.h};
    my ($sum) = slurp($header) =~ /_SHA256 \\\n\s*"(\w+)"/;
    like `sha256sum '$prefix/share/godwit/images/$image'`, qr/^$sum /, "$image: SHA256 of the installed file";
}

# A program of another project.
my $project = "$dir/project";
mkdir $project or die "$project: $!\n";
spew("$project/main.c", <<'END');
#include <godwit/guest_abi.h>
#include <godwit/page_order.h>
#include <godwit/stamp.h>
#include <godwit/x86_rom.h>
#include <stdio.h>

int main(void)
{
    printf("%d %d\n", GODWIT_ABI_VERSION, (int)sizeof(godwit_x86_rom) == GODWIT_X86_ROM_LENGTH);
    return 0;
}
END
my $flags = '-std=c11 -Wall -Wextra -Wpedantic -Werror';
my ($plain) = run("cd '$project' && cc $flags -o plain main.c");
SKIP: {
    $plain != 0 or skip 'the compiler has headers of Godwit without pkg-config', 1;
    pass 'without pkg-config the program does not compile';
}
SKIP: {
    have('pkg-config') or skip 'no pkg-config', 5;
    my $query = "PKG_CONFIG_PATH='$prefix/share/pkgconfig' pkg-config";
    works 'the program compiles with pkg-config',
        "cd '$project' && cc $flags \$($query --cflags godwit-guests) -o guest main.c";
    is works('the program runs', "'$project/guest'"), "$abi 1\n", 'the ABI version of the headers';
    is works('pkg-config', "$query --modversion godwit-guests"),
        "$version\n", 'the version of the package';
    is `$query --variable=abi_version godwit-guests`, "$abi\n", 'the ABI version of the package';
    my $images = `$query --variable=imagedir godwit-guests`;
    chomp $images;
    ok -f "$images/x86_rom", 'the folder of the images';
}

# The same by CMake, which finds the package in a tree that has been moved as well.
my ($major, $minor) = $version =~ /^(\d+)\.(\d+)/;

sub cmake_project {
    my ($wanted) = @_;
    spew("$project/CMakeLists.txt", <<"END");
cmake_minimum_required(VERSION 3.13)
project(guest C)
find_package(godwit-guests $wanted REQUIRED)
if(NOT EXISTS "\${godwit-guests_IMAGE_DIR}/x86_rom" OR NOT godwit-guests_ABI_VERSION EQUAL $abi)
  message(FATAL_ERROR "images: \${godwit-guests_IMAGE_DIR}, ABI: \${godwit-guests_ABI_VERSION}")
endif()
add_executable(guest main.c)
target_link_libraries(guest PRIVATE godwit::guests)
END
    return;
}

SKIP: {
    have('cmake') or skip 'no cmake', 8;
    my $moved = "$dir/moved";
    works 'a moved copy', "cp -R '$prefix' '$moved'";
    for my $wanted ('', "$major.$minor", "$version EXACT") {
        cmake_project($wanted);
        works "cmake: find_package(godwit-guests $wanted)",
            "rm -rf '$dir/cmake' && cmake -S '$project' -B '$dir/cmake' -DCMAKE_PREFIX_PATH='$moved'";
    }
    works 'the program compiles with CMake', "cmake --build '$dir/cmake'";
    is `'$dir/cmake/guest'`, "$abi 1\n", 'the ABI version that the program sees';
    for my $wanted (($major + 1) . '.0', "$major." . ($minor + 1)) {
        cmake_project($wanted);
        my ($status, $output) =
            run("rm -rf '$dir/cmake' && cmake -S '$project' -B '$dir/cmake' -DCMAKE_PREFIX_PATH='$moved'");
        ok $status != 0 && $output =~ /compatible with requested/, "cmake: version $wanted is refused" or diag $output;
    }
}

# What is not Godwit's stays; all else goes.
spew("$prefix/include/godwit/other.h", '');
works 'make uninstall', "$make uninstall PREFIX='$prefix'";
is join("\n", files_in($prefix)), "$prefix/include/godwit/other.h", 'uninstalling leaves only a file of somebody else';
is `find '$prefix' -type d -name '*godwit*'`, "$prefix/include/godwit\n", 'and no folder of Godwit without one';

# A staged install, and one part only.
my $stage = "$dir/stage with blank";
works 'a staged install of one part', "$make install DESTDIR='$stage' PREFIX=/usr PARTS=guests";
ok !-e "$stage/usr/bin", 'the other part is not installed';
like slurp("$stage/usr/share/pkgconfig/godwit-guests.pc"), qr{^prefix=/usr$}m, 'DESTDIR is not in the package file';
works 'a staged uninstall', "$make uninstall DESTDIR='$stage' PREFIX=/usr PARTS=guests";
is join("\n", files_in($stage)), '', 'a staged uninstall leaves no file';

done_testing();
