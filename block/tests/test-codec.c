/* SPDX-License-Identifier: Apache-2.0 */
/* Compressing many pieces at once, and telling broken ones. */
#include <errno.h>
#include <string.h>

#include "block/codec/pool.h"
#include "util/coroutine.h"

#define PIECE 4096
#define PIECES 100

typedef struct Pieces Pieces;

typedef struct Unpack {
    Pieces *pieces;
    unsigned index;
} Unpack;

struct Pieces {
    CodecPool *pool;
    uint8_t plain[PIECES][PIECE], packed[PIECES][2 * PIECE], again[PIECES][PIECE];
    CodecJob jobs[PIECES];
    Unpack unpacks[PIECES];
    unsigned left;
};

/* Some of a piece can be compressed, and no two are alike. */
static void fill(Pieces *p)
{
    for (unsigned i = 0; i < PIECES; i++) {
        memset(p->plain[i], (int)i, PIECE);
        for (unsigned k = 0; k < PIECE / 4; k++) {
            p->plain[i][k] = (uint8_t)g_test_rand_int();
        }
    }
}

/* One batch of all. */
static void pack(Pieces *p)
{
    for (unsigned i = 0; i < PIECES; i++) {
        p->jobs[i] = (CodecJob){ .src = p->plain[i], .src_size = PIECE, .dst = p->packed[i],
                                 .dst_size = sizeof(p->packed[i]) };
    }
    g_assert_cmpint(codec_pool_run(p->pool, true, p->jobs, PIECES), ==, 0);
    for (unsigned i = 0; i < PIECES; i++) {
        g_assert_cmpint(p->jobs[i].result, >, 0);
        g_assert_cmpint(p->jobs[i].result, <, PIECE);
    }
}

static void unpack_one(void *opaque)
{
    const Unpack *unpack = opaque;
    Pieces *p = unpack->pieces;
    unsigned i = unpack->index;
    CodecJob job = { .src = p->packed[i], .src_size = (size_t)p->jobs[i].result,
                     .dst = p->again[i], .dst_size = PIECE };

    g_assert_cmpint(codec_pool_run(p->pool, false, &job, 1), ==, 0);
    g_assert_cmpint(job.result, ==, PIECE);
    p->left--;
}

static void round_trip(void *opaque)
{
    Pieces *p = opaque;

    pack(p);
    /* And a batch for each, all at once. */
    p->left = PIECES;
    for (unsigned i = 0; i < PIECES; i++) {
        p->unpacks[i] = (Unpack){ p, i };
        coroutine_start(unpack_one, &p->unpacks[i]);
    }
}

static void test_round_trip(const void *opaque)
{
    g_autofree Pieces *p = g_new0(Pieces, 1);

    p->pool = codec_pool_new(*(const CodecMethod *)opaque);
    fill(p);
    coroutine_run(round_trip, p);
    while (p->left) {
        loop_iterate(loop_main(), true);
    }
    g_assert_cmpmem(p->plain, sizeof(p->plain), p->again, sizeof(p->again));
    codec_pool_free(p->pool);
}

static void broken(void *opaque)
{
    Pieces *p = opaque;
    CodecJob job = { .src = p->packed[0], .dst = p->again[0], .dst_size = PIECE };

    pack(p);
    job.src_size = (size_t)p->jobs[0].result / 2;
    g_assert_cmpint(codec_pool_run(p->pool, false, &job, 1), ==, 0);
    g_assert_cmpint(job.result, <, PIECE); /* cut off */
    memset(p->packed[0], 0xff, sizeof(p->packed[0]));
    g_assert_cmpint(codec_pool_run(p->pool, false, &job, 1), ==, 0);
    g_assert_cmpint(job.result, <, 0);
    /* Random bytes do not get smaller. */
    for (unsigned k = 0; k < PIECE; k++) {
        p->plain[0][k] = (uint8_t)g_test_rand_int();
    }
    job = (CodecJob){ .src = p->plain[0], .src_size = PIECE, .dst = p->packed[0],
                      .dst_size = PIECE - 1 };
    g_assert_cmpint(codec_pool_run(p->pool, true, &job, 1), ==, 0);
    g_assert_cmpint(job.result, ==, -ENOSPC);
}

static void test_broken(const void *opaque)
{
    g_autofree Pieces *p = g_new0(Pieces, 1);

    p->pool = codec_pool_new(*(const CodecMethod *)opaque);
    fill(p);
    coroutine_run(broken, p);
    codec_pool_free(p->pool);
}

int main(int argc, char **argv)
{
    static const struct {
        CodecMethod method;
        const char *name;
    } methods[] = {
        { CODEC_DEFLATE, "deflate" }, { CODEC_ZLIB, "zlib" }, { CODEC_ZSTD, "zstd" },
    };

    g_test_init(&argc, &argv, NULL);
    loop_main();
    for (size_t i = 0; i < G_N_ELEMENTS(methods); i++) {
        g_autofree char *round = g_strdup_printf("/codec/%s/round-trip", methods[i].name);
        g_autofree char *bad = g_strdup_printf("/codec/%s/broken", methods[i].name);

        if (codec_load(methods[i].method, NULL)) {
            g_test_add_data_func(round, &methods[i].method, test_round_trip);
            g_test_add_data_func(bad, &methods[i].method, test_broken);
        }
    }
    return g_test_run();
}
