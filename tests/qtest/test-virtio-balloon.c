/* SPDX-License-Identifier: Apache-2.0 */
/* virtio-balloon: pages given and taken back, statistics, reporting; and drivers that lie. */
#include <linux/virtio_balloon.h>

#include "tests/qtest/snapshot.h"
#include "tests/qtest/virtio.h"

#define MIB (1ULL << 20)
#define PAGE 4096u
#define RAM (128 * MIB)
#define NUM_PAGES (V_CONFIG + 0)
#define ACTUAL (V_CONFIG + 4)
#define POISON (V_CONFIG + 12)
#define PAGES 0x2000000ULL /* what is given, in RAM */
#define INFLATE 0
#define DEFLATE 1
#define STATS 2
#define REPORT 3

typedef struct Balloon {
    QTest *qts;
    VQueue queues[4];
} Balloon;

static void balloon_setup(Balloon *b, QTest *qts, uint64_t features, unsigned n)
{
    b->qts = qts;
    v_map(qts);
    v_negotiate(qts, features);
    for (unsigned i = 0; i < n; i++) {
        b->queues[i] = v_queue(qts, i);
    }
    v_driver_ok(qts);
}

static QTest *start(const char *properties)
{
    return qtest_start("-M pc -nodefaults -m 128M -device virtio-balloon-pci,id=b,addr=2%s",
                       properties);
}

static uint32_t offer(Balloon *b, unsigned queue, uint64_t addr, uint32_t len, uint16_t descflags)
{
    VQueue *q = &b->queues[queue];

    v_desc(b->qts, q, 0, addr, len, descflags, 0);
    v_offer(b->qts, q, 0);
    v_kick(b->qts, queue);
    return v_wait(b->qts, q);
}

static void send_pfns(Balloon *b, unsigned queue, const uint32_t *pfns, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        qtest_writel(b->qts, V_DATA + 4 * i, pfns[i]);
    }
    g_assert_cmpuint(offer(b, queue, V_DATA, 4 * n, 0), ==, 0);
}

static void expect_byte(QTest *qts, uint64_t addr, uint8_t byte)
{
    g_assert_cmphex(qtest_readb(qts, addr), ==, byte);
    g_assert_cmphex(qtest_readb(qts, addr + PAGE - 1), ==, byte);
}

static void test_identity(void)
{
    g_autoptr(QTest) qts = start("");

    g_assert_cmphex(qtest_pci_read(qts, 0, V_DEVFN, 0, 4), ==, 0x10021af4);
    g_assert_cmphex(qtest_pci_read(qts, 0, V_DEVFN, 0x0a, 2), ==, 0x00ff);
    v_map(qts);
    g_assert_cmphex(v_offered(qts) & 0xffffff, ==,
                    V_BIT(VIRTIO_BALLOON_F_STATS_VQ) | V_BIT(VIRTIO_BALLOON_F_PAGE_POISON));
    g_assert_cmpuint(qtest_readw(qts, V_COMMON + VIRTIO_PCI_COMMON_NUMQ), ==, 3);
    g_assert_cmphex(qtest_readl(qts, V_CONFIG + 16), ==, UINT32_MAX);
}

static void test_give_and_take(void)
{
    static const uint32_t pfns[] = { PAGES / PAGE, PAGES / PAGE + 2, PAGES / PAGE + 2 };
    g_autoptr(QTest) qts = start("");
    Balloon b;

    balloon_setup(&b, qts, 0, 3);
    qtest_memset(qts, PAGES, 0x5a, 4 * PAGE);
    send_pfns(&b, INFLATE, pfns, G_N_ELEMENTS(pfns));
    expect_byte(qts, PAGES, 0);
    expect_byte(qts, PAGES + PAGE, 0x5a);
    expect_byte(qts, PAGES + 2 * PAGE, 0);
    expect_byte(qts, PAGES + 3 * PAGE, 0x5a);
    send_pfns(&b, DEFLATE, pfns, G_N_ELEMENTS(pfns));
    qtest_memset(qts, PAGES, 0x77, PAGE);
    expect_byte(qts, PAGES, 0x77);
}

/* Memory of all kinds of backends goes, also that which others map. */
static void test_backends(void)
{
    static const char *const backends[] = {
        "memory-backend-ram", "memory-backend-ram,share=on", "memory-backend-memfd",
        "memory-backend-memfd,share=off",
    };
    static const uint32_t pfns[] = { PAGES / PAGE };

    for (unsigned i = 0; i < G_N_ELEMENTS(backends); i++) {
        g_autoptr(QTest) qts = qtest_start(
            "-M pc,memory-backend=m -nodefaults -m 128M -object %s,id=m,size=128M "
            "-device virtio-balloon-pci,id=b,addr=2", backends[i]);
        Balloon b;

        balloon_setup(&b, qts, 0, 3);
        qtest_memset(qts, PAGES, 0x5a, 2 * PAGE);
        send_pfns(&b, INFLATE, pfns, 1);
        expect_byte(qts, PAGES, 0);
        expect_byte(qts, PAGES + PAGE, 0x5a);
    }
}

/* Of a large page, all must be given. Needs one free huge page. */
static void test_huge_pages(void)
{
    g_autofree char *free_pages = NULL;
    g_autoptr(QTest) qts = NULL;
    uint32_t pfns[512];
    Balloon b;

    if (!g_file_get_contents("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages",
                             &free_pages, NULL, NULL) || atoi(free_pages) < 1) {
        g_test_skip("the host has no free huge page");
        return;
    }
    qts = qtest_start("-M pc -nodefaults -m 128M,slots=1,maxmem=256M "
                      "-object memory-backend-memfd,hugetlb=on,id=m,size=2M "
                      "-device pc-dimm,memdev=m -device virtio-balloon-pci,id=b,addr=2");
    balloon_setup(&b, qts, 0, 3);
    qtest_memset(qts, 0x100000000, 0x5a, 2 * MIB);
    for (unsigned i = 0; i < 512; i++) {
        pfns[i] = 0x100000 + i;
    }
    send_pfns(&b, INFLATE, pfns, 511);
    expect_byte(qts, 0x100000000, 0x5a);
    send_pfns(&b, DEFLATE, pfns, 1);
    send_pfns(&b, INFLATE, pfns + 511, 1);
    expect_byte(qts, 0x100000000, 0x5a);
    send_pfns(&b, INFLATE, pfns, 512);
    expect_byte(qts, 0x100000000, 0);
    expect_byte(qts, 0x1001ff000, 0);
}

/* Page numbers that lead to ROM, devices or nowhere; requests of odd sizes. */
static void test_wild_pages(void)
{
    static const uint32_t pfns[] = {
        UINT32_MAX, RAM / PAGE, 0xa0, 0xb8, 0xf0, 0xff, 0xfffc0, 0xfffff, 0xfec00, 0xfee00, 0xfed00,
        V_BAR4 / PAGE, 0x100000, 0x80000000,
    };
    g_autoptr(QTest) qts = start("");
    uint8_t before[16], after[16];
    Balloon b;

    balloon_setup(&b, qts, 0, 3);
    qtest_memread(qts, 0xffff0, before, sizeof(before));
    send_pfns(&b, INFLATE, pfns, G_N_ELEMENTS(pfns));
    send_pfns(&b, DEFLATE, pfns, G_N_ELEMENTS(pfns));
    qtest_memread(qts, 0xffff0, after, sizeof(after));
    g_assert_cmpmem(before, sizeof(before), after, sizeof(after));
    for (uint32_t len = 1; len < 8; len++) {
        g_assert_cmpuint(offer(&b, INFLATE, V_DATA, len, 0), ==, 0);
    }
    /* Room to write to instead of page numbers. */
    g_assert_cmpuint(offer(&b, INFLATE, V_DATA, 64, VRING_DESC_F_WRITE), ==, 0);
    /* The request lies in the page that it gives. */
    qtest_writel(qts, PAGES, PAGES / PAGE);
    g_assert_cmpuint(offer(&b, INFLATE, PAGES, 4, 0), ==, 0);
    g_assert_cmphex(v_status(qts) & VIRTIO_CONFIG_S_NEEDS_RESET, ==, 0);
}

/* A request for very many pages is done in rounds: meanwhile QMP answers, and a reset ends it. */
static void test_long_request(void)
{
    static const uint32_t pfns[] = { PAGES / PAGE };
    g_autoptr(QTest) qts = start("");
    Balloon b;

    balloon_setup(&b, qts, 0, 3);
    for (unsigned i = 0; i < 3; i++) {
        VQueue *q = &b.queues[INFLATE];

        v_desc(qts, q, 0, V_DATA, 96 * MIB, 0, 0);
        v_offer(qts, q, 0);
        v_kick(qts, INFLATE);
        json_object_put(qtest_qmp(qts, "{'execute': 'query-balloon'}"));
        balloon_setup(&b, qts, 0, 3);
    }
    json_object_put(qtest_qmp(qts, "{'execute': 'stop'}"));
    json_object_put(qtest_qmp(qts, "{'execute': 'cont'}"));
    qtest_memset(qts, PAGES, 0x5a, PAGE);
    send_pfns(&b, INFLATE, pfns, 1);
    expect_byte(qts, PAGES, 0);
}

static int64_t actual(QTest *qts)
{
    json_object *info = qtest_qmp(qts, "{'execute': 'query-balloon'}"), *value;
    int64_t bytes;

    g_assert_true(json_object_object_get_ex(info, "actual", &value));
    bytes = json_object_get_int64(value);
    json_object_put(info);
    return bytes;
}

static void expect_change(QTest *qts, int64_t bytes)
{
    json_object *data = qtest_qmp_event_data(qts, "BALLOON_CHANGE"), *value;

    g_assert_true(json_object_object_get_ex(data, "actual", &value));
    g_assert_cmpint(json_object_get_int64(value), ==, bytes);
    json_object_put(data);
}

static void test_qmp(void)
{
    g_autoptr(QTest) qts = start("");
    g_autofree char *none = NULL, *second = NULL, *text = NULL;
    Balloon b;

    balloon_setup(&b, qts, 0, 3);
    g_assert_cmpint(actual(qts), ==, RAM);
    json_object_put(qtest_qmp(qts, "{'execute': 'balloon', 'arguments': {'value': 67108864}}"));
    g_assert_cmpuint(qtest_readl(qts, NUM_PAGES), ==, 64 * MIB / PAGE);
    g_assert_cmphex(qtest_readb(qts, V_ISR) & 2, ==, 2);
    g_assert_cmpint(actual(qts), ==, RAM);
    qtest_writel(qts, ACTUAL, 32 * MIB / PAGE);
    expect_change(qts, 96 * MIB);
    g_assert_cmpint(actual(qts), ==, 96 * MIB);
    qtest_writel(qts, ACTUAL, UINT32_MAX); /* more than there is */
    expect_change(qts, 0);
    g_assert_cmpint(actual(qts), ==, 0);
    json_object_put(qtest_qmp(qts, "{'execute': 'balloon', 'arguments': {'value': %" G_GINT64_FORMAT
                              "}}", INT64_MAX));
    g_assert_cmpuint(qtest_readl(qts, NUM_PAGES), ==, 0);
    text = qtest_hmp(qts, "balloon 100");
    g_assert_cmpuint(qtest_readl(qts, NUM_PAGES), ==, 28 * MIB / PAGE);
    none = qtest_qmp_error(qts, "{'execute': 'balloon', 'arguments': {'value': 0}}");
    g_assert_cmpstr(none, ==, "Parameter 'target' expects a size");
    second = qtest_qmp_error(qts, "{'execute': 'device_add', 'arguments': {'driver': "
                             "'virtio-balloon-pci', 'id': 'b2'}}");
    g_assert_cmpstr(second, ==, "Only one balloon device is supported");
    json_object_put(qtest_qmp(qts, "{'execute': 'system_reset'}"));
    json_object_put(qtest_qmp_event(qts, "RESET"));
    g_assert_cmpint(actual(qts), ==, RAM);
}

static void test_no_balloon(void)
{
    g_autoptr(QTest) qts = qtest_start("-M pc -nodefaults");
    json_object *reply = qtest_qmp_response(qts, "{'execute': 'query-balloon'}"), *error, *value;
    g_autofree char *refused = NULL;

    g_assert_true(json_object_object_get_ex(reply, "error", &error));
    g_assert_true(json_object_object_get_ex(error, "class", &value));
    g_assert_cmpstr(json_object_get_string(value), ==, "DeviceNotActive");
    g_assert_true(json_object_object_get_ex(error, "desc", &value));
    g_assert_cmpstr(json_object_get_string(value), ==, "No balloon device has been activated");
    json_object_put(reply);
    refused = qtest_start_refused("-M pc -device virtio-balloon-pci,free-page-hint=on");
    g_assert_nonnull(strstr(refused, "'free-page-hint' requires 'iothread' to be set"));
}

/* ---- Statistics ---- */

static void put_stat(QTest *qts, unsigned at, uint16_t tag, uint64_t value)
{
    qtest_writew(qts, V_DATA + 10 * at, tag);
    qtest_writeq(qts, V_DATA + 10 * at + 2, value);
}

static uint64_t stat_value(QTest *qts, const char *name)
{
    json_object *info = qtest_qmp(qts, "{'execute': 'qom-get', 'arguments': {'path': "
                                  "'/machine/peripheral/b', 'property': 'guest-stats'}}");
    json_object *stats, *value;
    uint64_t number;

    g_assert_true(json_object_object_get_ex(info, "stats", &stats));
    g_assert_true(json_object_object_get_ex(*name == 's' ? stats : info, name, &value));
    number = json_object_get_uint64(value);
    json_object_put(info);
    return number;
}

static void give_stats(Balloon *b, uint32_t len)
{
    VQueue *q = &b->queues[STATS];

    v_desc(b->qts, q, 0, V_DATA, len, 0, 0);
    v_offer(b->qts, q, 0);
    v_kick(b->qts, STATS);
}

static char *set_interval(QTest *qts, const char *value, bool good)
{
    const char *command = "{'execute': 'qom-set', 'arguments': {'path': '/machine/peripheral/b', "
                          "'property': 'guest-stats-polling-interval', 'value': %s}}";

    if (good) {
        json_object_put(qtest_qmp(qts, command, value));
        return NULL;
    }
    return qtest_qmp_error(qts, command, value);
}

static void test_stats(void)
{
    g_autoptr(QTest) qts = start(",ioeventfd=off"); /* kicks are served at once */
    g_autofree char *negative = set_interval(qts, "-1", false);
    g_autofree char *big = set_interval(qts, "8589934592", false);
    Balloon b;

    g_assert_cmpstr(negative, ==, "timer value must be greater than zero");
    g_assert_cmpstr(big, ==, "timer value is too big");
    balloon_setup(&b, qts, V_BIT(VIRTIO_BALLOON_F_STATS_VQ), 3);
    g_assert_cmphex(stat_value(qts, "stat-free-memory"), ==, UINT64_MAX);
    g_assert_cmpuint(stat_value(qts, "last-update"), ==, 0);
    put_stat(qts, 0, VIRTIO_BALLOON_S_MEMFREE, 1234567890123);
    put_stat(qts, 1, 999, 1);
    put_stat(qts, 2, VIRTIO_BALLOON_S_HTLB_PGFAIL, 5);
    give_stats(&b, 29); /* the last is cut off */
    g_assert_cmpuint(stat_value(qts, "stat-free-memory"), ==, 1234567890123);
    g_assert_cmphex(stat_value(qts, "stat-htlb-pgfail"), ==, UINT64_MAX);
    g_assert_cmpuint(stat_value(qts, "last-update"), >, 0);
    /* The buffer comes back when new values are wanted: at once, then every two seconds. */
    g_assert_cmpuint(qtest_readw(qts, b.queues[STATS].used + 2), ==, 0);
    set_interval(qts, "2", true);
    qtest_clock_step(qts, 1);
    v_wait(qts, &b.queues[STATS]);
    put_stat(qts, 0, VIRTIO_BALLOON_S_MEMFREE, 42);
    give_stats(&b, 10);
    g_assert_cmpuint(stat_value(qts, "stat-free-memory"), ==, 42);
    qtest_clock_step(qts, 1900000000);
    g_assert_cmpuint(qtest_readw(qts, b.queues[STATS].used + 2), ==, 1);
    qtest_clock_step(qts, 200000000);
    v_wait(qts, &b.queues[STATS]);
    /* A buffer too many sends the first back; stopping and going on keeps the last. */
    give_stats(&b, 10);
    give_stats(&b, 10);
    v_wait(qts, &b.queues[STATS]);
    json_object_put(qtest_qmp(qts, "{'execute': 'stop'}"));
    json_object_put(qtest_qmp(qts, "{'execute': 'cont'}"));
    for (unsigned i = 0; i < 1000 && qtest_readw(qts, b.queues[STATS].used + 2) == 3; i++) {
        qtest_clock_step(qts, 2000000000);
    }
    v_wait(qts, &b.queues[STATS]);
}

/* ---- Reporting, hints ---- */

static void test_reporting(void)
{
    g_autoptr(QTest) qts = start(",free-page-reporting=on");
    const uint64_t features = V_BIT(VIRTIO_BALLOON_F_REPORTING);
    Balloon b;

    balloon_setup(&b, qts, features, 4);
    qtest_memset(qts, PAGES, 0x5a, 6 * PAGE);
    /* Only whole pages. */
    g_assert_cmpuint(offer(&b, REPORT, PAGES + 8, 4 * PAGE, VRING_DESC_F_WRITE), ==, 0);
    g_assert_cmphex(qtest_readb(qts, PAGES + PAGE - 1), ==, 0x5a);
    for (unsigned page = 1; page < 4; page++) {
        expect_byte(qts, PAGES + page * PAGE, 0);
    }
    expect_byte(qts, PAGES + 4 * PAGE, 0x5a);
    offer(&b, REPORT, PAGES, 8, VRING_DESC_F_WRITE);
    offer(&b, REPORT, PAGES, PAGE, 0); /* readable: nothing is free */
    g_assert_cmphex(qtest_readb(qts, PAGES), ==, 0x5a);
    /* Pages whose pattern the guest relies on stay. */
    balloon_setup(&b, qts, features | V_BIT(VIRTIO_BALLOON_F_PAGE_POISON), 4);
    qtest_writel(qts, POISON, 0xaaaaaaaa);
    offer(&b, REPORT, PAGES + 4 * PAGE, PAGE, VRING_DESC_F_WRITE);
    expect_byte(qts, PAGES + 4 * PAGE, 0x5a);
    qtest_writel(qts, POISON, 0);
    offer(&b, REPORT, PAGES + 4 * PAGE, PAGE, VRING_DESC_F_WRITE);
    expect_byte(qts, PAGES + 4 * PAGE, 0);
}

static void test_hints(void)
{
    g_autoptr(QTest) qts = qtest_start(
        "-M pc -nodefaults -m 128M -object iothread,id=io "
        "-device virtio-balloon-pci,id=b,addr=2,free-page-hint=on,iothread=io,"
        "deflate-on-oom=on");
    Balloon b;

    balloon_setup(&b, qts, V_BIT(VIRTIO_BALLOON_F_FREE_PAGE_HINT) |
                           V_BIT(VIRTIO_BALLOON_F_DEFLATE_ON_OOM), 4);
    g_assert_cmphex(v_offered(qts) & V_BIT(VIRTIO_BALLOON_F_DEFLATE_ON_OOM), !=, 0);
    qtest_memset(qts, PAGES, 0x5a, PAGE);
    offer(&b, 3, V_DATA, 4, 0);
    offer(&b, 3, PAGES, PAGE, VRING_DESC_F_WRITE);
    expect_byte(qts, PAGES, 0x5a); /* a hint only */
    g_assert_cmphex(qtest_readl(qts, V_CONFIG + 8), ==, VIRTIO_BALLOON_CMD_ID_STOP);
}

/* A buffer of statistics that the device keeps is there again. */
static void test_saved_state(void)
{
    static const uint32_t pfns[] = { PAGES / PAGE };
    g_autoptr(QTest) qts = start(",ioeventfd=off,guest-stats-polling-interval=1");
    g_autofree char *path = NULL;
    Balloon b;

    path = snapshot_make_node(qts);
    g_unlink(path);
    balloon_setup(&b, qts, V_BIT(VIRTIO_BALLOON_F_STATS_VQ), 3);
    json_object_put(qtest_qmp(qts, "{'execute': 'balloon', 'arguments': {'value': 67108864}}"));
    qtest_writel(qts, ACTUAL, 16 * MIB / PAGE);
    put_stat(qts, 0, VIRTIO_BALLOON_S_MEMTOT, 77);
    give_stats(&b, 10);
    snapshot_run(qts, "snapshot-save");
    json_object_put(qtest_qmp(qts, "{'execute': 'balloon', 'arguments': {'value': 134217728}}"));
    v_set_status(qts, 0);
    g_assert_cmpint(actual(qts), ==, RAM);
    snapshot_run(qts, "snapshot-load");
    g_assert_cmpint(actual(qts), ==, 112 * MIB);
    g_assert_cmpuint(qtest_readl(qts, NUM_PAGES), ==, 64 * MIB / PAGE);
    qtest_memset(qts, PAGES, 0x5a, PAGE);
    send_pfns(&b, INFLATE, pfns, 1);
    expect_byte(qts, PAGES, 0);
    for (unsigned i = 0; i < 1000 && qtest_readw(qts, b.queues[STATS].used + 2) == 0; i++) {
        qtest_clock_step(qts, 1000000000);
    }
    v_wait(qts, &b.queues[STATS]);
    g_assert_cmpuint(stat_value(qts, "stat-total-memory"), ==, 77);
}

int main(int argc, char *argv[])
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/virtio-balloon/identity", test_identity);
    g_test_add_func("/virtio-balloon/give-and-take", test_give_and_take);
    g_test_add_func("/virtio-balloon/backends", test_backends);
    g_test_add_func("/virtio-balloon/huge-pages", test_huge_pages);
    g_test_add_func("/virtio-balloon/wild-pages", test_wild_pages);
    g_test_add_func("/virtio-balloon/long-request", test_long_request);
    g_test_add_func("/virtio-balloon/qmp", test_qmp);
    g_test_add_func("/virtio-balloon/no-balloon", test_no_balloon);
    g_test_add_func("/virtio-balloon/stats", test_stats);
    g_test_add_func("/virtio-balloon/reporting", test_reporting);
    g_test_add_func("/virtio-balloon/hints", test_hints);
    g_test_add_func("/virtio-balloon/saved-state", test_saved_state);
    return g_test_run();
}
