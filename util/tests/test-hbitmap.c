/* SPDX-License-Identifier: Apache-2.0 */
/* Hierarchical bitmaps against an array of bools, one a byte of the disk's granularity. */
#include <glib.h>
#include <string.h>

#include "util/hbitmap.h"

#define SHIFT 3
#define SIZE 40003 /* no multiple of 8; three levels */
#define BITS ((SIZE + 7) / 8)

static void check_against(const HBitmap *map, const bool *model)
{
    int64_t count = 0;

    for (int64_t bit = 0; bit < BITS; bit++) {
        g_assert_cmpint(hbitmap_get(map, bit << SHIFT), ==, model[bit]);
        count += model[bit] ? MIN(8, SIZE - (bit << SHIFT)) : 0;
    }
    g_assert_cmpint(hbitmap_count(map), ==, count);
}

static int64_t model_next(const bool *model, bool value, int64_t start, int64_t end)
{
    for (int64_t at = start; at < MIN(end, SIZE); at++) {
        if (model[at >> SHIFT] == value) {
            return at;
        }
    }
    return -1;
}

static void check_search(const HBitmap *map, const bool *model)
{
    int64_t start = g_test_rand_int_range(0, SIZE + 10);
    int64_t end = g_test_rand_int_range(0, SIZE + 10);
    int64_t first = model_next(model, true, start, end), at, bytes;

    g_assert_cmpint(hbitmap_next_set(map, start, end), ==, first);
    g_assert_cmpint(hbitmap_next_clear(map, start, end), ==,
                    model_next(model, false, start, end));
    g_assert_cmpint(hbitmap_next_area(map, start, end, 100, &at, &bytes), ==, first >= 0);
    if (first >= 0) {
        int64_t limit = MIN(MIN(end, SIZE), first + 100);
        int64_t clear = model_next(model, false, first, limit);

        g_assert_cmpint(at, ==, first);
        g_assert_cmpint(bytes, ==, (clear < 0 ? limit : clear) - first);
    }
}

static void test_random(void)
{
    g_autoptr(HBitmap) map = hbitmap_new(SIZE, SHIFT);
    g_autofree bool *model = g_new0(bool, BITS);

    for (int i = 0; i < 3000; i++) {
        int64_t start = g_test_rand_int_range(0, SIZE + 100);
        int64_t bytes = g_test_rand_int_range(0, i % 10 ? 300 : SIZE);

        for (int64_t bit = 0; bit < BITS; bit++) {
            int64_t from = bit << SHIFT, to = MIN(from + 8, SIZE);

            if (i % 2 && bytes && from < start + bytes && start < to) {
                model[bit] = true;
            } else if (!(i % 2) && from >= start && to <= start + bytes) {
                model[bit] = false;
            }
        }
        (i % 2 ? hbitmap_set : hbitmap_clear)(map, start, bytes);
        check_search(map, model);
        if (i % 100 == 0) {
            check_against(map, model);
        }
    }
    check_against(map, model);
    hbitmap_clear_all(map);
    g_assert_cmpint(hbitmap_next_set(map, 0, INT64_MAX), ==, -1);
}

static void test_edges(void)
{
    g_autoptr(HBitmap) map = hbitmap_new(100, 6);
    g_autoptr(HBitmap) empty = hbitmap_new(0, 9);

    hbitmap_set(map, 99, INT64_MAX);
    g_assert_cmpint(hbitmap_count(map), ==, 36);
    hbitmap_clear(map, 65, INT64_MAX); /* not the whole bit */
    g_assert_cmpint(hbitmap_count(map), ==, 36);
    hbitmap_clear(map, 64, 36);
    g_assert_cmpint(hbitmap_count(map), ==, 0);
    hbitmap_set(map, 100, 5);
    hbitmap_set(map, 0, 0);
    g_assert_cmpint(hbitmap_count(map), ==, 0);
    hbitmap_set(empty, 0, 1000);
    g_assert_cmpint(hbitmap_next_set(empty, 0, INT64_MAX), ==, -1);
    g_assert_cmpint(hbitmap_next_clear(empty, 0, INT64_MAX), ==, -1);
}

static void test_huge(void)
{
    g_autoptr(HBitmap) map = hbitmap_new((int64_t)1 << 46, 16);
    int64_t far = ((int64_t)1 << 46) - 5, at, bytes;

    hbitmap_set(map, far, 1);
    g_assert_cmpint(hbitmap_next_set(map, 0, INT64_MAX), ==, ((int64_t)1 << 46) - 65536);
    g_assert_true(hbitmap_next_area(map, 0, INT64_MAX, 0, &at, &bytes));
    g_assert_cmpint(bytes, ==, 65536);
    g_assert_null(hbitmap_new(INT64_MAX, 0));
}

static void test_merge_and_resize(void)
{
    g_autoptr(HBitmap) fine = hbitmap_new(1 << 20, 9);
    g_autoptr(HBitmap) coarse = hbitmap_new(1 << 20, 16);

    hbitmap_set(fine, 70000, 1);
    hbitmap_set(coarse, 0, 1);
    hbitmap_merge(coarse, fine);
    g_assert_cmpint(hbitmap_count(coarse), ==, 2 * 65536);
    hbitmap_merge(fine, coarse);
    g_assert_cmpint(hbitmap_count(fine), ==, 2 * 65536);
    g_assert_true(hbitmap_resize(fine, 1000));
    g_assert_cmpint(hbitmap_count(fine), ==, 1000);
    g_assert_true(hbitmap_resize(fine, 1020)); /* as many bits: the last one is set */
    g_assert_cmpint(hbitmap_count(fine), ==, 1020);
    g_assert_true(hbitmap_resize(fine, 1 << 24));
    g_assert_cmpint(hbitmap_count(fine), ==, 1024);
    g_assert_cmpint(hbitmap_next_clear(fine, 0, INT64_MAX), ==, 1024);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/hbitmap/random", test_random);
    g_test_add_func("/hbitmap/edges", test_edges);
    g_test_add_func("/hbitmap/huge", test_huge);
    g_test_add_func("/hbitmap/merge-and-resize", test_merge_and_resize);
    return g_test_run();
}
