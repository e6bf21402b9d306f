#!/usr/bin/perl
# What `make vendor` copies compiles everywhere, is what it says it is, and the examples work.
# SPDX-License-Identifier: MIT
use strict;
use warnings;
use File::Temp qw(tempdir);
use Test::More;

$ENV{LC_ALL} = 'C';
delete @ENV{qw(ARCH DEST STYLE MAKEFLAGS MAKELEVEL)};
my $dir = tempdir(CLEANUP => 1);
my @warnings = qw(-Wall -Wextra -Wpedantic -Werror);

sub have {
    my ($tool) = @_;
    return system("command -v $tool >/dev/null 2>&1") == 0;
}

# Runs a shell command; returns its exit status and all that it said.
sub run {
    my ($command) = @_;
    my $said = `($command) 2>&1 </dev/null`;
    return ($? >> 8, $said);
}

sub works {
    my ($what, $command) = @_;
    my ($status, $said) = run($command);
    is $status, 0, $what or diag "$command\n$said";
    return $said;
}

sub spew {
    my ($path, $text) = @_;
    open my $file, '>', $path or die "$path: $!";
    print $file $text;
    close $file or die "$path: $!";
}

sub slurp {
    my ($path) = @_;
    open my $file, '<:raw', $path or die "$path: $!";
    local $/;
    return scalar <$file>;
}

my %compilers = (
    'gcc -std=c99'     => 'c',
    'gcc -std=c11'     => 'c',
    'g++ -std=c++17'   => 'cc',
    'clang -std=c99'   => 'c',
    'clang -std=c11'   => 'c',
    'clang++ -std=c++17' => 'cc',
);

# Compiles a program that includes HEADERS and uses none of what is in them.
sub compiles {
    my ($folder, @headers) = @_;
    for my $compiler (sort keys %compilers) {
        SKIP: {
            my ($tool) = split ' ', $compiler;
            have($tool) or skip "no $tool", 1;
            my $source = "$dir/unused.$compilers{$compiler}";
            spew($source, join('', map { "#include \"$_\"\n" } @headers) .
                    "int main(void)\n{\n    return 0;\n}\n");
            works "$compiler: @headers", "$compiler @warnings -I$folder -c -o $dir/o $source";
        }
    }
}

# What a C program sees of an expression, given the headers.
sub value_of {
    my ($folder, $header, $format, $expression) = @_;
    spew("$dir/value.c", "#include <stdio.h>\n#include \"$header\"\n" .
            "int main(void)\n{\n    printf(\"$format\", $expression);\n    return 0;\n}\n");
    return works "$header: $expression",
        "gcc -std=c99 @warnings -I$folder -o $dir/value $dir/value.c && $dir/value";
}

# The bytes of an image, as a suite would write them.
sub image_bytes {
    my ($folder, $header, $array, $path) = @_;
    spew("$dir/bytes.c", "#include <stdio.h>\n#include \"$header\"\n" .
            "int main(void)\n{\n    return fwrite($array, 1, sizeof($array), stdout) == 0;\n}\n");
    works "$header: bytes", "gcc -I$folder -o $dir/bytes $dir/bytes.c && $dir/bytes >$path";
    return slurp($path);
}

# The suites' own way.
my $own = "$dir/third_party/godwit";
works 'make vendor', "make -s vendor DEST=$own";
my @images = map { s/.*\/(.*)\.h/$1/r } glob 'gen/*.h';
compiles($own, "$_.h") for @images;
compiles($own, 'stamp.h');
compiles($own, map { "$_.h" } @images, 'guest_abi', 'page_order', 'stamp');
works 'the stamp is right', "cd $own && sha256sum -c VENDORED";
is scalar(grep { !/^#/ } split /\n/, slurp("$own/VENDORED")), glob_count("$own/*") - 1,
    'the stamp has every file';
is slurp("$own/LICENSE"), slurp('LICENSE'), 'the licence is there';

sub glob_count {
    my @files = glob $_[0];
    return @files;
}

for my $image (@images) {
    my $upper = uc $image;
    my ($length, $size, $offset, $sum) = split ' ', value_of($own, "$image.h", '%d %d %d %s',
        join ', ', map { "GODWIT_${upper}_$_" } qw(LENGTH FILE_SIZE FILE_OFFSET SHA256));
    my $bytes = image_bytes($own, "$image.h", "godwit_$image", "$dir/array");
    is length($bytes), $length, "$image: LENGTH";
    spew("$dir/file", "\0" x $offset . $bytes . "\0" x ($size - $offset - $length));
    like `sha256sum <$dir/file`, qr/^$sum /, "$image: SHA256 of the file as QEMU loads it";
}

works 'one architecture', "make -s vendor DEST=$dir/one ARCH=x86";
is join(' ', sort map { s/.*\///r } glob "$dir/one/*"),
    'LICENSE VENDORED guest_abi.h page_order.h stamp.h x86_bootsect.h x86_rom.h', 'copies only what it uses';

for my $spelling ('x86_64', 'i386,x86', 'x86_64 x86', 'x86,x86_64') {
    works "ARCH=$spelling", "make -s vendor DEST=$dir/spelled ARCH='$spelling'";
    is join(' ', sort map { s/.*\///r } glob "$dir/spelled/*_*.h"),
        'guest_abi.h page_order.h x86_bootsect.h x86_rom.h', 'copies the x86 headers once';
    like slurp("$dir/spelled/VENDORED"), qr/\A#[^#]* x86_bootsect\.h\n[^#]* x86_rom\.h\n/,
        'and lists each of them';
    works 'remove them', "rm -r $dir/spelled";
}
works 'two targets', "make -s vendor DEST=$dir/two ARCH=x86_64,s390x";
is join(' ', sort map { s/.*\///r } glob "$dir/two/{s390x,x86}_*.h"),
    's390x_bios.h x86_bootsect.h x86_rom.h', 'copies both';

# QEMU's way.
my %qemu = (
    'i386/a-b-bootblock.h' => ['x86_bootsect',   'x86_bootsect'],
    'aarch64/a-b-kernel.h' => ['aarch64_kernel', 'aarch64_kernel'],
    'ppc64/a-b-kernel.h'   => ['ppc64_kernel',   'ppc64_bios'],
    's390x/a-b-bios.h'     => ['s390x_elf',      's390x_bios'],
);
works 'make vendor STYLE=qemu', "make -s vendor STYLE=qemu DEST=$dir/qemu";
chomp(my @written = `cd $dir/qemu && find . -type f | sed 's,^./,,' | sort`);
is_deeply \@written, [sort 'LICENSE', 'VENDORED', keys %qemu], 'four headers, licence and stamp';
works 'the stamp is right', "cd $dir/qemu && sha256sum -c VENDORED";
is scalar(grep { !/^#/ } split /\n/, slurp("$dir/qemu/VENDORED")), @written - 1,
    'the stamp has every file';
is slurp("$dir/qemu/LICENSE"), slurp('LICENSE'), 'the licence is there';
compiles("$dir/qemu", $_) for sort keys %qemu;
compiles("$dir/qemu", sort keys %qemu);
for my $header (sort keys %qemu) {
    my ($array, $image) = @{$qemu{$header}};
    my $bytes = image_bytes("$dir/qemu", $header, $array, "$dir/array");
    my $sum = substr `sha256sum <$dir/array`, 0, 64;
    like slurp("$own/$image.h"), qr/"$sum"/,
        "$header: the whole file";
    like slurp("$dir/qemu/$header"), qr/SPDX-License-Identifier: MIT/, "$header: licence";
    spew("$dir/type.c", "#include \"$header\"\nextern unsigned char $array\[];\nint main(void)\n" .
            "{\n    ${array}[0] = 1;\n    return 0;\n}\n");
    works "$header: array of unsigned char, neither static nor const",
        "gcc -I$dir/qemu @warnings -o $dir/o $dir/type.c";
}
my $offset = value_of("$dir/qemu", 'i386/a-b-bootblock.h', '%d', 'SYM_suspend_me - SYM_start');
my $flags = value_of($own, 'x86_bootsect.h', '%d', 'GODWIT_X86_BOOTSECT_PARAMS_OFFSET + 32');
is $offset, $flags, 'SYM_suspend_me is the lowest byte of the flags';
is value_of("$dir/qemu", 'i386/a-b-bootblock.h', '%d', '(int)sizeof(x86_bootsect)'), 512,
    'a boot sector is 512 bytes';

# Refusals: one line that says why (and make's own), status 2, nothing written.
for my $case (
    ['no DEST',       '',                                'no DEST'],
    ['unknown ARCH',  "DEST=$dir/no ARCH='x86 vax'",     'unknown ARCH=vax'],
    ['unknown STYLE', "DEST=$dir/no STYLE=xen",          'unknown STYLE=xen'],
    ['no such guest in QEMU', "DEST=$dir/no STYLE=qemu ARCH=riscv64", 'unknown ARCH=riscv64'],
    ['DEST is a file', "DEST=$dir/file",                 'cannot write to DEST'],
    ['DEST below a file', "DEST=$dir/file/below",        'cannot write to DEST'],
) {
    my ($what, $arguments, $why) = @$case;
    my ($status, $said) = run("make -s vendor $arguments");
    is $status, 2, "$what: exit status";
    like $said, qr/\Avendor: $why.*\nmake: \*\*\*.*\n\z/, "$what: one line";
    ok !-e "$dir/no", "$what: nothing written";
}

# The examples: the same program built three ways, and run.
sub try_program {
    my ($guest) = @_;
    my $in = "cd $dir &&";
    works 'writes a guest', "$in $guest write boot.img 1";
    my $image = image_bytes($own, 'x86_bootsect.h', 'godwit_x86_bootsect', "$dir/array");
    my $passes = value_of($own, 'x86_bootsect.h', '%d', 'GODWIT_X86_BOOTSECT_PARAMS_OFFSET + 28');
    is unpack('V', substr $image, $passes, 4), 8, 'whose parameter was 8';
    substr($image, $passes, 4) = pack 'V', 1;
    ok slurp("$dir/boot.img") eq $image, 'and is now 1, and nothing else has changed';

    my @pages = map { chr($_ < 20 ? 6 : 5) . "\xee" x 4095 } 0 .. 49;
    spew("$dir/dump", join '', @pages);
    is works('checks a dump', "$in $guest check dump 0x100000"),
        "page order holds: 0x06 below 0x114000, 0x05 from there up\n", 'in order';
    substr($pages[30], 0, 1) = "\x04";
    spew("$dir/dump", join '', @pages);
    my ($status, $said) = run("$in $guest check dump 0x100000");
    is $status, 1, 'finds a wrong page';
    like $said, qr/broken at 0x11e000: 0x04 after 0x05 \(before 0x05\)/, 'and says where';
}

works 'examples: copy', "cp -r examples $dir/ && rm -rf $dir/examples/*/godwit";
for my $example (qw(plain-c meson cmake)) {
    works "example $example: vendor", "make -s vendor DEST=$dir/examples/$example/godwit ARCH=x86";
}
subtest 'example plain-c' => sub {
    works 'builds', "make -s -C $dir/examples/plain-c";
    try_program("$dir/examples/plain-c/guest");
};
subtest 'example meson' => sub {
    plan skip_all => 'no meson and ninja here' unless have('meson') && have('ninja');
    works 'builds', "cd $dir && meson setup by-meson examples/meson && ninja -C by-meson";
    try_program("$dir/by-meson/guest");
};
subtest 'example cmake' => sub {
    plan skip_all => 'no cmake here' unless have('cmake');
    works 'builds', "cd $dir && cmake -S examples/cmake -B by-cmake && cmake --build by-cmake";
    try_program("$dir/by-cmake/guest");
};
done_testing;
