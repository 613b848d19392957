/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Power cuts. qcow2 does random work on a disk in memory that logs writes and flushes. The power
 * is then cut at many moments of that log: of what was written since the last flush, any part is
 * lost. Whatever is left must open, check without corruption, and have all that the guest flushed.
 */
#include <string.h>

#include "block/tests/log-disk.h"
#include "util/bits.h"
#include "util/coroutine.h"

#define DISK_SIZE (1024 * 1024)
#define SECTORS (DISK_SIZE / BLOCK_SECTOR)
#define CUTS 25

/* ---- Work, and what the guest may see of it ---- */

typedef enum Kind { WRITE, FLUSHED, DISCARD } Kind;

typedef struct Event {
    Kind kind;
    guint at;               /* place in the log: begin of a write, end of a flush */
    unsigned first, n;      /* sectors */
    uint8_t fill;
} Event;

typedef struct Run {
    const char *options;
    bool backing, compressed;
    GArray *events;
    BlockNode *file, *base;
} Run;

static guint log_place(const Run *run)
{
    return ((LogDisk *)run->file->opaque)->log->len;
}

static void random_range(unsigned unit, unsigned *first, unsigned *n)
{
    unsigned units = SECTORS / unit;

    *n = (unsigned)g_test_rand_int_range(1, g_test_rand_bit() ? 4 : 64);
    *n = MIN(*n, units);
    *first = (unsigned)g_test_rand_int_range(0, (int)(units - *n + 1)) * unit;
    *n *= unit;
}

static void one_write(Run *run, BlockChild *root)
{
    Event event = { .kind = WRITE, .at = log_place(run) };
    int what = g_test_rand_int_range(0, 12), ret;
    bool compressed = run->compressed && what < 3;
    g_autofree uint8_t *data = NULL;

    random_range(compressed ? 8 : 1, &event.first, &event.n);
    event.fill = (uint8_t)(what >= 9 ? 0 : g_test_rand_int_range(1, 200));
    event.kind = what == 11 ? DISCARD : WRITE;
    g_array_append_val(run->events, event);
    data = g_malloc(event.n * BLOCK_SECTOR);
    memset(data, event.fill, event.n * BLOCK_SECTOR);
    if (what == 11) {
        ret = block_pdiscard(root, (int64_t)event.first * BLOCK_SECTOR,
                             (int64_t)event.n * BLOCK_SECTOR);
    } else if (what >= 9) {
        ret = block_pwrite_zeroes(root, (int64_t)event.first * BLOCK_SECTOR,
                                  (int64_t)event.n * BLOCK_SECTOR,
                                  what == 10 ? BLOCK_REQ_MAY_UNMAP : 0);
    } else {
        ret = block_pwrite(root, (int64_t)event.first * BLOCK_SECTOR,
                           (int64_t)event.n * BLOCK_SECTOR, data,
                           compressed ? BLOCK_REQ_COMPRESSED : 0);
    }
    g_assert_cmpint(ret, ==, 0);
}

static void guest_flush(Run *run, BlockChild *root)
{
    Event event = { .kind = FLUSHED };

    g_assert_cmpint(block_flush(root->node), ==, 0);
    event.at = log_place(run);
    g_array_append_val(run->events, event);
}

static void take_snapshot(BlockNode *node)
{
    BlockSnapshot snapshot = { .name = (char *)(uintptr_t)"s", .icount = -1 };
    GError *error = NULL;

    node->driver->snapshot_create(node, &snapshot, &error);
    g_assert_no_error(error);
    g_free(snapshot.id);
    if (g_test_rand_bit()) {
        node->driver->snapshot_delete(node, "s", &error);
        g_assert_no_error(error);
    }
}

static void work(Run *run, BlockNode *node, BlockChild *root)
{
    for (unsigned i = 0; i < 120; i++) {
        int what = g_test_rand_int_range(0, 40);

        if (what < 5) {
            guest_flush(run, root);
        } else if (what == 5 && run->compressed) {
            take_snapshot(node);
        } else {
            one_write(run, root);
        }
    }
}

/* ---- Cuts ---- */

/* What each sector may hold after a cut there: bit v of allowed[s] for value v. */
typedef uint8_t Allowed[SECTORS][32];

static void only(uint8_t *values, uint8_t value)
{
    memset(values, 0, 32);
    values[value / 8] |= (uint8_t)(1u << (value % 8));
}

static void apply_events(const Run *run, guint cut, const uint8_t *initial, Allowed allowed)
{
    guint flushed = 0;

    for (unsigned s = 0; s < SECTORS; s++) {
        only(allowed[s], initial[s]);
    }
    for (guint i = 0; i < run->events->len; i++) {
        const Event *event = &g_array_index(run->events, Event, i);

        flushed = event->kind == FLUSHED && event->at <= cut ? i : flushed;
    }
    for (guint i = 0; i < run->events->len; i++) {
        const Event *event = &g_array_index(run->events, Event, i);

        if (event->kind == FLUSHED || (i > flushed && event->at > cut)) {
            continue;
        }
        for (unsigned s = event->first; s < event->first + event->n; s++) {
            if (i < flushed && event->kind == WRITE) {
                only(allowed[s], event->fill);
            }
            allowed[s][event->fill / 8] |= (uint8_t)(1u << (event->fill % 8));
        }
    }
}

/* The disk as it is after a cut: all before the last flush, and of the rest what luck leaves. */
static BlockNode *cut_disk(const Run *run, guint cut)
{
    const GArray *log = ((LogDisk *)run->file->opaque)->log;
    BlockNode *node = log_disk_new();
    uint8_t *data = ((LogDisk *)node->opaque)->data;
    guint stable = 0;

    for (guint i = 0; i < cut; i++) {
        stable = g_array_index(log, LogEntry, i).data ? stable : i;
    }
    for (guint i = 0; i < cut; i++) {
        const LogEntry *entry = &g_array_index(log, LogEntry, i);

        for (int64_t at = 0; entry->data && at < entry->bytes;) {
            int64_t n = MIN(BLOCK_SECTOR - (entry->offset + at) % BLOCK_SECTOR, entry->bytes - at);

            if (i < stable || g_test_rand_bit()) {
                memcpy(data + entry->offset + at, entry->data + at, (size_t)n);
                node->size = MAX(node->size, entry->offset + at + n);
            }
            at += n;
        }
    }
    node->size = ROUND_UP(node->size, BLOCK_SECTOR);
    return node;
}

static void look_after(const Run *run, guint cut, const uint8_t *initial)
{
    BlockNode *file = cut_disk(run, cut);
    BlockNode *node = log_disk_open_qcow2(file, run->base);
    BlockChild *root = log_disk_attach(node);
    BlockCheckResult result = { 0 };
    g_autofree uint8_t *data = g_malloc(DISK_SIZE);
    g_autofree Allowed *allowed = g_new(Allowed, 1);

    g_assert_cmpint(node->driver->check(node, &result, 0, NULL), ==, 0);
    g_assert_cmpint(result.corruptions, ==, 0);
    g_assert_cmpint(result.check_errors, ==, 0);
    apply_events(run, cut, initial, *allowed);
    g_assert_cmpint(block_pread(root, 0, DISK_SIZE, data), ==, 0);
    for (unsigned s = 0; s < SECTORS; s++) {
        uint8_t value = data[s * BLOCK_SECTOR];

        if (!((*allowed)[s][value / 8] >> (value % 8) & 1)) {
            g_error("%s: sector %u holds %u after a cut at %u", run->options, s, value, cut);
        }
    }
    block_child_detach(root);
    block_node_unref(node);
    block_node_unref(file);
}

static void make_base(Run *run, uint8_t *initial)
{
    uint8_t *data;

    run->base = log_disk_new();
    run->base->size = DISK_SIZE;
    data = ((LogDisk *)run->base->opaque)->data;
    for (unsigned s = 0; s < SECTORS; s++) {
        initial[s] = (uint8_t)(201 + s / 50 % 20);
        memset(data + s * BLOCK_SECTOR, initial[s], BLOCK_SECTOR);
    }
}

static void run_one(void *opaque)
{
    Run *run = opaque;
    LogDisk *disk;
    uint8_t initial[SECTORS] = { 0 };
    BlockNode *node;
    BlockChild *root;
    guint end;

    run->file = log_disk_new();
    disk = run->file->opaque;
    run->events = g_array_new(FALSE, FALSE, sizeof(Event));
    if (run->backing) {
        make_base(run, initial);
    }
    log_disk_create_qcow2(run->file, DISK_SIZE, run->options);
    log_disk_start(run->file);
    end = disk->log->len;

    node = log_disk_open_qcow2(run->file, run->base);
    root = log_disk_attach(node);
    work(run, node, root);
    block_child_detach(root);
    block_node_unref(node);
    for (unsigned i = 0; i < CUTS; i++) {
        look_after(run, (guint)g_test_rand_int_range((int)end, (int)disk->log->len + 1), initial);
    }
    g_array_unref(run->events);
    block_node_unref(run->file);
    block_node_unref(run->base);
}

static const struct {
    const char *name, *options;
    bool backing, compressed;
} variants[] = {
    { "4k", ",\"cluster-size\":4096", false, false },
    { "4k-backing", ",\"cluster-size\":4096", true, false },
    { "64k-backing", "", true, false },
    { "512", ",\"cluster-size\":512,\"refcount-bits\":64", true, false },
    { "compressed", ",\"cluster-size\":4096", false, true },
    { "compressed-backing", ",\"cluster-size\":4096", true, true },
    { "lazy", ",\"cluster-size\":4096,\"lazy-refcounts\":true", true, false },
    { "subclusters", ",\"cluster-size\":16384,\"extended-l2\":true", true, false },
    { "v2", ",\"cluster-size\":4096,\"version\":\"v2\"", false, false },
};

static void test_cuts(const void *opaque)
{
    guint i = GPOINTER_TO_UINT(opaque);

    for (unsigned round = 0; round < 4; round++) {
        Run run = { .options = variants[i].options, .backing = variants[i].backing,
                    .compressed = variants[i].compressed };

        coroutine_run(run_one, &run);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    for (guint i = 0; i < G_N_ELEMENTS(variants); i++) {
        g_autofree char *path = g_strdup_printf("/qcow2/power-cut/%s", variants[i].name);

        g_test_add_data_func(path, GUINT_TO_POINTER(i), test_cuts);
    }
    return g_test_run();
}
