/*
 * Pokes: which registers they go to, that the seed decides, and how they read.
 *
 * SPDX-License-Identifier: MIT
 */
#include "unit.h"

#include "course/pokes.h"
#include <string.h>

static GArray *places_of(const struct godwit_hardware_place *list, guint count)
{
    GArray *places = g_array_new(FALSE, FALSE, sizeof(*list));
    g_array_append_vals(places, list, count);
    return places;
}

static const struct godwit_hardware_place machine[] = {
    {.space = GODWIT_SPACE_CONFIG, .start = 9 << 11, .length = 256, .region = "config"},
    {.space = GODWIT_SPACE_CONFIG,
     .start = 10 << 11,
     .length = 4096,
     .region = "config",
     .bridge = true},
    {.space = GODWIT_SPACE_MEMORY, .start = 0xc0000, .length = 0x20000, .region = "big"},
    {.space = GODWIT_SPACE_MEMORY, .start = 0xfee01, .length = 3, .offset = 1, .region = "odd"},
    {.space = GODWIT_SPACE_PORTS, .start = 0x3f8, .length = 8, .region = "serial"},
    {.space = GODWIT_SPACE_PORTS, .start = 0xc000, .length = 64, .region = "bar"},
};

/* The place of that name that a poke is in, or NULL. */
static const struct godwit_hardware_place *place_of(const struct godwit_poke *poke)
{
    for (size_t i = 0; i < G_N_ELEMENTS(machine); i++) {
        const struct godwit_hardware_place *place = &machine[i];
        const uint64_t at =
            poke->space == GODWIT_SPACE_CONFIG ? poke->offset : poke->address - place->start;
        if (place->space == poke->space && !strcmp(place->region, poke->region) &&
            (poke->space != GODWIT_SPACE_CONFIG || poke->address == place->start) &&
            at + poke->size <= place->length && at + place->offset == poke->offset)
            return place;
    }
    return NULL;
}

static void test_make(void **state)
{
    (void)state;
    g_autoptr(GArray) places = places_of(machine, G_N_ELEMENTS(machine));
    g_autoptr(GArray) pokes = godwit_pokes_make(places, 7, 5000);
    unsigned hits[G_N_ELEMENTS(machine)] = {0};
    bool zeros = false, ones = false;
    assert_int_equal(pokes->len, 5000);
    for (guint i = 0; i < pokes->len; i++) {
        const struct godwit_poke *poke = &g_array_index(pokes, struct godwit_poke, i);
        const struct godwit_hardware_place *place = place_of(poke);
        assert_non_null(place);
        hits[place - machine]++;
        assert_true(poke->size == 1 || poke->size == 2 || poke->size == 4);
        assert_true(poke->size == 4 || poke->value < 1u << 8 * poke->size);
        if (poke->space == GODWIT_SPACE_CONFIG) {
            assert_true(poke->offset / 4 != 1 && (poke->offset < 0x10 || poke->offset >= 0x3c));
            assert_true(!place->bridge || poke->offset >= 0x40);
        }
        if (!strcmp(poke->region, "serial"))
            assert_int_equal(poke->size, 1);
        zeros |= poke->value == 0;
        ones |= poke->value == UINT32_MAX;
    }
    for (size_t i = 0; i < G_N_ELEMENTS(machine); i++)
        assert_true(hits[i] > 500);
    assert_true(zeros && ones);
}

static void test_seed(void **state)
{
    (void)state;
    g_autoptr(GArray) places = places_of(machine, G_N_ELEMENTS(machine));
    g_autoptr(GArray) one = godwit_pokes_make(places, UINT64_C(1) << 40, 100);
    g_autoptr(GArray) same = godwit_pokes_make(places, UINT64_C(1) << 40, 100);
    g_autoptr(GArray) other = godwit_pokes_make(places, 0, 100);
    unsigned equal = 0;
    for (guint i = 0; i < 100; i++) {
        g_autofree char *a = godwit_poke_text(&g_array_index(one, struct godwit_poke, i));
        g_autofree char *b = godwit_poke_text(&g_array_index(same, struct godwit_poke, i));
        g_autofree char *c = godwit_poke_text(&g_array_index(other, struct godwit_poke, i));
        assert_string_equal(a, b);
        equal += !strcmp(a, c);
    }
    assert_true(equal < 50);
    g_autoptr(GArray) nowhere = g_array_new(FALSE, FALSE, sizeof(machine[0]));
    g_autoptr(GArray) none = godwit_pokes_make(nowhere, 1, 10);
    assert_int_equal(none->len, 0);
}

/* A sweep pokes each register once, in any order. */
static void test_sweep(void **state)
{
    (void)state;
    g_autoptr(GArray) places = places_of(machine, G_N_ELEMENTS(machine));
    for (unsigned width = 1; width <= 4; width *= 2) {
        g_autoptr(GArray) pokes = godwit_pokes_sweep(places, 7, width, 5000);
        g_autoptr(GHashTable) seen = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
        unsigned hits[G_N_ELEMENTS(machine)] = {0};
        bool ascends = true;
        for (guint i = 0; i < pokes->len; i++) {
            const struct godwit_poke *poke = &g_array_index(pokes, struct godwit_poke, i);
            const struct godwit_hardware_place *place = place_of(poke);
            assert_non_null(place);
            hits[place - machine]++;
            assert_int_equal(poke->size, place == &machine[3] || place == &machine[4] ? 1 : width);
            assert_true(poke->value && (poke->size == 4 || poke->value < 1u << 8 * poke->size));
            ascends = ascends && (!i || poke[-1].address <= poke->address);
            assert_true(g_hash_table_add(
                seen, g_strdup_printf("%d %" G_GINT64_MODIFIER "x %" G_GINT64_MODIFIER "x",
                                      (int)poke->space, poke->address, poke->offset)));
        }
        assert_false(ascends);
        /* Configuration space without what pokes leave alone, then 256 bytes at most. */
        const unsigned expected[] = {(256 - 48) / width, 192 / width, 256 / width, 3, 8,
                                     64 / width};
        for (size_t i = 0; i < G_N_ELEMENTS(machine); i++)
            assert_int_equal(hits[i], expected[i]);
        g_autoptr(GArray) few = godwit_pokes_sweep(places, 7, width, 20);
        assert_int_equal(few->len, 20);
    }
}

/* Some registers get several values each. */
static void test_select(void **state)
{
    (void)state;
    g_autoptr(GArray) places = places_of(machine, G_N_ELEMENTS(machine));
    g_autoptr(GArray) pokes = godwit_pokes_select(places, 7, 6, 8);
    assert_int_equal(pokes->len, 6 * 8);
    for (guint i = 0; i < pokes->len; i++) {
        const struct godwit_poke *poke = &g_array_index(pokes, struct godwit_poke, i);
        const struct godwit_poke *first = &g_array_index(pokes, struct godwit_poke, i / 8 * 8);
        assert_non_null(place_of(poke));
        assert_true(poke->address == first->address && poke->offset == first->offset &&
                    poke->size == first->size);
        assert_true(poke->size == 4 || poke->value < 1u << 8 * poke->size);
    }
}

static void test_text(void **state)
{
    static const struct {
        struct godwit_poke poke;
        const char *text;
    } rows[] = {
        {{GODWIT_SPACE_PORTS, 0x3fb, 3, "serial", 1, 0x1b, false}, "outb 0x3fb 0x1b (serial 0x3)"},
        {{GODWIT_SPACE_PORTS, 0xc002, 2, "bar", 2, 0xff, false}, "outw 0xc002 0xff (bar 0x2)"},
        {{GODWIT_SPACE_MEMORY, 0xfebc0100, 0x100, "mmio", 4, 1, false},
         "writel 0xfebc0100 0x1 (mmio 0x100)"},
        {{GODWIT_SPACE_CONFIG, 1 << 16 | 9 << 11 | 2 << 8, 0x44, "config", 2, 0x10, false},
         "config 01:09.2 0x44 = 0x10 (2 bytes)"},
    };
    (void)state;
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autofree char *text = godwit_poke_text(&rows[i].poke);
        assert_string_equal(text, rows[i].text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_make),   cmocka_unit_test(test_seed), cmocka_unit_test(test_sweep),
        cmocka_unit_test(test_select), cmocka_unit_test(test_text),
    };
    return cmocka_run_group_tests_name("pokes", tests, NULL, NULL);
}
