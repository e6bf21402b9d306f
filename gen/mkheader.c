/*
 * mkheader: turns a guest image and its symbol list into a C header that others can vendor.
 *
 *   mkheader --name=x86_rom --image=x86_rom.bin --symbols=x86_rom.sym --output=x86_rom.h
 *
 * The header depends on nothing but the image, the symbols and the name. It is written at once or
 * not at all, and left alone if it already says the same. Exit status: 0 if the header is right,
 * 2 if anything was refused, with one line on stderr.
 *
 * SPDX-License-Identifier: MIT
 */
#include <glib.h>
#include <inttypes.h>
#include <locale.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "godwit/guest_abi.h"

/* Images up to this size keep their leading zeros: a boot sector is its whole sector. */
#define UNTRIMMED_MAX    512
#define TRIM_ALIGNMENT   16
#define PARAMS_ALIGNMENT 8
#define BYTES_PER_LINE   16

#define MKHEADER_ERROR g_quark_from_static_string("mkheader")

enum { REFUSED };

struct symbol {
    char *name; /* without the godwit_ */
    uint64_t address;
};

struct image {
    const char *name;
    uint8_t *bytes; /* the whole file */
    size_t size;
    size_t offset; /* of the array in the file */
    GArray *symbols;
    bool big_endian;
};

static const char *const required_symbols[] = {"image", "start", "params", "mailbox", "ram_base"};

static void symbol_clear(gpointer data)
{
    struct symbol *symbol = data;

    g_free(symbol->name);
}

static int symbol_compare(gconstpointer a, gconstpointer b)
{
    const struct symbol *left = a;
    const struct symbol *right = b;

    return strcmp(left->name, right->name);
}

static const struct symbol *symbol_find(const GArray *symbols, const char *name)
{
    for (guint i = 0; i < symbols->len; i++) {
        const struct symbol *symbol = &g_array_index(symbols, struct symbol, i);

        if (strcmp(symbol->name, name) == 0) {
            return symbol;
        }
    }
    return NULL;
}

/* The address of a symbol that symbols_parse() has already asked for. */
static uint64_t symbol_address(const struct image *image, const char *name)
{
    return symbol_find(image->symbols, name)->address;
}

/*
 * Reads lines "HEXADDRESS TYPE NAME". Symbols which do not begin with godwit_ are the guest's own
 * business and are passed over, but must be well-formed all the same.
 */
static bool symbols_parse(struct image *image, const char *path, const char *text, GError **error)
{
    g_autoptr(GRegex) pattern = g_regex_new("^([0-9A-Fa-f]{1,16}) [A-Za-z] ([A-Za-z0-9_.$]+)$",
                                            G_REGEX_DOLLAR_ENDONLY, 0, NULL);
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);

    for (size_t i = 0; lines[i]; i++) {
        g_autoptr(GMatchInfo) match = NULL;

        if (lines[i][0] == '\0' && !lines[i + 1]) {
            break; /* what follows the last newline */
        }
        if (!g_regex_match(pattern, lines[i], 0, &match)) {
            g_autofree char *shown = g_strescape(lines[i], NULL);

            g_set_error(error, MKHEADER_ERROR, REFUSED,
                        "%s:%zu: not a line \"HEXADDRESS TYPE NAME\": \"%s\"", path, i + 1, shown);
            return false;
        }

        g_autofree char *address = g_match_info_fetch(match, 1);
        g_autofree char *name = g_match_info_fetch(match, 2);

        if (!g_str_has_prefix(name, "godwit_")) {
            continue;
        }

        const char *short_name = name + strlen("godwit_");
        struct symbol symbol = {.address = g_ascii_strtoull(address, NULL, 16)};

        if (strspn(short_name, "abcdefghijklmnopqrstuvwxyz0123456789_") != strlen(short_name) ||
            short_name[0] == '\0') {
            g_set_error(error, MKHEADER_ERROR, REFUSED, "%s:%zu: symbol %s cannot become a macro",
                        path, i + 1, name);
            return false;
        }
        if (symbol_find(image->symbols, short_name)) {
            g_set_error(error, MKHEADER_ERROR, REFUSED, "%s:%zu: second symbol %s", path, i + 1,
                        name);
            return false;
        }
        symbol.name = g_strdup(short_name);
        g_array_append_val(image->symbols, symbol);
    }

    for (size_t i = 0; i < G_N_ELEMENTS(required_symbols); i++) {
        if (!symbol_find(image->symbols, required_symbols[i])) {
            g_set_error(error, MKHEADER_ERROR, REFUSED, "%s: no symbol godwit_%s", path,
                        required_symbols[i]);
            return false;
        }
    }
    g_array_sort(image->symbols, symbol_compare);
    return true;
}

static uint32_t read_u32(const uint8_t *bytes, bool big_endian)
{
    uint32_t value;

    memcpy(&value, bytes, sizeof(value));
    return big_endian ? GUINT32_FROM_BE(value) : GUINT32_FROM_LE(value);
}

/* Makes sure that the symbols and the bytes tell the same story; finds out the byte order. */
static bool image_check(struct image *image, const char *path, GError **error)
{
    uint64_t base = symbol_address(image, "image");
    uint64_t params = symbol_address(image, "params");
    uint64_t mailbox = symbol_address(image, "mailbox");
    uint64_t mailbox_wanted = symbol_address(image, "ram_base") + GODWIT_MAILBOX_OFFSET;

    if (params < base || params - base > image->size ||
        image->size - (params - base) < GODWIT_PARAMS_SIZE) {
        g_set_error(error, MKHEADER_ERROR, REFUSED,
                    "%s: the parameter block at 0x%" PRIx64 " is not inside the image, which is "
                    "%zu bytes from 0x%" PRIx64,
                    path, params, image->size, base);
        return false;
    }
    if (params % PARAMS_ALIGNMENT != 0) {
        g_set_error(error, MKHEADER_ERROR, REFUSED,
                    "%s: the parameter block at 0x%" PRIx64 " is not %d-byte aligned", path, params,
                    PARAMS_ALIGNMENT);
        return false;
    }

    const uint8_t *block = image->bytes + (params - base);
    uint32_t magic = read_u32(block + GODWIT_PARAMS_OFF_MAGIC, true);

    if (magic == GODWIT_PARAMS_MAGIC) {
        image->big_endian = true;
    } else if (magic == GUINT32_SWAP_LE_BE(GODWIT_PARAMS_MAGIC)) {
        image->big_endian = false;
    } else {
        g_set_error(error, MKHEADER_ERROR, REFUSED,
                    "%s: no parameter block at 0x%" PRIx64 " (offset %" PRIu64
                    " in the file): its magic is 0x%08" PRIx32 ", not 0x%08" PRIx32
                    " in either byte order",
                    path, params, params - base, magic, (uint32_t)GODWIT_PARAMS_MAGIC);
        return false;
    }

    uint32_t version = read_u32(block + GODWIT_PARAMS_OFF_VERSION, image->big_endian);

    if (version != GODWIT_ABI_VERSION) {
        g_set_error(error, MKHEADER_ERROR, REFUSED,
                    "%s: the parameter block is of ABI version %" PRIu32 ", not %d", path, version,
                    GODWIT_ABI_VERSION);
        return false;
    }
    if (mailbox != mailbox_wanted) {
        g_set_error(error, MKHEADER_ERROR, REFUSED,
                    "%s: the mailbox is at 0x%" PRIx64 ", not at 0x%" PRIx64, path, mailbox,
                    mailbox_wanted);
        return false;
    }
    return true;
}

static bool image_load(struct image *image, const char *image_path, const char *symbols_path,
                       GError **error)
{
    g_autofree char *symbols = NULL;

    if (!g_file_get_contents(image_path, (char **)&image->bytes, &image->size, error) ||
        !g_file_get_contents(symbols_path, &symbols, NULL, error)) {
        return false;
    }
    if (image->size == 0) {
        g_set_error(error, MKHEADER_ERROR, REFUSED, "%s: the image is empty", image_path);
        return false;
    }
    if (!symbols_parse(image, symbols_path, symbols, error) ||
        !image_check(image, image_path, error)) {
        return false;
    }
    if (image->size > UNTRIMMED_MAX) {
        /* The parameter block's magic ends the search. */
        while (image->bytes[image->offset] == 0) {
            image->offset++;
        }
        image->offset -= image->offset % TRIM_ALIGNMENT;
    }
    return true;
}

static GString *header_text(const struct image *image)
{
    GString *text = g_string_new(NULL);
    g_autofree char *prefix = g_ascii_strup(image->name, -1);
    g_autofree char *sha256 =
        g_compute_checksum_for_data(G_CHECKSUM_SHA256, image->bytes, image->size);
    const uint8_t *array = image->bytes + image->offset;
    size_t length = image->size - image->offset;
    uint64_t array_address = symbol_address(image, "image") + image->offset;

    g_string_append_printf(text,
                           "/* SPDX-License-Identifier: MIT */\n"
                           "/*\n"
                           " * Godwit's guest image %s, for guest ABI version %d. Made by `make "
                           "headers`, not by hand.\n"
                           " * The macros are told in docs/vendoring.md. SHA-256 of the whole file "
                           "as QEMU loads it:\n"
                           " * %s\n"
                           " */\n"
                           "#ifndef GODWIT_GEN_%s_H\n"
                           "#define GODWIT_GEN_%s_H\n\n",
                           image->name, GODWIT_ABI_VERSION, sha256, prefix, prefix);

    g_string_append_printf(text, "#define GODWIT_%s_ABI_VERSION %d\n", prefix, GODWIT_ABI_VERSION);
    g_string_append_printf(text, "#define GODWIT_%s_BIG_ENDIAN %d\n", prefix, image->big_endian);
    g_string_append_printf(text, "#define GODWIT_%s_LENGTH %zu\n", prefix, length);
    g_string_append_printf(text, "#define GODWIT_%s_FILE_SIZE %zu\n", prefix, image->size);
    g_string_append_printf(text, "#define GODWIT_%s_FILE_OFFSET %zu\n", prefix, image->offset);
    g_string_append_printf(text, "#define GODWIT_%s_SHA256 \\\n    \"%s\"\n\n", prefix, sha256);

    for (guint i = 0; i < image->symbols->len; i++) {
        const struct symbol *symbol = &g_array_index(image->symbols, struct symbol, i);
        g_autofree char *upper = g_ascii_strup(symbol->name, -1);

        g_string_append_printf(text, "#define GODWIT_%s_%s_ADDR 0x%" PRIx64 "\n", prefix, upper,
                               symbol->address);
        if (symbol->address >= array_address && symbol->address - array_address < length) {
            g_string_append_printf(text, "#define GODWIT_%s_%s_OFFSET %" PRIu64 "\n", prefix, upper,
                                   symbol->address - array_address);
        }
    }

    /* A program may want the macros alone; that is no reason for its compiler to complain. */
    g_string_append_printf(text,
                           "\n#if defined(__GNUC__)\n"
                           "__attribute__((__unused__))\n"
                           "#endif\n"
                           "static const unsigned char godwit_%s[] = {\n",
                           image->name);
    for (size_t i = 0; i < length; i++) {
        bool first = i % BYTES_PER_LINE == 0;
        bool last = i % BYTES_PER_LINE == BYTES_PER_LINE - 1 || i == length - 1;

        g_string_append_printf(text, "%s0x%02x,%s", first ? "    " : " ", array[i],
                               last ? "\n" : "");
    }
    g_string_append_printf(text, "};\n\n#endif\n");
    return text;
}

/* Writes beside PATH and renames, so that nobody ever reads half a header. */
static bool write_if_changed(const char *path, const GString *text, GError **error)
{
    g_autofree char *old = NULL;
    gsize old_length = 0;

    if (g_file_get_contents(path, &old, &old_length, NULL) && old_length == text->len &&
        memcmp(old, text->str, old_length) == 0) {
        return true;
    }
    return g_file_set_contents(path, text->str, (gssize)text->len, error);
}

static bool run(int argc, char **argv, GError **error)
{
    g_autofree char *name = NULL;
    g_autofree char *image_path = NULL;
    g_autofree char *symbols_path = NULL;
    g_autofree char *output = NULL;
    const GOptionEntry entries[] = {
        {"name", 'n', 0, G_OPTION_ARG_STRING, &name, "the image's name, such as x86_rom", "NAME"},
        {"image", 'i', 0, G_OPTION_ARG_FILENAME, &image_path, "the file as QEMU loads it", "FILE"},
        {"symbols", 's', 0, G_OPTION_ARG_FILENAME, &symbols_path, "its symbols, as nm prints them",
         "FILE"},
        {"output", 'o', 0, G_OPTION_ARG_FILENAME, &output, "the header to write", "FILE"},
        {0},
    };
    g_autoptr(GOptionContext) context = g_option_context_new(NULL);

    g_option_context_set_summary(context, "Turns a guest image into a C header.");
    g_option_context_add_main_entries(context, entries, NULL);
    if (!g_option_context_parse(context, &argc, &argv, error)) {
        return false;
    }
    if (argc != 1 || !name || !image_path || !symbols_path || !output) {
        g_set_error(error, MKHEADER_ERROR, REFUSED,
                    "wants --name, --image, --symbols and --output, and nothing else");
        return false;
    }
    if (!g_ascii_islower(name[0]) ||
        strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_") != strlen(name)) {
        g_set_error(error, MKHEADER_ERROR, REFUSED,
                    "the name \"%s\" is not a lower-case C identifier", name);
        return false;
    }

    struct image image = {.name = name,
                          .symbols = g_array_new(FALSE, FALSE, sizeof(struct symbol))};
    bool written = false;

    g_array_set_clear_func(image.symbols, symbol_clear);
    if (image_load(&image, image_path, symbols_path, error)) {
        GString *text = header_text(&image);

        written = write_if_changed(output, text, error);
        g_string_free(text, TRUE);
    }
    g_array_unref(image.symbols);
    g_free(image.bytes);
    return written;
}

int main(int argc, char **argv)
{
    g_autoptr(GError) error = NULL;

    setlocale(LC_ALL, ""); /* file names in messages */
    if (!run(argc, argv, &error)) {
        g_printerr("mkheader: %s\n", error->message);
        return 2;
    }
    return EXIT_SUCCESS;
}
