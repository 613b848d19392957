/* SPDX-License-Identifier: Apache-2.0 */
/* virtio-scsi with a disk and a CD-ROM: commands, sense data, tasks, events, bad drivers. */
#include <glib/gstdio.h>
#include <linux/virtio_scsi.h>
#include <unistd.h>

#include "tests/qtest/snapshot.h"
#include "tests/qtest/virtio.h"

#define DISK_SIZE (1024 * 1024)
#define COMMAND V_DATA
#define RESPONSE (V_DATA + 0x200)
#define OUT_DATA (V_DATA + 0x1000)
#define IN_DATA (V_DATA + 0x8000)
#define COMMAND_SIZE 51u
#define RESPONSE_SIZE 108u
#define NEXT VRING_DESC_F_NEXT
#define WRITE VRING_DESC_F_WRITE
#define CD_LUN 2

static char *disk_path;

typedef struct Result {
    uint8_t response, status, key, asc;
    uint32_t resid;
} Result;

static QTest *start(const char *more)
{
    g_autofree uint8_t *bytes = g_malloc(DISK_SIZE);

    for (size_t i = 0; i < DISK_SIZE; i++) {
        bytes[i] = (uint8_t)(i / 512);
    }
    g_assert_true(g_file_set_contents(disk_path, (char *)bytes, DISK_SIZE, NULL));
    return qtest_start("-M pc -device virtio-scsi-pci,id=s "
                       "-drive file=%s,format=raw,if=none,id=d,discard=unmap%s "
                       "-device scsi-hd,drive=d,serial=disk-1,id=hd "
                       "-device scsi-cd,scsi-id=0,lun=2,id=cd", disk_path, more);
}

/* Three queues: control, events, commands. */
static VQueue setup(QTest *qts, VQueue *control, VQueue *events)
{
    VQueue q;

    v_map(qts);
    v_negotiate(qts, V_BIT(VIRTIO_SCSI_F_HOTPLUG) | V_BIT(VIRTIO_SCSI_F_CHANGE));
    *control = v_queue(qts, 0);
    *events = v_queue(qts, 1);
    q = v_queue(qts, 2);
    v_driver_ok(qts);
    return q;
}

static void put_command(QTest *qts, VQueue *q, uint8_t target, uint16_t lun, const uint8_t *cdb,
                        unsigned cdb_len, uint32_t out, uint32_t in)
{
    uint8_t command[COMMAND_SIZE] = { 1, target, lun >> 8, lun & 0xff };

    memcpy(command + 19, cdb, cdb_len);
    qtest_memwrite(qts, COMMAND, command, sizeof(command));
    v_desc(qts, q, 0, COMMAND, COMMAND_SIZE, NEXT, out ? 1 : 2);
    v_desc(qts, q, 1, OUT_DATA, out, NEXT, 2);
    v_desc(qts, q, 2, RESPONSE, RESPONSE_SIZE, WRITE | (in ? NEXT : 0), 3);
    v_desc(qts, q, 3, IN_DATA, in, WRITE, 0);
    v_offer(qts, q, 0);
    v_kick(qts, 2);
}

static Result run_at(QTest *qts, VQueue *q, uint16_t lun, const uint8_t *cdb, unsigned cdb_len,
                     uint32_t out, uint32_t in)
{
    Result r;

    put_command(qts, q, 0, lun, cdb, cdb_len, out, in);
    v_wait(qts, q);
    r.resid = qtest_readl(qts, RESPONSE + 4);
    r.status = qtest_readb(qts, RESPONSE + 10);
    r.response = qtest_readb(qts, RESPONSE + 11);
    r.key = qtest_readl(qts, RESPONSE) ? qtest_readb(qts, RESPONSE + 14) : 0;
    r.asc = qtest_readl(qts, RESPONSE) ? qtest_readb(qts, RESPONSE + 24) : 0;
    return r;
}

#define RUN(lun, out, in, ...)                                                                     \
    run_at(qts, &q, lun, (const uint8_t[16]) { __VA_ARGS__ }, 16, out, in)

static void assert_good(Result r)
{
    g_assert_cmphex(r.response, ==, 0);
    g_assert_cmphex(r.status, ==, 0);
}

static void assert_sense(Result r, uint8_t key, uint8_t asc)
{
    g_assert_cmphex(r.status, ==, 2);
    g_assert_cmphex(r.key, ==, key);
    g_assert_cmphex(r.asc, ==, asc);
}

/* The first command of each unit hears of the power-on. */
static VQueue setup_ready(QTest *qts, VQueue *control, VQueue *events)
{
    VQueue q = setup(qts, control, events);

    assert_sense(RUN(0, 0, 0, 0x00), 6, 0x29);
    assert_sense(RUN(CD_LUN, 0, 0, 0x00), 6, 0x29);
    assert_good(RUN(0, 0, 0, 0x00));
    return q;
}

static void test_inform(void)
{
    QTest *qts = start("");
    VQueue control, events, q = setup_ready(qts, &control, &events);
    uint8_t data[64];

    assert_good(RUN(0, 0, 255, 0x12, 0, 0, 0, 36));
    qtest_memread(qts, IN_DATA, data, 36);
    g_assert_cmpmem(data + 8, 24, "QEMU    QEMU HARDDISK   ", 24);
    assert_good(RUN(CD_LUN, 0, 255, 0x12, 0, 0, 0, 36));
    g_assert_cmphex(qtest_readb(qts, IN_DATA), ==, 5);
    assert_good(RUN(0, 0, 255, 0x12, 1, 0x80, 0, 255));
    qtest_memread(qts, IN_DATA, data, 10);
    g_assert_cmpmem(data + 4, 6, "disk-1", 6);
    for (unsigned page = 0; page < 256; page++) {
        Result r = RUN(0, 0, 255, 0x12, 1, (uint8_t)page, 0, 255);

        g_assert_true(r.status == 0 || r.asc == 0x24);
    }
    assert_good(RUN(0, 0, 255, 0x25));
    g_assert_cmphex(qtest_readl(qts, IN_DATA), ==, GUINT32_TO_BE(DISK_SIZE / 512 - 1));
    assert_good(RUN(0, 0, 255, 0x9e, 0x10, [13] = 32));
    assert_good(RUN(0, 0, 255, 0xa0, [9] = 64));
    g_assert_cmphex(qtest_readl(qts, IN_DATA), ==, GUINT32_TO_BE(16)); /* LUNs 0 and 2 */
    assert_good(RUN(0, 0, 255, 0x1a, 0, 0x3f, 0, 255));
    assert_good(RUN(0, 0, 255, 0x5a, 0, 0x08, [8] = 255));
    assert_sense(RUN(CD_LUN, 0, 0, 0x00), 2, 0x3a);
    assert_sense(RUN(CD_LUN, 0, 255, 0x43, [8] = 20), 2, 0x3a);
    assert_sense(RUN(1, 0, 0, 0x00), 5, 0x25); /* a LUN that the target does not have */
    assert_good(RUN(1, 0, 255, 0x12, 0, 0, 0, 36));
    g_assert_cmphex(qtest_readb(qts, IN_DATA), ==, 0x7f);
    assert_sense(RUN(0, 0, 0, 0xc0), 5, 0x20);
    put_command(qts, &q, 9, 0, data, 6, 0, 0); /* nor the bus such a target */
    v_wait(qts, &q);
    g_assert_cmphex(qtest_readb(qts, RESPONSE + 11), ==, VIRTIO_SCSI_S_BAD_TARGET);
    qtest_stop(qts);
}

static void test_data(void)
{
    static const uint8_t ranges[] = { 0, 22, 0, 16, [15] = 20, [19] = 4, [23] = 0 };
    QTest *qts = start("");
    VQueue control, events, q = setup_ready(qts, &control, &events);

    assert_good(RUN(0, 0, 1024, 0x28, 0, 0, 0, 0, 5, 0, 0, 2));
    g_assert_cmpuint(qtest_readb(qts, IN_DATA), ==, 5);
    g_assert_cmpuint(qtest_readb(qts, IN_DATA + 1023), ==, 6);
    qtest_memset(qts, OUT_DATA, 0xcd, 512);
    assert_good(RUN(0, 512, 0, 0x8a, 8, [9] = 7, [13] = 1));
    assert_good(RUN(0, 0, 512, 0x08, 0, 0, 7, 1));
    g_assert_cmpuint(qtest_readb(qts, IN_DATA + 511), ==, 0xcd);
    assert_good(RUN(0, 0, 0, 0x35));
    qtest_memset(qts, OUT_DATA, 0, 512);
    assert_good(RUN(0, 512, 0, 0x41, 0, 0, 0, 0, 9, 0, 0, 2)); /* WRITE SAME of zeroes */
    assert_good(RUN(0, 0, 512, 0x28, 0, 0, 0, 0, 10, 0, 0, 1));
    g_assert_cmpuint(qtest_readb(qts, IN_DATA), ==, 0);
    qtest_memset(qts, OUT_DATA, 1, 512);
    assert_good(RUN(0, 512, 0, 0x2a, 0, 0, 0, 0, 11, 0, 0, 1));
    qtest_memwrite(qts, OUT_DATA, ranges, sizeof(ranges));
    assert_good(RUN(0, sizeof(ranges), 0, 0x42, [8] = sizeof(ranges)));
    /* Beyond the end, by all lengths of commands. */
    assert_sense(RUN(0, 0, 512, 0x28, 0, 0, 0, 8, 0, 0, 0, 1), 5, 0x21);
    assert_sense(RUN(0, 0, 512, 0x28, 0, 0xff, 0xff, 0xff, 0xff, 0, 0, 1), 5, 0x21);
    assert_sense(RUN(0, 0, 512, 0x88, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
                     [13] = 1), 5, 0x21);
    assert_sense(RUN(0, 0, 512, 0xa8, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff), 5, 0x21);
    assert_sense(RUN(0, 512, 0, 0x93, 0, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff), 5, 0x21);
    g_assert_cmphex(RUN(0, 0, 512, 0x28, 0, 0, 0, 0, 0, 0, 0, 2).response, ==,
                    VIRTIO_SCSI_S_OVERRUN);
    g_assert_cmphex(RUN(0, 512, 512, 0x28, [8] = 1).response, ==, VIRTIO_SCSI_S_FAILURE);
    qtest_stop(qts);
}

/* Any bytes as a command: it is answered, and the units go on. */
static void test_random(void)
{
    QTest *qts = start("");
    VQueue control, events, q = setup_ready(qts, &control, &events);
    GRand *rand = g_rand_new_with_seed(5);

    for (unsigned i = 0; i < 1500; i++) {
        uint8_t cdb[32], data[64];
        bool out = g_rand_boolean(rand);

        for (unsigned j = 0; j < sizeof(cdb); j++) {
            cdb[j] = (uint8_t)(g_rand_int_range(rand, 0, 4) ? 0 : g_rand_int(rand));
            data[2 * j] = data[2 * j + 1] = (uint8_t)g_rand_int(rand);
        }
        cdb[0] = (uint8_t)g_rand_int(rand);
        qtest_memwrite(qts, OUT_DATA, data, sizeof(data));
        run_at(qts, &q, i % 2 ? 0 : CD_LUN, cdb, sizeof(cdb),
               out ? (uint32_t)g_rand_int_range(rand, 1, 4096) : 0,
               out ? 0 : (uint32_t)g_rand_int_range(rand, 1, 4096));
    }
    g_rand_free(rand);
    g_assert_cmphex(v_status(qts), ==, 0x0f);
    RUN(0, 0, 0, 0x00);
    assert_good(RUN(0, 0, 512, 0x28, [8] = 1));
    qtest_stop(qts);
}

static void test_bad_drivers(void)
{
    static const struct { uint32_t out, in; } sizes[] = {
        { COMMAND_SIZE - 1, RESPONSE_SIZE }, { COMMAND_SIZE, RESPONSE_SIZE - 1 }, { 1, 1 },
    };
    QTest *qts = start("");
    VQueue control, events, q;

    for (unsigned i = 0; i < 2 * G_N_ELEMENTS(sizes); i++) {
        bool tasks = i % 2;
        VQueue *bad = tasks ? &control : &q;

        q = setup(qts, &control, &events);
        qtest_memset(qts, COMMAND, 0, COMMAND_SIZE);
        v_desc(qts, bad, 0, COMMAND, tasks ? 8 : sizes[i / 2].out, NEXT, 1);
        v_desc(qts, bad, 1, RESPONSE, sizes[i / 2].in, WRITE, 0);
        v_offer(qts, bad, 0);
        v_kick(qts, tasks ? 0 : 2);
        v_wait_broken(qts);
    }
    q = setup(qts, &control, &events);
    qtest_writel(qts, V_CONFIG + 20, 0xffffffff); /* sense and CDB sizes that are too much */
    qtest_writel(qts, V_CONFIG + 24, 0xffffffff);
    g_assert_cmpuint(qtest_readl(qts, V_CONFIG + 20), ==, 96);
    g_assert_cmpuint(qtest_readl(qts, V_CONFIG + 24), ==, 32);
    RUN(0, 0, 0, 0x00);
    assert_good(RUN(0, 0, 512, 0x28, [8] = 1));
    qtest_stop(qts);
}

static void put_task(QTest *qts, VQueue *control, uint32_t subtype, uint8_t lun)
{
    struct virtio_scsi_ctrl_tmf_req req = {
        .subtype = GUINT32_TO_LE(subtype), .lun = { 1, 0, 0, lun },
    };

    qtest_memwrite(qts, COMMAND + 0x100, &req, sizeof(req));
    qtest_writeb(qts, RESPONSE + 0x80, 0xee);
    v_desc(qts, control, 0, COMMAND + 0x100, sizeof(req), NEXT, 1);
    v_desc(qts, control, 1, RESPONSE + 0x80, 1, WRITE, 0);
    v_offer(qts, control, 0);
    v_kick(qts, 0);
}

static void test_tasks(void)
{
    QTest *qts = start("");
    VQueue control, events, q = setup_ready(qts, &control, &events);

    put_task(qts, &control, VIRTIO_SCSI_T_TMF_LOGICAL_UNIT_RESET, 0);
    v_wait(qts, &control);
    g_assert_cmphex(qtest_readb(qts, RESPONSE + 0x80), ==, 0);
    assert_sense(RUN(0, 0, 0, 0x00), 6, 0x29);
    put_task(qts, &control, VIRTIO_SCSI_T_TMF_ABORT_TASK, 7);
    v_wait(qts, &control);
    g_assert_cmphex(qtest_readb(qts, RESPONSE + 0x80), ==, VIRTIO_SCSI_S_INCORRECT_LUN);
    put_task(qts, &control, 0x12345678, 0);
    v_wait(qts, &control);
    g_assert_cmphex(qtest_readb(qts, RESPONSE + 0x80), ==, VIRTIO_SCSI_S_FUNCTION_REJECTED);
    qtest_stop(qts);
}

/* Units that are throttled: task management waits for them, resets do not get stuck. */
static void test_in_flight(void)
{
    static const uint8_t read10[16] = { 0x28, [8] = 1 };
    QTest *qts = start(",iops=1");

    for (unsigned round = 0; round < 3; round++) {
        VQueue control, events, q = setup(qts, &control, &events);

        RUN(0, 0, 0, 0x00);
        for (unsigned i = 0; i < 4; i++) {
            put_command(qts, &q, 0, 0, read10, sizeof(read10), 0, 512);
        }
        if (round == 0) {
            put_task(qts, &control, VIRTIO_SCSI_T_TMF_LOGICAL_UNIT_RESET, 0);
            g_assert_cmphex(qtest_readb(qts, RESPONSE + 0x80), ==, 0xee);
            v_set_status(qts, 0);
        } else if (round == 1) {
            json_object_put(qtest_qmp(qts, "{'execute': 'system_reset'}"));
            json_object_put(qtest_qmp_event(qts, "RESET"));
        } else {
            qtest_device_del(qts, "hd");
            qtest_expect_deleted(qts, "hd");
        }
    }
    qtest_stop(qts);
}

/* A command that failed and stopped the machine is part of the machine's state. */
static void test_stop_and_load(void)
{
    static const uint8_t write10[16] = { 0x2a, [5] = 4, [8] = 1 };
    QTest *qts = qtest_start("-M pc -device virtio-scsi-pci,id=s -blockdev '{\"driver\": "
                             "\"blkdebug\", \"node-name\": \"d\", \"image\": {\"driver\": "
                             "\"null-co\", \"size\": 1048576}, \"inject-error\": [{\"event\": "
                             "\"none\", \"iotype\": \"write\", \"errno\": 28, "
                             "\"once\": true}]}' -device scsi-hd,drive=d,werror=stop");
    VQueue control, events, q = setup(qts, &control, &events);

    RUN(0, 0, 0, 0x00);
    put_command(qts, &q, 0, 0, write10, sizeof(write10), 512, 0);
    json_object_put(qtest_qmp_event(qts, "STOP"));
    snapshot_there_and_back(qts);
    qtest_writeb(qts, RESPONSE + 11, 0xee);
    json_object_put(qtest_qmp(qts, "{'execute': 'cont'}"));
    v_wait(qts, &q);
    g_assert_cmphex(qtest_readb(qts, RESPONSE + 10), ==, 0);
    g_assert_cmphex(qtest_readb(qts, RESPONSE + 11), ==, 0);
    assert_good(RUN(0, 512, 0, 0x2a, [5] = 4, [8] = 1));
    qtest_stop(qts);
}

/* A unit comes and goes: an event each, and one that says that some were missed. */
static void test_events(void)
{
    QTest *qts = start("");
    VQueue control, events, q = setup_ready(qts, &control, &events);

    for (unsigned i = 0; i < 2; i++) {
        v_desc(qts, &events, i, OUT_DATA + 32 * i, 16, WRITE, 0);
        v_offer(qts, &events, (uint16_t)i);
    }
    v_kick(qts, 1);
    qtest_device_del(qts, "cd");
    qtest_expect_deleted(qts, "cd");
    v_wait(qts, &events);
    g_assert_cmphex(qtest_readl(qts, OUT_DATA), ==, VIRTIO_SCSI_T_TRANSPORT_RESET);
    g_assert_cmphex(qtest_readl(qts, OUT_DATA + 12), ==, VIRTIO_SCSI_EVT_RESET_REMOVED);
    g_assert_cmphex(qtest_readb(qts, OUT_DATA + 7), ==, CD_LUN);
    json_object_put(qtest_qmp(qts, "{'execute': 'device_add', 'arguments': "
                              "{'driver': 'scsi-cd', 'bus': 's.0', 'id': 'new'}}"));
    v_wait(qts, &events);
    g_assert_cmphex(qtest_readl(qts, OUT_DATA + 32 + 12), ==, VIRTIO_SCSI_EVT_RESET_RESCAN);
    qtest_device_del(qts, "new");
    qtest_expect_deleted(qts, "new");
    v_desc(qts, &events, 0, OUT_DATA, 16, WRITE, 0);
    v_offer(qts, &events, 0);
    v_kick(qts, 1);
    v_wait(qts, &events);
    g_assert_cmphex(qtest_readl(qts, OUT_DATA), ==, VIRTIO_SCSI_T_EVENTS_MISSED);
    assert_good(RUN(0, 0, 512, 0x28, [8] = 1));
    qtest_stop(qts);
}

static void expect_event(QTest *qts, VQueue *q, uint8_t event, uint8_t status)
{
    static const uint8_t cdb[16] = { 0x4a, 1, 0, 0, 0x10, 0, 0, 0, 8 };
    uint8_t data[8];
    const uint8_t wanted[8] = { 0, 4, 4, 0x10, event, status };

    assert_good(run_at(qts, q, CD_LUN, cdb, sizeof(cdb), 0, 8));
    qtest_memread(qts, IN_DATA, data, sizeof(data));
    g_assert_cmpmem(data, sizeof(data), wanted, sizeof(wanted));
}

/* GET EVENT STATUS NOTIFICATION: a guest that locked the tray hears that somebody wants it open. */
static void test_tray(void)
{
    QTest *qts = start("");
    VQueue control, events, q = setup_ready(qts, &control, &events);
    g_autofree char *disc_path = g_strconcat(disk_path, ".iso", NULL), *locked = NULL;
    const char disc[4096] = "a disc";

    g_assert_true(g_file_set_contents(disc_path, disc, sizeof(disc), NULL));
    json_object_put(qtest_qmp(qts, "{'execute': 'blockdev-change-medium', 'arguments': "
                              "{'id': 'cd', 'filename': '%s', 'format': 'raw'}}", disc_path));
    expect_event(qts, &q, 2, 2);
    expect_event(qts, &q, 0, 2);
    assert_sense(RUN(CD_LUN, 0, 0, 0x00), 6, 0x28);
    assert_good(RUN(CD_LUN, 0, 0, 0x1e, 0, 0, 0, 1));
    locked = qtest_qmp_error(qts, "{'execute': 'eject', 'arguments': {'id': 'cd'}}");
    g_assert_nonnull(strstr(locked, "is locked"));
    expect_event(qts, &q, 1, 2);
    expect_event(qts, &q, 0, 2);
    assert_good(RUN(CD_LUN, 0, 0, 0x1e));
    assert_good(RUN(CD_LUN, 0, 0, 0x1b, 0, 0, 0, 2)); /* so it opens it */
    expect_event(qts, &q, 0, 1);
    assert_sense(RUN(CD_LUN, 0, 8, 0x4a, 0, 0, 0, 0x10, 0, 0, 0, 8), 5, 0x24);
    assert_sense(RUN(0, 0, 8, 0x4a, 1, 0, 0, 0x10, 0, 0, 0, 8), 5, 0x20);
    qtest_stop(qts);
    unlink(disc_path);
}

static void test_refused_options(void)
{
    static const char *const cases[][2] = {
        { "-device scsi-cd", "SCSI" },
        { "-device virtio-scsi-pci -device scsi-hd", "drive property not set" },
        { "-device virtio-scsi-pci -device scsi-cd,scsi-id=256", "device id" },
        { "-device virtio-scsi-pci -device scsi-cd,lun=16384", "LUN" },
        { "-device virtio-scsi-pci -device scsi-cd,channel=1", "channel" },
        { "-device virtio-scsi-pci -device scsi-cd,scsi-id=3,lun=1 "
          "-device scsi-cd,scsi-id=3,lun=1", "already used" },
        { "-device virtio-scsi-pci,num_queues=5000", "queues" },
        { "-device virtio-scsi-pci,virtqueue_size=3", "power of two" },
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *said = qtest_start_refused("-M pc %s", cases[i][0]);

        if (!strstr(said, cases[i][1])) {
            g_error("%s: said '%s'", cases[i][0], said);
        }
    }
}

int main(int argc, char **argv)
{
    int fd, ret;

    g_test_init(&argc, &argv, NULL);
    fd = g_file_open_tmp("vireo-scsi-XXXXXX", &disk_path, NULL);
    g_assert_cmpint(fd, >=, 0);
    close(fd);
    g_test_add_func("/virtio-scsi/inform", test_inform);
    g_test_add_func("/virtio-scsi/data", test_data);
    g_test_add_func("/virtio-scsi/random", test_random);
    g_test_add_func("/virtio-scsi/bad-drivers", test_bad_drivers);
    g_test_add_func("/virtio-scsi/tasks", test_tasks);
    g_test_add_func("/virtio-scsi/in-flight", test_in_flight);
    g_test_add_func("/virtio-scsi/stop-and-load", test_stop_and_load);
    g_test_add_func("/virtio-scsi/events", test_events);
    g_test_add_func("/virtio-scsi/tray", test_tray);
    g_test_add_func("/virtio-scsi/refused-options", test_refused_options);
    ret = g_test_run();
    g_unlink(disk_path);
    return ret;
}
