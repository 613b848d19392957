/* SPDX-License-Identifier: Apache-2.0 */
/* Bitmaps, scattered buffers, speed limits and the thread pool. */
#include <string.h>

#include "util/bitmap.h"
#include "util/coroutine.h"
#include "util/iov.h"
#include "util/ratelimit.h"
#include "util/thread-pool.h"
#include "util/timer.h"
#include "util/zero.h"

#define BITS 300

/* Against the plainest model there is: an array of bools. */
static void test_bitmap_model(void)
{
    g_autoptr(GRand) rand = g_rand_new_with_seed(7);
    g_autofree unsigned long *map = bitmap_new(BITS);
    bool model[BITS] = { false };

    for (int round = 0; round < 3000; round++) {
        size_t start = (size_t)g_rand_int_range(rand, 0, BITS);
        size_t count = (size_t)g_rand_int_range(rand, 0, BITS - (int)start + 1);
        int op = g_rand_int_range(rand, 0, 4);
        bool any = false;
        size_t total = 0;
        size_t next_set = BITS;
        size_t next_clear = BITS;

        for (size_t i = start; i < start + count; i++) {
            any |= model[i];
            model[i] = op < 2;
        }
        if (op == 0) {
            bitmap_set_range(map, start, count);
        } else if (op == 1) {
            bitmap_set_range_atomic(map, start, count);
        } else if (op == 2) {
            bitmap_clear_range(map, start, count);
        } else {
            g_assert_cmpint(bitmap_test_and_clear_range_atomic(map, start, count), ==, any);
        }
        for (size_t i = BITS; i-- > 0;) {
            g_assert_cmpint(bitmap_test(map, i), ==, model[i]);
            total += model[i];
            if (i >= start) {
                next_set = model[i] ? i : next_set;
                next_clear = model[i] ? next_clear : i;
            }
        }
        g_assert_cmpuint(bitmap_count(map, BITS), ==, total);
        g_assert_cmpuint(bitmap_find_set(map, BITS, start), ==, next_set);
        g_assert_cmpuint(bitmap_find_clear(map, BITS, start), ==, next_clear);
    }
}

static void test_bitmap_bits(void)
{
    g_autofree unsigned long *map = bitmap_new(BITS);

    bitmap_set(map, 64);
    bitmap_set_atomic(map, 65);
    g_assert_true(bitmap_test_and_clear_atomic(map, 65));
    g_assert_false(bitmap_test_and_clear_atomic(map, 65));
    g_assert_cmpuint(bitmap_find_clear_range(map, BITS, 0, 64), ==, 0);
    g_assert_cmpuint(bitmap_find_clear_range(map, BITS, 0, 65), ==, 65);
    g_assert_cmpuint(bitmap_find_clear_range(map, BITS, 0, BITS - 65), ==, 65);
    g_assert_cmpuint(bitmap_find_clear_range(map, BITS, 0, BITS - 64), ==, BITS);
    bitmap_clear(map, 64);
    g_assert_cmpuint(bitmap_find_clear_range(map, BITS, 0, BITS), ==, 0);
    g_assert_cmpuint(bitmap_find_set(map, BITS, BITS + 100), ==, BITS);
}

static void test_iov(void)
{
    char a[3];
    char b[5];
    char out[16];
    struct iovec iov[] = { { a, 3 }, { NULL, 0 }, { b, 5 } };
    struct iovec slice[3];
    struct iovec *at = iov;
    unsigned n = 3;

    g_assert_cmpuint(iov_size(iov, 3), ==, 8);
    g_assert_cmpuint(iov_from_buf(iov, 3, 0, "abcdefghij", 10), ==, 8);
    g_assert_cmpmem(a, 3, "abc", 3);
    g_assert_cmpmem(b, 5, "defgh", 5);
    g_assert_cmpuint(iov_to_buf(iov, 3, 2, out, 3), ==, 3);
    g_assert_cmpmem(out, 3, "cde", 3);
    g_assert_cmpuint(iov_to_buf(iov, 3, 7, out, 16), ==, 1);
    g_assert_cmpuint(iov_to_buf(iov, 3, 8, out, 16), ==, 0);
    g_assert_cmpuint(iov_to_buf(iov, 3, SIZE_MAX, out, 16), ==, 0);
    g_assert_cmpuint(iov_memset(iov, 3, 2, 'x', 2), ==, 2);
    g_assert_cmpmem(a, 3, "abx", 3);
    g_assert_cmpuint(iov_slice(slice, 3, iov, 3, 1, 4), ==, 2);
    g_assert_cmpuint(iov_size(slice, 2), ==, 4);
    g_assert_true(slice[1].iov_base == b && slice[1].iov_len == 2);
    g_assert_cmpuint(iov_slice(slice, 1, iov, 3, 1, 4), ==, 1);
    g_assert_true(iov_contiguous(iov, 3, 0, iov[0].iov_len) == iov[0].iov_base);
    g_assert_null(iov_contiguous(iov, 3, 0, iov[0].iov_len + 1));
    g_assert_null(iov_contiguous(iov, 3, iov_size(iov, 3), 1));
    iov_advance(&at, &n, 4);
    g_assert_cmpuint(n, ==, 1);
    g_assert_true(at->iov_base == b + 1 && at->iov_len == 4);
    iov_advance(&at, &n, 100);
    g_assert_cmpuint(n, ==, 0);
    slice[0].iov_len = slice[1].iov_len = SIZE_MAX;
    g_assert_cmpuint(iov_size(slice, 2), ==, SIZE_MAX);
}

static void test_ratelimit(void)
{
    RateLimit limit;
    int64_t now = NS_PER_SEC;
    int64_t start = now;
    uint64_t done = 0;

    ratelimit_init(&limit);
    g_assert_cmpint(ratelimit_delay(&limit, UINT64_MAX, now), ==, 0);
    ratelimit_set_speed(&limit, 1000000, 100 * NS_PER_MS);
    while (done < 10000000) {
        now += ratelimit_delay(&limit, 30000, now);
        done += 30000;
    }
    g_assert_cmpint(now - start, >, 9 * NS_PER_SEC);
    g_assert_cmpint(now - start, <, 11 * NS_PER_SEC);
    /* A long pause is no credit. */
    now += 100 * NS_PER_SEC;
    g_assert_cmpint(ratelimit_delay(&limit, 1000000, now), >=, 900 * NS_PER_MS);
    g_assert_cmpint(ratelimit_delay(&limit, UINT64_MAX, now), >, 0);
    ratelimit_cleanup(&limit);
}

static int work(void *opaque)
{
    g_assert_false(loop_in_main_thread());
    __atomic_add_fetch((int *)opaque, 1, __ATOMIC_SEQ_CST);
    return 42;
}

typedef struct Pool {
    int started; /* atomic */
    int finished;
} Pool;

static void done(int result, void *opaque)
{
    g_assert_true(loop_in_main_thread());
    g_assert_cmpint(result, ==, 42);
    ((Pool *)opaque)->finished++;
}

static void pool_coroutine(void *opaque)
{
    g_assert_cmpint(thread_pool_run(work, opaque), ==, 42);
    g_assert_true(loop_in_main_thread());
}

static void test_thread_pool(void)
{
    Pool pool = { 0 };

    for (int i = 0; i < 500; i++) {
        thread_pool_submit(loop_main(), work, done, &pool);
    }
    while (pool.finished < 500) {
        loop_iterate(loop_main(), true);
    }
    g_assert_cmpint(pool.started, ==, 500);
    coroutine_run(pool_coroutine, &pool);
    g_assert_cmpint(pool.started, ==, 501);
}

static void test_zero(void)
{
    uint8_t buf[2048] = { 0 };
    struct iovec iov[] = { { buf, 700 }, { buf + 700, 0 }, { buf + 700, 800 } };

    /* One byte that is not zero, at every place of ranges of every length and alignment. */
    for (size_t start = 0; start < 70; start += 7) {
        for (size_t len = 0; len < 1100; len = len < 600 ? len + 1 : len + 97) {
            g_assert_true(buffer_is_zero(buf + start, len));
            for (size_t at = 0; at < len; at = at < 100 ? at + 1 : at + 31) {
                buf[start + at] = 0x80;
                g_assert_false(buffer_is_zero(buf + start, len));
                buf[start + at] = 0;
            }
            buf[start + len] = 1;
            g_assert_true(buffer_is_zero(buf + start, len));
            buf[start + len] = 0;
        }
    }
    buf[1000] = 1;
    g_assert_true(iov_is_zero(iov, 3, 0, 1000));
    g_assert_false(iov_is_zero(iov, 3, 0, 1001));
    g_assert_false(iov_is_zero(iov, 3, 1000, 1));
    g_assert_true(iov_is_zero(iov, 3, 1001, 5000));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/bitmap/model", test_bitmap_model);
    g_test_add_func("/bitmap/bits", test_bitmap_bits);
    g_test_add_func("/iov", test_iov);
    g_test_add_func("/zero", test_zero);
    g_test_add_func("/ratelimit", test_ratelimit);
    g_test_add_func("/thread-pool", test_thread_pool);
    return g_test_run();
}
