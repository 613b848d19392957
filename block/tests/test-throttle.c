/* SPDX-License-Identifier: Apache-2.0 */
/* Throttle groups: turns, threads, drained sections, the filter and the object. Time is stepped. */
#include <string.h>

#include "block/backend.h"
#include "block/open.h"
#include "block/tests/mem-driver.h"
#include "block/throttle-group.h"
#include "qapi-commands-block-core.h"
#include "qapi-commands-block.h"
#include "qom/object.h"
#include "util/coroutine.h"
#include "util/thread.h"
#include "util/vm-lock.h"

#define SIZE (1024 * 1024)
#define RW (BLOCK_PERM_CONSISTENT_READ | BLOCK_PERM_WRITE)

typedef struct Disk {
    BlockBackend *blk;
    unsigned asked, done; /* atomic */
} Disk;

static void disk_init(Disk *disk, const char *name)
{
    g_autoptr(BlockNode) node = mem_node_new(&mem_driver, SIZE, NULL);

    *disk = (Disk){ block_backend_new(loop_main(), RW, BLOCK_PERM_ALL) };
    g_assert_true(block_backend_insert(disk->blk, node, NULL));
    g_assert_true(block_backend_set_name(disk->blk, name, NULL));
}

static void limit(Disk *disk, const char *group, ThrottleKind kind, int64_t avg)
{
    ThrottleConfig config;

    throttle_config_init(&config);
    config.limits[kind].avg = avg;
    block_backend_set_limits(disk->blk, group, &config);
}

static void done(void *opaque, int result)
{
    g_assert_cmpint(result, ==, 0);
    __atomic_fetch_add(&((Disk *)opaque)->done, 1, __ATOMIC_SEQ_CST);
}

static void write_some(Disk *disk, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        disk->asked++;
        block_backend_aio_pwrite_zeroes(disk->blk, 0, 512, 0, done, disk);
    }
}

static void read_some(Disk *disk, unsigned n)
{
    static uint8_t buf[512];
    static const struct iovec iov = { buf, sizeof(buf) };

    for (unsigned i = 0; i < n; i++) {
        disk->asked++;
        block_backend_aio_preadv(disk->blk, 0, &(BlockVec){ &iov, 1 }, 0, done, disk);
    }
}

static unsigned done_of(const Disk *disk)
{
    return __atomic_load_n(&disk->done, __ATOMIC_SEQ_CST);
}

static void settle(void)
{
    for (int i = 0; i < 20; i++) {
        loop_iterate(loop_main(), false);
    }
}

static void step(int64_t ns)
{
    vm_clock_advance_to(vm_clock_ns(VM_CLOCK_VIRTUAL) + ns);
    settle();
}

static void disk_cleanup(Disk *disk)
{
    block_backend_remove(disk->blk);
    g_assert_cmpuint(done_of(disk), ==, disk->asked);
    block_backend_unref(disk->blk);
}

/* One disk: a tenth of a second's worth at once, then the rate. */
static void test_rate(void)
{
    Disk disk;

    disk_init(&disk, "one");
    limit(&disk, "one", THROTTLE_IOPS_TOTAL, 100);
    write_some(&disk, 100);
    settle();
    g_assert_cmpuint(done_of(&disk), ==, 11);
    for (unsigned i = 1; i <= 40; i++) {
        step(10 * NS_PER_MS);
        g_assert_cmpuint(done_of(&disk), >=, 10 + i);
        g_assert_cmpuint(done_of(&disk), <=, 11 + i);
    }
    step(NS_PER_SEC);
    g_assert_cmpuint(done_of(&disk), ==, 100);

    /* No limits any more: the group goes with its last member. */
    g_assert_nonnull(throttle_group_find("one"));
    limit(&disk, NULL, THROTTLE_IOPS_TOTAL, 0);
    g_assert_null(throttle_group_find("one"));
    write_some(&disk, 100);
    settle();
    g_assert_cmpuint(done_of(&disk), ==, 200);
    disk_cleanup(&disk);
}

/* Members in turn, however much each of them wants; and reads beside writes. */
static void test_fair(void)
{
    Disk disks[3];

    for (int i = 0; i < 3; i++) {
        g_autofree char *name = g_strdup_printf("disk%d", i);

        disk_init(&disks[i], name);
        limit(&disks[i], "shared", THROTTLE_IOPS_TOTAL, 100);
    }
    write_some(&disks[0], 1000);
    write_some(&disks[1], 100);
    read_some(&disks[2], 100);
    settle();
    for (int i = 0; i < 100; i++) {
        step(10 * NS_PER_MS);
    }
    /* 111 requests so far: half of them reads, the others in equal parts. */
    g_assert_cmpuint(done_of(&disks[0]) + done_of(&disks[1]) + done_of(&disks[2]), >=, 110);
    g_assert_cmpuint(done_of(&disks[0]) + done_of(&disks[1]) + done_of(&disks[2]), <=, 112);
    g_assert_cmpuint(done_of(&disks[2]), >=, 48);
    g_assert_cmpuint(done_of(&disks[2]), <=, 58);
    /* disk0 had what the first tenth of a second gives, before the others came. */
    g_assert_cmpuint(done_of(&disks[1]), >=, 22);
    g_assert_cmpuint(done_of(&disks[0]) - done_of(&disks[1]), <=, 13);

    /* Who has nothing to do leaves his part to the others. */
    step(20 * NS_PER_SEC);
    for (int i = 0; i < 3; i++) {
        g_assert_cmpuint(done_of(&disks[i]), ==, disks[i].asked);
        disk_cleanup(&disks[i]);
    }
}

/* The clock stands still: only bypassing can end these sections. */
static void test_drain(void)
{
    Disk disks[2];

    disk_init(&disks[0], "a");
    disk_init(&disks[1], "b");
    limit(&disks[0], "g", THROTTLE_BPS_TOTAL, 512);
    limit(&disks[1], "g", THROTTLE_BPS_TOTAL, 512);
    write_some(&disks[0], 10);
    write_some(&disks[1], 10);
    settle();
    g_assert_cmpuint(done_of(&disks[0]) + done_of(&disks[1]), ==, 1);
    block_drain_begin(block_backend_node(disks[0].blk));
    g_assert_cmpuint(done_of(&disks[0]), ==, 10);
    g_assert_cmpuint(done_of(&disks[1]), <=, 1);
    block_drain_end(block_backend_node(disks[0].blk));
    write_some(&disks[0], 1);
    settle();
    g_assert_cmpuint(done_of(&disks[0]), ==, 10);
    block_drain_all_begin();
    g_assert_cmpuint(done_of(&disks[0]) + done_of(&disks[1]), ==, 21);
    block_drain_all_end();

    /* To another group, and out of it, while requests wait: they are let go first. */
    write_some(&disks[0], 5);
    limit(&disks[0], "h", THROTTLE_BPS_TOTAL, 512);
    g_assert_cmpuint(done_of(&disks[0]), ==, 16);
    write_some(&disks[0], 5);
    limit(&disks[0], NULL, THROTTLE_BPS_TOTAL, 0);
    g_assert_cmpuint(done_of(&disks[0]), ==, 21);
    g_assert_null(throttle_group_find("h"));
    write_some(&disks[1], 3);
    settle();
    disk_cleanup(&disks[0]);
    disk_cleanup(&disks[1]);
}

/* ---- Threads ---- */

#define N_THREADS 3
#define PER_THREAD 200

static void *run_loop(void *opaque)
{
    loop_run(opaque);
    return NULL;
}

static void start_writes(void *opaque)
{
    write_some(opaque, PER_THREAD);
}

static void test_threads(void)
{
    Loop *loops[N_THREADS];
    pthread_t threads[N_THREADS];
    Disk disks[N_THREADS];
    unsigned all = 0;

    for (int i = 0; i < N_THREADS; i++) {
        g_autofree char *name = g_strdup_printf("t%d", i);

        loops[i] = loop_new(NULL);
        g_assert_true(thread_create(&threads[i], name, run_loop, loops[i], NULL));
        disk_init(&disks[i], name);
        limit(&disks[i], "threads", THROTTLE_IOPS_TOTAL, 1000);
        g_assert_true(block_backend_set_loop(disks[i].blk, loops[i], NULL));
        loop_post(loops[i], start_writes, &disks[i]);
    }
    while (all < N_THREADS * PER_THREAD) {
        vm_clock_advance_to(vm_clock_ns(VM_CLOCK_VIRTUAL) + NS_PER_MS);
        loop_iterate(loop_main(), false);
        if (all % 7 == 0) {
            block_drain_begin(block_backend_node(disks[0].blk));
            block_drain_end(block_backend_node(disks[0].blk));
        }
        all = done_of(&disks[0]) + done_of(&disks[1]) + done_of(&disks[2]);
    }
    for (int i = 0; i < N_THREADS; i++) {
        g_assert_true(block_backend_set_loop(disks[i].blk, loop_main(), NULL));
        disk_cleanup(&disks[i]);
        loop_quit(loops[i]);
        pthread_join(threads[i], NULL);
        loop_free(loops[i]);
    }
}

/* ---- The filter and the object ---- */

static json_object *parse(const char *text)
{
    json_object *json = json_tokener_parse(text);

    g_assert_nonnull(json);
    return json;
}

static bool add_object(const char *text, GError **error)
{
    json_object *json = parse(text);
    bool ok = user_object_create(json, false, error) != NULL;

    json_object_put(json);
    return ok;
}

static void refuse_object(const char *text, const char *words)
{
    GError *error = NULL;

    g_assert_false(add_object(text, &error));
    g_assert_nonnull(strstr(error->message, words));
    g_error_free(error);
}

static BlockNode *add_filter(const char *group, const char *below, GError **error)
{
    json_object *json = json_object_new_object();
    BlockNode *node;

    json_object_object_add(json, "driver", json_object_new_string("throttle"));
    json_object_object_add(json, "throttle-group", json_object_new_string(group));
    json_object_object_add(json, "file", json_object_new_string(below));
    node = block_open(NULL, NULL, json, QAPI_JSON, 0, error);
    json_object_put(json);
    return node;
}

static void test_filter(void)
{
    g_autoptr(BlockNode) mem = mem_node_new(&mem_driver, SIZE, NULL);
    g_autoptr(BlockNode) filter = NULL;
    Disk disk = { block_backend_new(loop_main(), RW, BLOCK_PERM_ALL) };
    json_object *limits;
    Object *object;
    GError *error = NULL;

    g_assert_null(add_filter("nowhere", mem->name, &error));
    g_assert_nonnull(strstr(error->message, "'nowhere' does not exist"));
    g_clear_error(&error);
    g_assert_true(add_object("{\"qom-type\":\"throttle-group\",\"id\":\"tg\","
                             "\"limits\":{\"iops-total\":10}}", NULL));
    object = user_object_find("tg", TYPE_THROTTLE_GROUP, NULL);
    filter = add_filter("tg", mem->name, &error);
    g_assert_no_error(error);
    g_assert_false(user_object_delete("tg", &error));
    g_assert_nonnull(strstr(error->message, "in use"));
    g_clear_error(&error);

    g_assert_true(block_backend_insert(disk.blk, filter, NULL));
    write_some(&disk, 50);
    settle();
    g_assert_cmpuint(done_of(&disk), ==, 2);
    step(NS_PER_SEC + NS_PER_MS);
    g_assert_cmpuint(done_of(&disk), ==, 12);
    /* Live. What is not named stays; a wrong combination changes nothing. */
    limits = parse("{\"bps-total\":512000}");
    g_assert_true(object_property_set(object, "limits", limits, NULL));
    json_object_put(limits);
    limits = parse("{\"iops-read\":5}");
    g_assert_false(object_property_set(object, "limits", limits, NULL));
    json_object_put(limits);
    limits = object_property_get(object, "limits", NULL);
    g_assert_cmpint(json_object_get_int(json_object_object_get(limits, "iops-total")), ==, 10);
    g_assert_cmpint(json_object_get_int(json_object_object_get(limits, "bps-total")), ==, 512000);
    g_assert_cmpint(json_object_get_int(json_object_object_get(limits, "iops-read")), ==, 0);
    json_object_put(limits);
    limits = parse("{\"iops-total\":0}");
    g_assert_true(object_property_set(object, "limits", limits, NULL));
    json_object_put(limits);
    settle();
    g_assert_cmpuint(done_of(&disk), ==, 50);
    g_assert_false(object_property_set_int(object, "x-bps-total", 1, NULL));

    limits = parse("{\"iops-total\":1}");
    g_assert_true(object_property_set(object, "limits", limits, NULL));
    json_object_put(limits);
    write_some(&disk, 50);
    settle();
    block_drain_begin(filter);
    g_assert_cmpuint(done_of(&disk), ==, 100);
    block_drain_end(filter);
    write_some(&disk, 5);
    disk_cleanup(&disk);
    g_clear_pointer(&filter, block_node_unref);
    g_assert_true(user_object_delete("tg", NULL));
    g_assert_null(throttle_group_find("tg"));
}

/* It has missed the beginning of the section that its end is told of. */
static void test_filter_in_section(void)
{
    g_autoptr(BlockNode) mem = mem_node_new(&mem_driver, SIZE, NULL);
    g_autoptr(BlockNode) filter = NULL;
    Disk disk = { block_backend_new(loop_main(), RW, BLOCK_PERM_ALL) };

    g_assert_true(add_object("{\"qom-type\":\"throttle-group\",\"id\":\"tg\","
                             "\"limits\":{\"iops-total\":1}}", NULL));
    block_drain_begin(mem);
    filter = add_filter("tg", mem->name, NULL);
    g_assert_nonnull(filter);
    block_drain_end(mem);
    g_assert_true(block_backend_insert(disk.blk, filter, NULL));
    write_some(&disk, 5);
    settle();
    g_assert_cmpuint(done_of(&disk), <, 5);
    disk_cleanup(&disk);
    g_clear_pointer(&filter, block_node_unref);
    g_assert_true(user_object_delete("tg", NULL));
}

static void test_object(void)
{
    Object *object;
    json_object *value;

    refuse_object("{\"qom-type\":\"throttle-group\",\"id\":\"a\",\"x-bps-total\":-1}", "negative");
    refuse_object("{\"qom-type\":\"throttle-group\",\"id\":\"a\",\"x-bps-total-max\":5}",
                  "require corresponding");
    refuse_object("{\"qom-type\":\"throttle-group\",\"id\":\"a\",\"limits\":{\"foo\":1}}", "foo");
    refuse_object("{\"qom-type\":\"throttle-group\",\"id\":\"a\",\"limits\":5}", "limits");
    g_assert_true(add_object("{\"qom-type\":\"throttle-group\",\"id\":\"a\",\"x-iops-write\":7,"
                             "\"x-iops-write-max\":70,\"x-iops-write-max-length\":3,"
                             "\"x-iops-size\":4096}", NULL));
    refuse_object("{\"qom-type\":\"throttle-group\",\"id\":\"a\"}", "a");
    object = user_object_find("a", TYPE_THROTTLE_GROUP, NULL);
    value = object_property_get(object, "x-iops-write-max-length", NULL);
    g_assert_cmpint(json_object_get_int(value), ==, 3);
    json_object_put(value);
    value = object_property_get(object, "x-iops-size", NULL);
    g_assert_cmpint(json_object_get_int(value), ==, 4096);
    json_object_put(value);
    g_assert_true(user_object_delete("a", NULL));
}

/* ---- QMP ---- */

static void test_qmp(void)
{
    Disk disk;
    BlockIOThrottle arg = { .device = (char *)"d", .bps = 1000, .has_bps_max = true,
                            .bps_max = 2000 };
    g_autoptr(GPtrArray) list = NULL, none = NULL;
    const BlockDeviceInfo *info;

    disk_init(&disk, "d");
    g_assert_true(qmp_block_set_io_throttle(&arg, NULL));
    list = qmp_query_block(NULL);
    info = ((const BlockInfo *)g_ptr_array_index(list, 0))->inserted;
    g_assert_cmpint(info->bps, ==, 1000);
    g_assert_cmpint(info->bps_max, ==, 2000);
    g_assert_true(info->has_bps_max_length && !info->has_iops_max && !info->has_iops_size);
    g_assert_cmpstr(info->group, ==, "d");
    arg.bps_rd = 5;
    g_assert_false(qmp_block_set_io_throttle(&arg, NULL));
    arg = (BlockIOThrottle){ .device = (char *)"d", .iops_rd = 5, .group = (char *)"other" };
    g_assert_true(qmp_block_set_io_throttle(&arg, NULL));
    g_assert_nonnull(throttle_group_find("other"));
    g_assert_null(throttle_group_find("d"));
    arg = (BlockIOThrottle){ .device = (char *)"d" };
    g_assert_true(qmp_block_set_io_throttle(&arg, NULL));
    g_assert_null(throttle_group_find("other"));
    none = qmp_query_block(NULL);
    g_assert_null(((const BlockInfo *)g_ptr_array_index(none, 0))->inserted->group);
    arg.id = (char *)"d";
    g_assert_false(qmp_block_set_io_throttle(&arg, NULL));
    block_backend_remove(disk.blk);
    arg.id = NULL;
    g_assert_false(qmp_block_set_io_throttle(&arg, NULL));
    disk_cleanup(&disk);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    vm_lock();
    vm_clock_set_manual();
    vm_clock_start();
    g_test_add_func("/throttle/rate", test_rate);
    g_test_add_func("/throttle/fair", test_fair);
    g_test_add_func("/throttle/drain", test_drain);
    g_test_add_func("/throttle/threads", test_threads);
    g_test_add_func("/throttle/filter", test_filter);
    g_test_add_func("/throttle/filter-in-section", test_filter_in_section);
    g_test_add_func("/throttle/object", test_object);
    g_test_add_func("/throttle/qmp", test_qmp);
    return g_test_run();
}
