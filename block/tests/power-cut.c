/* SPDX-License-Identifier: Apache-2.0 */
#include "block/tests/power-cut.h"

#include <string.h>

#include "block/create.h"
#include "block/open.h"
#include "block/tests/mem-driver.h"
#include "util/bits.h"
#include "util/coroutine.h"

#define CUTS 25
#define STEPS 120
/* What luks is filled with, and sectors beyond what was written when the disk was made. */
#define FILL 7

/* ---- Work, and what the guest may see of it ---- */

typedef enum Kind {
    WRITE,
    FLUSHED,
    DISCARD,  /* or a write that failed: what was there may still be there */
    ANYTHING, /* the sectors may hold any value */
    RESIZE,   /* to `first` sectors */
} Kind;

typedef struct Event {
    Kind kind;
    guint at;               /* place in the log: begin of a write, end of a flush */
    unsigned first, n;      /* sectors */
    uint8_t fill;
} Event;

typedef struct Run {
    const CutVariant *v;
    GArray *events;
    BlockNode *file, *base, *node;
    BlockChild *root;
    unsigned sectors, most; /* of the disk now, and the most it may get */
    uint8_t *initial;       /* a byte for each sector */
    bool may_fail;
} Run;

/* What each sector may hold: bit v of allowed[s] for value v. */
typedef uint8_t Values[32];

static guint log_place(const Run *run)
{
    const GArray *log = log_disk(run->file)->log;

    return log ? log->len : 0;
}

static void random_range(const Run *run, unsigned unit, unsigned *first, unsigned *n)
{
    unsigned units = MAX(run->sectors / unit, 1);

    *n = (unsigned)g_test_rand_int_range(1, g_test_rand_bit() ? 4 : 64);
    *n = MIN(*n, units);
    *first = (unsigned)g_test_rand_int_range(0, (int)(units - *n + 1)) * unit;
    *n = MIN(*n * unit, run->sectors - *first);
}

static int do_write(Run *run, const Event *event, int what, bool compressed)
{
    int64_t offset = (int64_t)event->first * BLOCK_SECTOR;
    int64_t bytes = (int64_t)event->n * BLOCK_SECTOR;
    g_autofree uint8_t *data = NULL;

    if (what == 11) {
        return block_pdiscard(run->root, offset, bytes);
    }
    if (what >= 9) {
        return block_pwrite_zeroes(run->root, offset, bytes,
                                   what == 10 ? BLOCK_REQ_MAY_UNMAP : 0);
    }
    data = g_malloc((gsize)bytes);
    memset(data, event->fill, (size_t)bytes);
    return block_pwrite(run->root, offset, bytes, data,
                        compressed ? BLOCK_REQ_COMPRESSED : what == 8 ? BLOCK_REQ_FUA : 0);
}

/* It stands among the events before it is done, since the power may be cut meanwhile. */
static void one_write(Run *run)
{
    Event event = { .kind = WRITE, .at = log_place(run) };
    int what = g_test_rand_int_range(0, 12), ret;
    bool compressed = run->v->compressed && what < 3;
    guint index = run->events->len;

    random_range(run, compressed ? 8 : 1, &event.first, &event.n);
    event.fill = (uint8_t)(what >= 9 ? 0 : g_test_rand_int_range(1, 200));
    event.kind = what < 11 ? WRITE : run->v->keeps_discard ? ANYTHING : DISCARD;
    g_array_append_val(run->events, event);
    ret = do_write(run, &event, what, compressed);
    if (!run->may_fail) {
        g_assert_cmpint(ret, ==, 0);
    } else if (ret < 0 && event.kind == WRITE) {
        g_array_index(run->events, Event, index).kind = DISCARD;
    }
}

static void guest_flush(Run *run)
{
    Event event = { .kind = FLUSHED };
    int ret = block_flush(run->node);

    g_assert_true(ret == 0 || run->may_fail);
    if (ret == 0) {
        event.at = log_place(run);
        g_array_append_val(run->events, event);
    }
}

/* Grown or cut: what lies behind the smaller of the two sizes reads as zeroes. */
static void resize(Run *run)
{
    unsigned least = run->v->only_grows ? run->sectors : run->most / 2;
    unsigned to = (unsigned)g_test_rand_int_range((int)least, (int)run->most + 1);
    BlockTruncate truncate = { .size = (int64_t)to * BLOCK_SECTOR };
    Event size = { .kind = RESIZE, .at = log_place(run), .first = to };
    Event tail = { .kind = WRITE, .at = size.at, .first = MIN(to, run->sectors) };
    int ret;

    tail.n = run->most - tail.first;
    g_array_append_val(run->events, size);
    g_array_append_val(run->events, tail);
    ret = block_truncate(run->root, &truncate, NULL);
    g_assert_true(ret == 0 || run->may_fail);
    if (ret < 0) {
        g_array_index(run->events, Event, run->events->len - 1).kind = DISCARD;
    }
    run->sectors = (unsigned)(run->node->size / BLOCK_SECTOR);
}

static void take_snapshot(Run *run)
{
    BlockSnapshot snapshot = { .name = (char *)(uintptr_t)"s", .icount = -1 };
    const BlockDriver *driver = run->node->driver;
    g_autoptr(GError) error = NULL;
    bool ok = driver->snapshot_create(run->node, &snapshot, &error);

    g_free(snapshot.id);
    if (ok && g_test_rand_bit()) {
        ok = driver->snapshot_delete(run->node, "s", &error);
    }
    g_assert_true(ok || run->may_fail);
}

static void work(Run *run)
{
    for (unsigned i = 0; i < STEPS; i++) {
        int what = g_test_rand_int_range(0, 40);

        if (what < 5) {
            guest_flush(run);
        } else if (what == 5 && run->v->compressed) {
            take_snapshot(run);
        } else if (what == 6 && run->v->resizes) {
            resize(run);
        } else {
            one_write(run);
        }
    }
}

/* ---- Images ---- */

static BlockNode *try_open(const CutVariant *v, BlockNode *file, BlockNode *base, GError **error)
{
    g_autofree char *text = g_strdup_printf(
        "{\"driver\":\"%s\",\"file\":\"%s\",\"discard\":\"unmap\"%s%s%s%s}", v->format,
        file->name, base ? ",\"backing\":\"" : "", base ? base->name : "", base ? "\"" : "",
        v->open);
    json_object *options = json_tokener_parse(text);
    BlockNode *node = block_open(NULL, NULL, options, QAPI_JSON, 0, error);

    json_object_put(options);
    return node;
}

static BlockNode *open_image(const CutVariant *v, BlockNode *file, BlockNode *base)
{
    GError *error = NULL;
    BlockNode *node = try_open(v, file, base, &error);

    g_assert_no_error(error);
    return node;
}

static void open_run(Run *run)
{
    run->node = open_image(run->v, run->file, run->base);
    run->root = mem_attach(run->node, BLOCK_PERM_ALL);
    run->sectors = (unsigned)(run->node->size / BLOCK_SECTOR);
}

static void close_run(Run *run)
{
    block_child_detach(run->root);
    block_node_unref(run->node);
}

static void make_image(const CutVariant *v, BlockNode *file)
{
    if (v->create) {
        log_disk_create(file, v->format, v->sectors * BLOCK_SECTOR, v->create);
    } else {
        file->size = v->sectors * BLOCK_SECTOR;
    }
}

static void make_base(Run *run)
{
    uint8_t *data;

    run->base = log_disk_new();
    run->base->size = run->v->sectors * BLOCK_SECTOR;
    data = log_disk(run->base)->data;
    for (unsigned s = 0; s < run->v->sectors; s++) {
        run->initial[s] = (uint8_t)(201 + s / 50 % 20);
        memset(data + s * BLOCK_SECTOR, run->initial[s], BLOCK_SECTOR);
    }
}

static void fill_image(Run *run)
{
    gsize bytes = run->v->sectors * BLOCK_SECTOR;
    g_autofree uint8_t *data = g_malloc(bytes);

    memset(data, FILL, bytes);
    memset(run->initial, FILL, run->v->sectors);
    open_run(run);
    g_assert_cmpint(block_pwrite(run->root, 0, (int64_t)bytes, data, 0), ==, 0);
    close_run(run);
}

static void begin_run(Run *run, const CutVariant *v)
{
    *run = (Run) { .v = v, .file = log_disk_new(), .most = v->sectors * (v->resizes ? 2 : 1) };
    run->events = g_array_new(FALSE, FALSE, sizeof(Event));
    run->initial = g_malloc0(run->most);
    if (v->backing) {
        make_base(run);
    }
    make_image(v, run->file);
    if (v->filled) {
        fill_image(run);
    }
}

static void end_run(Run *run)
{
    g_array_unref(run->events);
    g_free(run->initial);
    block_node_unref(run->file);
    block_node_unref(run->base);
}

/* ---- What may be there ---- */

static void only(uint8_t *values, uint8_t value)
{
    memset(values, 0, sizeof(Values));
    values[value / 8] |= (uint8_t)(1u << (value % 8));
}

static void also(uint8_t *values, const Event *event)
{
    if (event->kind == ANYTHING) {
        memset(values, 0xff, sizeof(Values));
    } else {
        values[event->fill / 8] |= (uint8_t)(1u << (event->fill % 8));
    }
}

/* After a cut; of what was flushed the last write counts, of the rest any. */
static Values *allowed_values(const Run *run, guint cut)
{
    Values *allowed = g_new(Values, run->most);
    guint flushed = 0;

    for (unsigned s = 0; s < run->most; s++) {
        only(allowed[s], run->initial[s]);
    }
    for (guint i = 0; i < run->events->len; i++) {
        const Event *event = &g_array_index(run->events, Event, i);

        flushed = event->kind == FLUSHED && event->at <= cut ? i : flushed;
    }
    for (guint i = 0; i < run->events->len; i++) {
        const Event *event = &g_array_index(run->events, Event, i);

        if (event->kind == FLUSHED || event->kind == RESIZE || (i > flushed && event->at > cut)) {
            continue;
        }
        for (unsigned s = event->first; s < event->first + event->n; s++) {
            if (i < flushed && event->kind == WRITE) {
                only(allowed[s], event->fill);
            }
            also(allowed[s], event);
        }
    }
    return allowed;
}

static bool size_is_allowed(const Run *run, guint cut, unsigned sectors)
{
    unsigned was = run->v->sectors;
    bool ok = false;

    for (guint i = 0; i < run->events->len; i++) {
        const Event *event = &g_array_index(run->events, Event, i);

        if (event->at > cut) {
            break;
        }
        if (event->kind == RESIZE) {
            ok |= sectors == was;
            was = event->first;
        } else if (event->kind == FLUSHED) {
            ok = false;
        }
    }
    return ok || sectors == was;
}

static void compare(const Run *run, BlockChild *root, guint cut, unsigned sectors)
{
    g_autofree Values *allowed = allowed_values(run, cut);
    g_autofree uint8_t *data = g_malloc((gsize)sectors * BLOCK_SECTOR);

    g_assert_cmpint(block_pread(root, 0, (int64_t)sectors * BLOCK_SECTOR, data), ==, 0);
    for (unsigned s = 0; s < sectors; s++) {
        uint8_t value = data[s * BLOCK_SECTOR];

        if (!(allowed[s][value / 8] >> (value % 8) & 1)) {
            g_error("%s: sector %u holds %u (place %u in the log)", run->v->name, s, value, cut);
        }
    }
}

static void check(const CutVariant *v, BlockNode *node)
{
    BlockCheckResult result = { 0 };

    if (node->driver->check) {
        g_assert_cmpint(node->driver->check(node, &result, 0, NULL), ==, 0);
        g_assert_cmpint(result.corruptions, ==, 0);
        g_assert_cmpint(result.check_errors, ==, 0);
    }
}

/* ---- Power cuts ---- */

/* The disk as it is after a cut: all before the last flush, and of the rest what luck leaves. */
static BlockNode *cut_disk(const Run *run, guint cut)
{
    const GArray *log = log_disk(run->file)->log;
    BlockNode *node = log_disk_new();
    guint stable = 0;

    for (guint i = 0; i < cut; i++) {
        stable = g_array_index(log, LogEntry, i).kind == LOG_FLUSH ? i : stable;
    }
    for (guint i = 0; i < cut; i++) {
        const LogEntry *entry = &g_array_index(log, LogEntry, i);

        for (int64_t at = 0; at < entry->bytes;) {
            int64_t n = MIN(BLOCK_SECTOR - (entry->offset + at) % BLOCK_SECTOR, entry->bytes - at);

            if (i < stable || g_test_rand_bit()) {
                log_disk_apply(node, entry, at, n);
            }
            at += n;
        }
        if (entry->kind == LOG_TRUNCATE && (i < stable || g_test_rand_bit())) {
            log_disk_apply(node, entry, 0, 0);
        }
    }
    node->size = ROUND_UP(node->size, BLOCK_SECTOR);
    return node;
}

static void look_after(const Run *run, guint cut)
{
    BlockNode *file = cut_disk(run, cut);
    BlockNode *node = open_image(run->v, file, run->base);
    BlockChild *root = mem_attach(node, BLOCK_PERM_ALL);
    unsigned sectors = (unsigned)(node->size / BLOCK_SECTOR);

    check(run->v, node);
    if (!run->v->size_of_file) {
        g_assert_true(size_is_allowed(run, cut, sectors));
    }
    compare(run, root, cut, MIN(sectors, run->most));
    block_child_detach(root);
    block_node_unref(node);
    block_node_unref(file);
}

static void run_cuts(void *opaque)
{
    Run run;
    guint begin, end;

    begin_run(&run, opaque);
    log_disk_start(run.file);
    begin = log_place(&run);
    open_run(&run);
    work(&run);
    close_run(&run);
    end = log_place(&run);
    for (unsigned i = 0; i < CUTS; i++) {
        look_after(&run, (guint)g_test_rand_int_range((int)begin, (int)end + 1));
    }
    end_run(&run);
}

void power_cut(const CutVariant *variant)
{
    coroutine_run(run_cuts, (void *)variant);
}

static void run_create_cuts(void *opaque)
{
    const CutVariant *v = opaque;
    Run run = { .v = v, .file = log_disk_new() };

    log_disk_start(run.file);
    log_disk_create(run.file, v->format, v->sectors * BLOCK_SECTOR, v->create);
    for (guint cut = 0; cut <= log_place(&run); cut++) {
        BlockNode *file = cut_disk(&run, cut);
        g_autoptr(GError) error = NULL;
        BlockNode *node = try_open(v, file, NULL, &error);

        g_assert_true((node != NULL) == (error == NULL));
        if (cut == log_place(&run)) {
            g_assert_no_error(error);
            check(v, node);
            g_assert_cmpint(node->size, ==, v->sectors * BLOCK_SECTOR);
        }
        block_node_unref(node);
        block_node_unref(file);
    }
    block_node_unref(run.file);
}

void power_cut_create(const CutVariant *variant)
{
    coroutine_run(run_create_cuts, (void *)variant);
}

/* ---- Disks that fail ---- */

typedef struct Failing {
    const CutVariant *v;
    unsigned fail_at;
    int err;
    bool sticky, failed;
    bool shared; /* nothing is written between a snapshot and its end */
} Failing;

/* Everything that was acknowledged stands, though nothing may have been flushed. */
static void look_after_failure(Run *run)
{
    Event end = { .kind = FLUSHED };

    g_array_append_val(run->events, end);
    open_run(run);
    check(run->v, run->node);
    compare(run, run->root, G_MAXUINT, run->sectors);
}

static void begin_failure(LogDisk *disk, const Failing *failing)
{
    disk->fail_at = failing->fail_at;
    disk->fail_errno = failing->err;
    disk->fail_sticky = failing->sticky;
}

/* The user makes room, say. */
static void end_failure(LogDisk *disk, Failing *failing)
{
    failing->failed = disk->failed;
    disk->fail_at = 0;
    disk->fail_sticky = false;
}

static void run_failing(void *opaque)
{
    Failing *failing = opaque;
    LogDisk *disk;
    Run run;

    begin_run(&run, failing->v);
    disk = log_disk(run.file);
    open_run(&run);
    begin_failure(disk, failing);
    run.may_fail = true;
    work(&run);
    end_failure(disk, failing);
    close_run(&run);
    look_after_failure(&run);
    run.may_fail = false;
    work(&run);
    close_run(&run);
    look_after_failure(&run);
    close_run(&run);
    end_run(&run);
}

static void fail_everywhere(Failing failing, CoroutineFn *fn, int stride)
{
    while (failing.failed) {
        failing.failed = false;
        coroutine_run(fn, &failing);
        failing.fail_at += (unsigned)g_test_rand_int_range(1, stride + 1);
    }
}

void power_fail(const CutVariant *variant, int err, bool sticky, int stride)
{
    fail_everywhere((Failing) { variant, 1, err, sticky, true }, run_failing, stride);
}

static void some_writes(Run *run)
{
    for (unsigned i = 0; i < 30; i++) {
        one_write(run);
    }
}

static void run_failing_delete(void *opaque)
{
    BlockSnapshot snapshot = { .name = (char *)(uintptr_t)"s", .icount = -1 };
    Failing *failing = opaque;
    g_autoptr(GError) error = NULL;
    LogDisk *disk;
    Run run;

    begin_run(&run, failing->v);
    disk = log_disk(run.file);
    open_run(&run);
    some_writes(&run);
    run.node->driver->snapshot_create(run.node, &snapshot, &error);
    g_assert_no_error(error);
    g_free(snapshot.id);
    if (!failing->shared) {
        some_writes(&run);
    }
    begin_failure(disk, failing);
    run.node->driver->snapshot_delete(run.node, "s", &error);
    end_failure(disk, failing);
    close_run(&run);
    look_after_failure(&run);
    close_run(&run);
    end_run(&run);
}

void power_fail_delete(const CutVariant *variant, int err, bool sticky)
{
    for (int shared = 0; shared < 2; shared++) {
        fail_everywhere((Failing) { variant, 1, err, sticky, true, shared }, run_failing_delete, 1);
    }
}
