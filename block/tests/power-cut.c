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

/* The files of an image; the first is the one that is opened. */
#define MAX_DISKS 3
typedef struct Disks {
    BlockNode *disk[MAX_DISKS];
    unsigned n;
} Disks;

typedef struct Run {
    const CutVariant *v;
    GArray *events;
    Disks disks;
    BlockNode *base, *node;
    BlockChild *root;
    unsigned sectors, most; /* of the disk now, and the most it may get */
    uint8_t *initial;       /* a byte for each sector */
    bool may_fail;
    GRand *rand; /* what the guest does follows from its seed */
} Run;

/* What each sector may hold: bit v of allowed[s] for value v. */
typedef uint8_t Values[32];

static guint log_place(const Run *run)
{
    const GArray *log = log_disk(run->disks.disk[0])->log;

    return log ? log->len : 0;
}

static void random_range(const Run *run, unsigned unit, unsigned *first, unsigned *n)
{
    unsigned units = MAX(run->sectors / unit, 1);

    *n = (unsigned)g_rand_int_range(run->rand, 1, g_rand_boolean(run->rand) ? 4 : 64);
    *n = MIN(*n, units);
    *first = (unsigned)g_rand_int_range(run->rand, 0, (int)(units - *n + 1)) * unit;
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
    int what = g_rand_int_range(run->rand, 0, 12), ret;
    bool compressed = run->v->compressed && what < 3;
    guint index = run->events->len;

    random_range(run, compressed ? 8 : 1, &event.first, &event.n);
    event.fill = (uint8_t)(what >= 9 ? 0 : g_rand_int_range(run->rand, 1, 200));
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
    unsigned to = (unsigned)g_rand_int_range(run->rand, (int)least, (int)run->most + 1);
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
    if (ok && g_rand_boolean(run->rand)) {
        ok = driver->snapshot_delete(run->node, "s", &error);
    }
    g_assert_true(ok || run->may_fail);
}

static void work(Run *run)
{
    for (unsigned i = 0; i < STEPS; i++) {
        int what = g_rand_int_range(run->rand, 0, 40);

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

/* In folders of their own, since headers name them. lead: the first has a log, and all write it. */
static void new_disks(Disks *disks, const CutVariant *v, const char *folder, bool lead)
{
    static const unsigned numbers[] = {
        [CUT_ONE_FILE] = 1, [CUT_DATA_FILE] = 2, [CUT_EXTENT] = 2, [CUT_SPLIT] = 3,
    };

    disks->n = numbers[v->files];
    for (unsigned i = 0; i < disks->n; i++) {
        g_autofree char *name = g_strdup_printf("disk-%u", i);

        disks->disk[i] = log_disk_new_named(folder, name, lead && i ? disks->disk[0] : NULL, i);
    }
}

static void free_disks(Disks *disks)
{
    while (disks->n) {
        block_node_unref(disks->disk[--disks->n]);
    }
}

/* A member of JSON that names the second file, with a comma before. */
static char *second_file(const CutVariant *v, const Disks *disks, bool create)
{
    if (v->files == CUT_DATA_FILE) {
        return g_strdup_printf(",\"data-file\":\"%s\"", disks->disk[1]->name);
    }
    return v->files == CUT_EXTENT && create
        ? g_strdup_printf(",\"extents\":[\"%s\"]", disks->disk[1]->name) : g_strdup("");
}

static BlockNode *try_open(const CutVariant *v, const Disks *disks, BlockNode *base,
                           GError **error)
{
    g_autofree char *second = second_file(v, disks, false);
    g_autofree char *text = g_strdup_printf(
        "{\"driver\":\"%s\",\"file\":\"%s\",\"discard\":\"unmap\"%s%s%s%s%s}", v->format,
        disks->disk[0]->name, base ? ",\"backing\":\"" : "", base ? base->name : "",
        base ? "\"" : "", second, v->open);
    json_object *options = json_tokener_parse(text);
    BlockNode *node = block_open(NULL, NULL, options, QAPI_JSON, 0, error);

    json_object_put(options);
    return node;
}

static BlockNode *open_image(const CutVariant *v, const Disks *disks, BlockNode *base)
{
    GError *error = NULL;
    BlockNode *node = try_open(v, disks, base, &error);

    g_assert_no_error(error);
    return node;
}

static void open_run(Run *run)
{
    run->node = open_image(run->v, &run->disks, run->base);
    run->root = mem_attach(run->node, BLOCK_PERM_ALL);
    run->sectors = (unsigned)(run->node->size / BLOCK_SECTOR);
}

static void close_run(Run *run)
{
    block_child_detach(run->root);
    block_node_unref(run->node);
}

/* What QEMU and VMware make of images beyond 2 GB, with halves as small as we like. */
static void make_split(const CutVariant *v, const Disks *disks)
{
    g_autoptr(GString) text = g_string_new("# Disk DescriptorFile\nversion=1\nCID=12345678\n"
                                           "parentCID=ffffffff\n");
    bool flat = !strcmp(v->extent_type, "FLAT");
    unsigned half = v->sectors / 2;

    g_string_append_printf(text, "createType=\"twoGbMaxExtent%s\"\n", flat ? "Flat" : "Sparse");
    for (unsigned i = 1; i < disks->n; i++) {
        BlockNode *extent = disks->disk[i];

        if (flat) {
            extent->size = half * BLOCK_SECTOR;
        } else {
            log_disk_create(extent, v->format, half * BLOCK_SECTOR, v->create);
        }
        g_string_append_printf(text, "RW %u %s \"disk-%u\"%s\n", half, v->extent_type, i,
                               flat ? " 0" : "");
    }
    g_string_append(text, "ddb.adapterType = \"ide\"\n");
    memcpy(log_disk(disks->disk[0])->data, text->str, text->len);
    disks->disk[0]->size = ROUND_UP((int64_t)text->len, BLOCK_SECTOR);
}

static void make_image(const CutVariant *v, const Disks *disks)
{
    if (v->files == CUT_SPLIT) {
        make_split(v, disks);
    } else if (v->create) {
        g_autofree char *second = second_file(v, disks, true);
        g_autofree char *more = g_strconcat(v->create, second, NULL);

        log_disk_create(disks->disk[0], v->format, v->sectors * BLOCK_SECTOR, more);
    } else {
        disks->disk[0]->size = v->sectors * BLOCK_SECTOR;
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

static void begin_run_seeded(Run *run, const CutVariant *v, uint32_t seed)
{
    *run = (Run) { .v = v, .most = v->sectors * (v->resizes ? 2 : 1) };
    run->rand = g_rand_new_with_seed(seed);
    new_disks(&run->disks, v, "run", true);
    run->events = g_array_new(FALSE, FALSE, sizeof(Event));
    run->initial = g_malloc0(run->most);
    if (v->backing) {
        make_base(run);
    }
    make_image(v, &run->disks);
    if (v->filled) {
        fill_image(run);
    }
}

static void begin_run(Run *run, const CutVariant *v)
{
    begin_run_seeded(run, v, (uint32_t)g_test_rand_int());
}

static void end_run(Run *run)
{
    g_rand_free(run->rand);
    g_array_unref(run->events);
    g_free(run->initial);
    free_disks(&run->disks);
    block_node_unref(run->base);
}

/* ---- What may be there ---- */

static void only(uint8_t *values, uint8_t value)
{
    memset(values, 0, sizeof(Values));
    values[value / 8] |= (uint8_t)(1u << (value % 8));
}

static void also(uint8_t *values, const Event *event, bool rubbish)
{
    if (event->kind == ANYTHING || rubbish) {
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
        /* A data file loses what is discarded at once, the mark that it reads as zero may wait. */
        bool rubbish = i > flushed && event->kind == DISCARD && run->v->files == CUT_DATA_FILE;

        if (event->kind == FLUSHED || event->kind == RESIZE || (i > flushed && event->at > cut)) {
            continue;
        }
        for (unsigned s = event->first; s < event->first + event->n; s++) {
            if (i < flushed && event->kind == WRITE) {
                only(allowed[s], event->fill);
            }
            also(allowed[s], event, rubbish);
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

static void put_down_all(const Disks *disks)
{
    log_disk_start(disks->disk[0]);
    for (unsigned i = 0; i < disks->n; i++) {
        log_disk_put_down(disks->disk[i]);
    }
}

/* What luck leaves of an entry; all of it if it is stable. */
static void leave(BlockNode *disk, const LogEntry *entry, bool stable)
{
    for (int64_t at = 0; at < entry->bytes;) {
        int64_t n = MIN(BLOCK_SECTOR - (entry->offset + at) % BLOCK_SECTOR, entry->bytes - at);

        if (stable || g_test_rand_bit()) {
            log_disk_apply(disk, entry, at, n);
        }
        at += n;
    }
    if (entry->kind == LOG_TRUNCATE && (stable || g_test_rand_bit())) {
        log_disk_apply(disk, entry, 0, 0);
    }
}

/* The disks as they are after a cut: each has all that stands before its last flush. */
static void cut_disks(Disks *disks, const Run *run, guint cut)
{
    const GArray *log = log_disk(run->disks.disk[0])->log;
    guint stable[MAX_DISKS] = { 0 };

    new_disks(disks, run->v, "cut", false);
    for (guint i = 0; i < cut; i++) {
        const LogEntry *entry = &g_array_index(log, LogEntry, i);

        if (entry->kind == LOG_FLUSH) {
            stable[entry->disk] = i;
        }
    }
    for (guint i = 0; i < cut; i++) {
        const LogEntry *entry = &g_array_index(log, LogEntry, i);

        leave(disks->disk[entry->disk], entry, i < stable[entry->disk]);
    }
    for (unsigned i = 0; i < disks->n; i++) {
        disks->disk[i]->size = ROUND_UP(disks->disk[i]->size, BLOCK_SECTOR);
    }
}

static void look_after(const Run *run, guint cut)
{
    BlockNode *node;
    BlockChild *root;
    unsigned sectors;
    Disks disks;

    cut_disks(&disks, run, cut);
    node = open_image(run->v, &disks, run->base);
    root = mem_attach(node, BLOCK_PERM_ALL);
    sectors = (unsigned)(node->size / BLOCK_SECTOR);
    check(run->v, node);
    if (!run->v->size_of_file) {
        g_assert_true(size_is_allowed(run, cut, sectors));
    }
    compare(run, root, cut, MIN(sectors, run->most));
    block_child_detach(root);
    block_node_unref(node);
    free_disks(&disks);
}

static void run_cuts(void *opaque)
{
    Run run;
    guint begin, end;

    begin_run(&run, opaque);
    put_down_all(&run.disks);
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

static void look_after_create(const Run *run, guint cut)
{
    g_autoptr(GError) error = NULL;
    BlockNode *node;
    Disks disks;

    cut_disks(&disks, run, cut);
    node = try_open(run->v, &disks, NULL, &error);
    g_assert_true((node != NULL) == (error == NULL));
    if (cut == log_place(run)) {
        g_assert_no_error(error);
        check(run->v, node);
        g_assert_cmpint(node->size, ==, run->v->sectors * BLOCK_SECTOR);
    }
    block_node_unref(node);
    free_disks(&disks);
}

static void run_create_cuts(void *opaque)
{
    Run run = { .v = opaque };

    new_disks(&run.disks, run.v, "run", true);
    log_disk_start(run.disks.disk[0]);
    make_image(run.v, &run.disks);
    for (guint cut = 0; cut <= log_place(&run); cut++) {
        look_after_create(&run, cut);
    }
    free_disks(&run.disks);
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
    int64_t leaks; /* what a check has found afterwards */
    uint32_t seed;
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
    disk = log_disk(run.disks.disk[0]);
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
    disk = log_disk(run.disks.disk[0]);
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

static int64_t count_leaks(BlockNode *node)
{
    BlockCheckResult result = { 0 };

    g_assert_cmpint(node->driver->check(node, &result, 0, NULL), ==, 0);
    return result.leaks;
}

/* Sets failing->leaks. With one seed the same writes are done, up to the one that fails. */
static void run_failing_snapshot(void *opaque)
{
    BlockSnapshot snapshot = { .name = (char *)(uintptr_t)"s", .icount = -1 };
    Failing *failing = opaque;
    LogDisk *disk;
    Run run;

    begin_run_seeded(&run, failing->v, failing->seed);
    disk = log_disk(run.disks.disk[0]);
    open_run(&run);
    some_writes(&run);
    begin_failure(disk, failing);
    run.node->driver->snapshot_create(run.node, &snapshot, NULL);
    g_free(snapshot.id);
    end_failure(disk, failing);
    close_run(&run);
    look_after_failure(&run);
    failing->leaks = count_leaks(run.node);
    close_run(&run);
    end_run(&run);
}

/* Writing the header, and making that stable. */
#define DOUBTFUL_PLACES 2

void power_fail_snapshot(const CutVariant *variant, int err)
{
    Failing failing = {
        variant, 1, err, .failed = true, .seed = (uint32_t)g_test_rand_int(),
    };
    unsigned places = 0, with_leaks = 0;

    while (failing.failed) {
        failing.failed = false;
        coroutine_run(run_failing_snapshot, &failing);
        failing.fail_at++;
        places++;
        with_leaks += failing.leaks > 0;
    }
    g_assert_cmpuint(places, >, 2 * DOUBTFUL_PLACES);
    g_assert_cmpuint(with_leaks, <=, DOUBTFUL_PLACES);
}

void power_fail_delete(const CutVariant *variant, int err, bool sticky, int stride)
{
    for (int shared = 0; shared < 2; shared++) {
        fail_everywhere((Failing) { variant, 1, err, sticky, true, shared }, run_failing_delete,
                        stride);
    }
}
