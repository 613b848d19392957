/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vhost-user-blk exports: a frontend on a thread of its own does real I/O, breaks every rule that
 * there is, and comes back after a backend's death.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_config.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "block/export.h"
#include "block/open.h"
#include "block/tests/file-fixture.h"
#include "block/tests/vhost-user-frontend.h"
#include "io/channel-socket.h"
#include "qapi-commands-block-core.h"
#include "qom/object.h"
#include "util/bits.h"
#include "util/vm-lock.h"

#define DISK_SIZE (8 * MiB)
#define EVENT_IDX BIT_ULL(VIRTIO_RING_F_EVENT_IDX)
#define INDIRECT BIT_ULL(VIRTIO_RING_F_INDIRECT_DESC)

typedef struct Fixture {
    char *dir, *image, *socket;
} Fixture;

typedef void FrontendFn(Fixture *fixture, Frontend *f);

typedef struct Session {
    Fixture *fixture;
    FrontendFn *fn;
    bool done;
} Session;

static void session_ended(void *opaque)
{
    ((Session *)opaque)->done = true;
}

static void *frontend_thread(void *opaque)
{
    Session *session = opaque;
    Frontend f;

    frontend_connect(&f, session->fixture->socket);
    session->fn(session->fixture, &f);
    frontend_cleanup(&f);
    loop_post(loop_main(), session_ended, session);
    return NULL;
}

static void run_loop_until(const bool *done)
{
    while (!*done) {
        loop_iterate(loop_main(), true);
    }
}

static void with_frontend(Fixture *fixture, FrontendFn *fn)
{
    Session session = { fixture, fn, false };
    GThread *thread = g_thread_new("frontend", frontend_thread, &session);

    run_loop_until(&session.done);
    g_thread_join(thread);
}

/* ---- A disk and its export ---- */

static void add_node(const Fixture *fixture)
{
    json_object *json = fixture_options("driver=raw,node-name=disk,discard=unmap,"
                                        "file.driver=file,file.filename=%s", fixture->image);
    g_autoptr(BlockdevOptions) options = NULL;
    GError *error = NULL;

    g_assert_true(BlockdevOptions_from_json(json, QAPI_KEYVAL, &options, &error));
    g_assert_nonnull(block_open_blockdev(options, &error));
    json_object_put(json);
}

static BlockExport *try_export(const char *text, GError **error)
{
    json_object *json = fixture_options("%s", text);
    g_autoptr(BlockExportOptions) options = NULL;
    BlockExport *export = NULL;

    if (BlockExportOptions_from_json(json, QAPI_KEYVAL, &options, error)) {
        export = block_export_add(options, error);
    }
    json_object_put(json);
    return export;
}

static void set_up(Fixture *fixture, const char *more)
{
    g_autofree char *text = NULL;
    GError *error = NULL;

    fixture->dir = fixture_dir_new();
    fixture->image = fixture_file(fixture->dir, "disk", DISK_SIZE);
    fixture->socket = g_build_filename(fixture->dir, "socket", NULL);
    add_node(fixture);
    text = g_strdup_printf("type=vhost-user-blk,id=e,node-name=disk,addr.type=unix,addr.path=%s%s",
                           fixture->socket, more);
    try_export(text, &error);
    g_assert_no_error(error);
}

static void tear_down(Fixture *fixture)
{
    block_export_shut_down_all(BLOCK_EXPORT_TYPE_VHOST_USER_BLK);
    g_assert_true(block_monitor_del("disk", NULL));
    g_assert_cmpint(access(fixture->socket, F_OK), <, 0);
    g_free(fixture->image);
    g_free(fixture->socket);
    fixture_dir_free(fixture->dir);
}

static void with_disk(const char *more, FrontendFn *fn)
{
    Fixture fixture;

    set_up(&fixture, more);
    with_frontend(&fixture, fn);
    tear_down(&fixture);
}

static void start(Frontend *f, uint64_t features)
{
    frontend_negotiate(f, features);
    frontend_share_memory(f);
    frontend_start_queue(f, 0);
}

/* ---- Honest ---- */

static void check_config(Frontend *f)
{
    VhostUserConfig config = { .size = sizeof(struct virtio_blk_config) };
    uint32_t size = offsetof(VhostUserConfig, data) + config.size;
    struct virtio_blk_config got;
    VhostUserHeader header;
    VhostUserPayload payload;

    frontend_send(f, VHOST_USER_GET_CONFIG, VHOST_USER_VERSION, &config, size, NULL, 0);
    g_assert_cmpint(frontend_receive(f, &header, &payload, NULL), ==, size);
    memcpy(&got, payload.config.data, sizeof(got));
    g_assert_cmpuint(got.capacity, ==, DISK_SIZE / 512);
    g_assert_cmpuint(got.blk_size, ==, 4096);
    g_assert_cmpuint(got.num_queues, ==, 2);
    g_assert_cmpuint(got.wce, ==, 1);
    g_assert_cmpuint(got.max_discard_seg, ==, 1);
    config = (VhostUserConfig) { .offset = offsetof(struct virtio_blk_config, wce), .size = 1 };
    frontend_tell(f, VHOST_USER_SET_CONFIG, &config, offsetof(VhostUserConfig, data) + 1, NULL, 0);
}

static void session_of_an_honest_driver(Fixture *fixture, Frontend *f)
{
    g_assert_cmpuint(frontend_ask(f, VHOST_USER_GET_QUEUE_NUM), ==, 2);
    g_assert_cmpuint(frontend_ask(f, VHOST_USER_GET_MAX_MEM_SLOTS), >=, 8);
    frontend_negotiate(f, BIT_ULL(VIRTIO_BLK_F_MQ) | BIT_ULL(VIRTIO_BLK_F_FLUSH));
    check_config(f);
    frontend_share_memory(f);
    frontend_start_queue(f, 0);
    frontend_start_queue(f, 1);
    memset(f->memory + FRONTEND_DATA, 0xa5, 64 * KiB);
    g_assert_cmpint(frontend_block(f, 0, VIRTIO_BLK_T_OUT, 8, 0, 64 * KiB), ==, VIRTIO_BLK_S_OK);
    g_assert_cmpint(frontend_block(f, 1, VIRTIO_BLK_T_FLUSH, 0, 0, 0), ==, VIRTIO_BLK_S_OK);
    g_assert_cmpint(frontend_block(f, 1, VIRTIO_BLK_T_IN, 8, 128 * KiB, 64 * KiB), ==,
                    VIRTIO_BLK_S_OK);
    g_assert_cmpmem(f->memory + FRONTEND_DATA, 64 * KiB, f->memory + FRONTEND_DATA + 128 * KiB,
                    64 * KiB);
    g_assert_cmpint(frontend_block(f, 0, VIRTIO_BLK_T_GET_ID, 0, 0, 20), ==, VIRTIO_BLK_S_OK);
    g_assert_cmpstr((char *)f->memory + FRONTEND_DATA, ==, "vhost_user_blk");
    frontend_stop_queue(f, 0);
    frontend_stop_queue(f, 1);
}

static void test_requests(void)
{
    with_disk(",writable=on,num-queues=2,logical-block-size=4096", session_of_an_honest_driver);
}

static void set_range(Frontend *f, uint64_t sector, uint32_t sectors, uint32_t flags)
{
    struct virtio_blk_discard_write_zeroes range = { sector, sectors, flags };

    memcpy(f->memory + FRONTEND_DATA, &range, sizeof(range));
}

static void session_of_ranges(Fixture *fixture, Frontend *f)
{
    start(f, EVENT_IDX);
    memset(f->memory + FRONTEND_DATA, 0x5a, 64 * KiB);
    g_assert_cmpint(frontend_block(f, 0, VIRTIO_BLK_T_OUT, 0, 0, 64 * KiB), ==, VIRTIO_BLK_S_OK);
    set_range(f, 8, 8, VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP);
    g_assert_cmpint(frontend_block(f, 0, VIRTIO_BLK_T_WRITE_ZEROES, 0, 0, 16), ==,
                    VIRTIO_BLK_S_OK);
    set_range(f, 16, 8, 0);
    g_assert_cmpint(frontend_block(f, 0, VIRTIO_BLK_T_DISCARD, 0, 0, 16), ==, VIRTIO_BLK_S_OK);
    set_range(f, 16, 8, VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP);
    g_assert_cmpint(frontend_block(f, 0, VIRTIO_BLK_T_DISCARD, 0, 0, 16), ==,
                    VIRTIO_BLK_S_UNSUPP);
    set_range(f, 16, 1u << 20, 0);
    g_assert_cmpint(frontend_block(f, 0, VIRTIO_BLK_T_DISCARD, 0, 0, 16), ==, VIRTIO_BLK_S_IOERR);
    set_range(f, UINT64_MAX - 7, 8, 0);
    g_assert_cmpint(frontend_block(f, 0, VIRTIO_BLK_T_WRITE_ZEROES, 0, 0, 16), ==,
                    VIRTIO_BLK_S_IOERR);
    g_assert_cmpint(frontend_block(f, 0, VIRTIO_BLK_T_WRITE_ZEROES, 0, 0, 17), ==,
                    VIRTIO_BLK_S_UNSUPP);
    g_assert_cmpint(frontend_block(f, 0, VIRTIO_BLK_T_IN, 0, 0, 64 * KiB), ==, VIRTIO_BLK_S_OK);
    g_assert_cmpint(f->memory[FRONTEND_DATA + 8 * 512 - 1], ==, 0x5a);
    g_assert_cmpint(f->memory[FRONTEND_DATA + 8 * 512], ==, 0);
    g_assert_cmpint(f->memory[FRONTEND_DATA + 24 * 512 - 1], ==, 0);
    g_assert_cmpint(f->memory[FRONTEND_DATA + 24 * 512], ==, 0x5a);
}

static void test_ranges(void)
{
    with_disk(",writable=on", session_of_ranges);
}

/* Requests that are whole, but not to be carried out. */
static void session_of_bad_requests(Fixture *fixture, Frontend *f)
{
    static const struct {
        uint32_t type;
        uint64_t sector;
        uint32_t len;
        uint8_t status;
    } cases[] = {
        { VIRTIO_BLK_T_OUT, 0, 512, VIRTIO_BLK_S_IOERR }, /* it is read-only */
        { VIRTIO_BLK_T_IN, 0, 511, VIRTIO_BLK_S_IOERR },
        { VIRTIO_BLK_T_IN, DISK_SIZE / 512, 512, VIRTIO_BLK_S_IOERR },
        { VIRTIO_BLK_T_IN, UINT64_MAX, 512, VIRTIO_BLK_S_IOERR },
        { VIRTIO_BLK_T_IN, 1ull << 55, 512, VIRTIO_BLK_S_IOERR },
        { VIRTIO_BLK_T_IN, DISK_SIZE / 512 - 1, 1024, VIRTIO_BLK_S_IOERR },
        { VIRTIO_BLK_T_SECURE_ERASE, 0, 16, VIRTIO_BLK_S_UNSUPP },
        { 77, 0, 16, VIRTIO_BLK_S_UNSUPP },
        { VIRTIO_BLK_T_DISCARD, 0, 16, VIRTIO_BLK_S_IOERR },
        { VIRTIO_BLK_T_WRITE_ZEROES, 0, 8, VIRTIO_BLK_S_IOERR },
        { VIRTIO_BLK_T_IN, DISK_SIZE / 512 - 1, 512, VIRTIO_BLK_S_OK },
    };

    g_assert_true(frontend_ask(f, VHOST_USER_GET_FEATURES) & BIT_ULL(VIRTIO_BLK_F_RO));
    start(f, 0);
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_test_message("request %zu", i);
        g_assert_cmpint(frontend_block(f, 0, cases[i].type, cases[i].sector, 0, cases[i].len), ==,
                        cases[i].status);
    }
}

static void test_bad_requests(void)
{
    with_disk("", session_of_bad_requests);
}

/* Many at once, in pieces of odd sizes, by indirect tables. */
static void session_of_a_busy_driver(Fixture *fixture, Frontend *f)
{
    enum { REQUESTS = 16, ROUNDS = 50 };
    const uint32_t headers = FRONTEND_DATA / 2, tables = FRONTEND_DATA / 2 + 64 * KiB;

    start(f, EVENT_IDX | INDIRECT);
    for (unsigned round = 0; round < ROUNDS; round++) {
        uint32_t type = round & 1 ? VIRTIO_BLK_T_IN : VIRTIO_BLK_T_OUT;

        for (unsigned i = 0; i < REQUESTS; i++) {
            uint32_t base = headers + i * 1024, data = FRONTEND_DATA + i * 8192;
            bool in = type == VIRTIO_BLK_T_IN;
            FrontendBuffer buffers[] = {
                { base, 10, false }, { base + 10, 6, false }, { data, 1000, in },
                { data + 1000, 24, in }, { data + 1024, 7168, in }, { base + 512, 1, true },
            };

            *(struct virtio_blk_outhdr *)(f->memory + base) = (struct virtio_blk_outhdr) {
                .type = type, .sector = (round / 2 * REQUESTS + i) * 16,
            };
            f->memory[base + 512] = 0xff;
            memset(f->memory + data, in ? 0 : (int)(round / 2 + i), 8192);
            frontend_add(f, 0, buffers, G_N_ELEMENTS(buffers), tables + i * 1024);
        }
        frontend_kick(f, 0);
        for (unsigned i = 0; i < REQUESTS; i++) {
            frontend_wait(f, 0);
        }
        for (unsigned i = 0; i < REQUESTS; i++) {
            g_assert_cmpint(f->memory[headers + i * 1024 + 512], ==, VIRTIO_BLK_S_OK);
            g_assert_cmpint(f->memory[FRONTEND_DATA + i * 8192], ==, (uint8_t)(round / 2 + i));
            g_assert_cmpint(f->memory[FRONTEND_DATA + i * 8192 + 8191], ==,
                            (uint8_t)(round / 2 + i));
        }
    }
}

static void test_busy(void)
{
    with_disk(",writable=on", session_of_a_busy_driver);
}

static void test_iothread(void)
{
    json_object *json = fixture_options("qom-type=iothread,id=io0");
    GError *error = NULL;

    g_assert_nonnull(user_object_create(json, true, &error));
    json_object_put(json);
    with_disk(",writable=on,iothread=io0,fixed-iothread=on", session_of_a_busy_driver);
    g_assert_true(user_object_delete("io0", &error));
}

/* Regions one by one, with an offset, and the log of what the device writes. */
static void session_of_slots_and_log(Fixture *fixture, Frontend *f)
{
    VhostUserOneRegion low = { 0, { FRONTEND_GUEST, MiB, FRONTEND_USER, 0 } };
    VhostUserOneRegion high = { 0, { FRONTEND_GUEST + MiB, 3 * MiB, FRONTEND_USER + MiB, MiB } };
    VhostUserLog log = { .size = 64 * KiB };
    int log_fd = memfd_create("log", MFD_CLOEXEC);
    VhostUserHeader header;
    VhostUserPayload payload;
    uint8_t bit;

    g_assert_cmpint(ftruncate(log_fd, 64 * KiB), ==, 0);
    frontend_negotiate(f, BIT_ULL(VHOST_F_LOG_ALL));
    frontend_tell(f, VHOST_USER_ADD_MEM_REG, &low, sizeof(low), &f->memfd, 1);
    frontend_tell(f, VHOST_USER_ADD_MEM_REG, &high, sizeof(high), &f->memfd, 1);
    frontend_send(f, VHOST_USER_SET_LOG_BASE, VHOST_USER_VERSION, &log, sizeof(log), &log_fd, 1);
    g_assert_cmpint(frontend_receive(f, &header, &payload, NULL), ==, sizeof(uint64_t));
    frontend_start_queue(f, 0);
    g_assert_cmpint(frontend_block(f, 0, VIRTIO_BLK_T_IN, 0, 8192, 4096), ==, VIRTIO_BLK_S_OK);
    /* 64 KiB of log are 2 GiB of pages. */
    g_assert_cmpint(pread(log_fd, &bit, 1, (FRONTEND_GUEST + MiB + 8192) / 4096 / 8), ==, 1);
    g_assert_cmphex(bit, ==, 1u << 2);
    frontend_tell(f, VHOST_USER_REM_MEM_REG, &high, sizeof(high), NULL, 0);
    frontend_send(f, VHOST_USER_REM_MEM_REG, VHOST_USER_VERSION, &high, sizeof(high), NULL, 0);
    g_assert_true(frontend_is_cut_off(f));
    close(log_fd);
}

static void test_slots_and_log(void)
{
    with_disk("", session_of_slots_and_log);
}

/* ---- Resizing ---- */

static void resize_disk(void *opaque)
{
    GError *error = NULL;

    g_assert_true(qmp_block_resize(NULL, "disk", 2 * DISK_SIZE, &error));
    *(bool *)opaque = true;
}

static void session_of_resizing(Fixture *fixture, Frontend *f)
{
    int pair[2];
    bool done = false;
    VhostUserHeader header;
    uint64_t value = 0;

    g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), ==, 0);
    start(f, 0);
    frontend_tell(f, VHOST_USER_SET_BACKEND_REQ_FD, &value, sizeof(value), &pair[1], 1);
    close(pair[1]);
    loop_post(loop_main(), resize_disk, &done);
    g_assert_cmpint(recv(pair[0], &header, sizeof(header), MSG_WAITALL), ==, sizeof(header));
    g_assert_cmpuint(header.request, ==, VHOST_USER_BACKEND_CONFIG_CHANGE);
    close(pair[0]);
    g_assert_cmpint(frontend_block(f, 0, VIRTIO_BLK_T_IN, DISK_SIZE / 512, 0, 512), ==,
                    VIRTIO_BLK_S_OK);
}

static void test_resizing(void)
{
    with_disk("", session_of_resizing);
}

/* ---- Hostile messages ---- */

typedef struct BadMessage {
    const char *name;
    uint32_t request, flags, size;
    uint32_t words[12];       /* of the payload */
    int n_fds;                /* memfds */
} BadMessage;

#define V VHOST_USER_VERSION
static const BadMessage bad_messages[] = {
    { "no-request", 0, V, 0 },
    { "unknown-request", 37000, V, 0 },
    { "gap", 23, V, 0 },
    { "version", VHOST_USER_GET_FEATURES, 0, 0 },
    { "a-reply", VHOST_USER_GET_FEATURES, V | VHOST_USER_FLAG_REPLY, 0 },
    { "huge", VHOST_USER_SET_FEATURES, V, 0x7fffffff },
    { "longer-than-all", VHOST_USER_SET_MEM_TABLE, V, sizeof(VhostUserPayload) + 1 },
    { "short", VHOST_USER_SET_FEATURES, V, 4 },
    { "features", VHOST_USER_SET_FEATURES, V, 8, { 1, 0 } },
    { "protocol-features", VHOST_USER_SET_PROTOCOL_FEATURES, V, 8, { 4, 0 } },
    { "fds-for-nothing", VHOST_USER_SET_OWNER, V, 0, { 0 }, 1 },
    { "too-many-fds", VHOST_USER_SET_OWNER, V, 0, { 0 }, 12 },
    { "table-of-nine", VHOST_USER_SET_MEM_TABLE, V, 8, { 9 } },
    { "table-of-many", VHOST_USER_SET_MEM_TABLE, V, 8, { 0xffffffff } },
    { "table-cut", VHOST_USER_SET_MEM_TABLE, V, 8, { 1 }, 1 },
    { "table-without-fd", VHOST_USER_SET_MEM_TABLE, V, 40, { 1, 0, 0, 0, 4096 } },
    { "region-empty", VHOST_USER_SET_MEM_TABLE, V, 40, { 1 }, 1 },
    { "region-beyond-file", VHOST_USER_SET_MEM_TABLE, V, 40, { 1, 0, 0, 0, 0, 1 }, 1 },
    { "region-wraps", VHOST_USER_SET_MEM_TABLE, V, 40,
      { 1, 0, 0xfffff000, 0xffffffff, 0x2000 }, 1 },
    { "offset-wraps", VHOST_USER_SET_MEM_TABLE, V, 40,
      { 1, 0, 0, 0, 0x1000, 0, 0, 0, 0xfffff000, 0xffffffff }, 1 },
    { "slot-without-fd", VHOST_USER_ADD_MEM_REG, V, 40, { 0, 0, 0, 0, 4096 } },
    { "slot-unknown", VHOST_USER_REM_MEM_REG, V, 40, { 0, 0, 0, 0, 4096 } },
    { "queue-2", VHOST_USER_SET_VRING_NUM, V, 8, { 2, 64 } },
    { "queue-huge", VHOST_USER_SET_VRING_BASE, V, 8, { 0xffffffff, 64 } },
    { "size-0", VHOST_USER_SET_VRING_NUM, V, 8, { 0, 0 } },
    { "size-odd", VHOST_USER_SET_VRING_NUM, V, 8, { 0, 63 } },
    { "size-huge", VHOST_USER_SET_VRING_NUM, V, 8, { 0, 0x80000000 } },
    { "enable-unknown", VHOST_USER_SET_VRING_ENABLE, V, 8, { 7, 1 } },
    { "kick-without-fd", VHOST_USER_SET_VRING_KICK, V, 8, { 0 } },
    { "kick-polling", VHOST_USER_SET_VRING_KICK, V, 8, { VHOST_USER_VRING_NO_FD } },
    { "kick-no-eventfd", VHOST_USER_SET_VRING_KICK, V, 8, { 0 }, 1 },
    { "call-no-eventfd", VHOST_USER_SET_VRING_CALL, V, 8, { 0 }, 1 },
    { "call-both", VHOST_USER_SET_VRING_CALL, V, 8, { VHOST_USER_VRING_NO_FD }, 1 },
    { "base-of-unknown", VHOST_USER_GET_VRING_BASE, V, 8, { 200 } },
    { "backend-channel", VHOST_USER_SET_BACKEND_REQ_FD, V, 8, { 0 }, 1 },
    { "config-beyond", VHOST_USER_GET_CONFIG, V, 13, { 256, 1 } },
    { "config-wraps", VHOST_USER_GET_CONFIG, V, 13, { 0xffffffff, 1 } },
    { "config-lies", VHOST_USER_GET_CONFIG, V, 13, { 0, 60 } },
    { "config-written", VHOST_USER_SET_CONFIG, V, 13, { 0, 1, 0, 1 } },
    { "log-without-fd", VHOST_USER_SET_LOG_BASE, V, 16, { 4096 } },
    { "log-unasked", VHOST_USER_SET_LOG_BASE, V, 16, { 4096 }, 1 },
    { "inflight-of-none", VHOST_USER_GET_INFLIGHT_FD, V, 24, { 0, 0, 0, 0, 0 } },
    { "inflight-of-many", VHOST_USER_GET_INFLIGHT_FD, V, 24, { 0, 0, 0, 0, 0xffffffff } },
    { "inflight-small", VHOST_USER_SET_INFLIGHT_FD, V, 24, { 16, 0, 0, 0, 0x00400001 }, 1 },
    { "inflight-beyond", VHOST_USER_SET_INFLIGHT_FD, V, 24,
      { 0x10000, 0, 0xfffff000, 0xffffffff, 0x00400001 }, 1 },
};

static void send_bad(Frontend *f, const BadMessage *bad)
{
    uint8_t payload[1024] = { 0 };
    int fds[16];

    memcpy(payload, bad->words, sizeof(bad->words));
    for (int i = 0; i < bad->n_fds; i++) {
        fds[i] = f->memfd;
    }
    frontend_send(f, bad->request, bad->flags, bad->size <= sizeof(payload) ? payload : NULL,
                  bad->size, fds, (unsigned)bad->n_fds);
}

static void session_of_bad_messages(Fixture *fixture, Frontend *f)
{
    for (size_t i = 0; i < G_N_ELEMENTS(bad_messages); i++) {
        g_test_message("%s", bad_messages[i].name);
        send_bad(f, &bad_messages[i]);
        g_assert_true(frontend_is_cut_off(f));
        frontend_disconnect(f);
        frontend_reconnect(f, fixture->socket);
    }
    /* Half a message, and gone. */
    frontend_send(f, VHOST_USER_SET_FEATURES, V, NULL, 8, NULL, 0);
    frontend_disconnect(f);
    frontend_reconnect(f, fixture->socket);
    /* The next one is served. */
    start(f, 0);
    g_assert_cmpint(frontend_block(f, 0, VIRTIO_BLK_T_IN, 0, 0, 512), ==, VIRTIO_BLK_S_OK);
}

static void test_bad_messages(void)
{
    with_disk(",writable=on", session_of_bad_messages);
}

/* ---- Hostile rings ---- */

typedef void SpoilFn(Frontend *f, struct vring *ring);

static void point(struct vring *ring, uint16_t i, uint64_t addr, uint32_t len, uint16_t flags,
                  uint16_t next)
{
    ring->desc[i] = (struct vring_desc) { addr, len, flags, next };
}

static void offer(struct vring *ring, uint16_t head)
{
    ring->avail->ring[ring->avail->idx % FRONTEND_QUEUE_SIZE] = head;
    __atomic_store_n(&ring->avail->idx, ring->avail->idx + 1, __ATOMIC_RELEASE);
}

static void spoil_index(Frontend *f, struct vring *ring)
{
    ring->avail->idx += FRONTEND_QUEUE_SIZE + 1;
}

static void spoil_head(Frontend *f, struct vring *ring)
{
    offer(ring, FRONTEND_QUEUE_SIZE);
}

static void spoil_loop(Frontend *f, struct vring *ring)
{
    point(ring, 0, FRONTEND_GUEST + FRONTEND_DATA, 16, VRING_DESC_F_NEXT, 1);
    point(ring, 1, FRONTEND_GUEST + FRONTEND_DATA, 16, VRING_DESC_F_NEXT, 0);
    offer(ring, 0);
}

static void spoil_next(Frontend *f, struct vring *ring)
{
    point(ring, 0, FRONTEND_GUEST + FRONTEND_DATA, 16, VRING_DESC_F_NEXT, 9999);
    offer(ring, 0);
}

static void spoil_address(Frontend *f, struct vring *ring)
{
    point(ring, 0, FRONTEND_GUEST - 4096, 16, 0, 0);
    offer(ring, 0);
}

static void spoil_length(Frontend *f, struct vring *ring)
{
    point(ring, 0, FRONTEND_GUEST + FRONTEND_DATA, 0xffffffff, VRING_DESC_F_WRITE, 0);
    offer(ring, 0);
}

static void spoil_wrap(Frontend *f, struct vring *ring)
{
    point(ring, 0, UINT64_MAX - 7, 16, 0, 0);
    offer(ring, 0);
}

static void spoil_empty(Frontend *f, struct vring *ring)
{
    point(ring, 0, FRONTEND_GUEST + FRONTEND_DATA, 0, 0, 0);
    offer(ring, 0);
}

static void spoil_order(Frontend *f, struct vring *ring)
{
    point(ring, 0, FRONTEND_GUEST + FRONTEND_DATA, 16, VRING_DESC_F_WRITE | VRING_DESC_F_NEXT, 1);
    point(ring, 1, FRONTEND_GUEST + FRONTEND_DATA, 16, 0, 0);
    offer(ring, 0);
}

static void spoil_nested(Frontend *f, struct vring *ring)
{
    struct vring_desc *table = (struct vring_desc *)(f->memory + FRONTEND_DATA);

    table[0] = (struct vring_desc) { FRONTEND_GUEST + FRONTEND_DATA, 16, VRING_DESC_F_INDIRECT, 0 };
    point(ring, 0, FRONTEND_GUEST + FRONTEND_DATA, 16, VRING_DESC_F_INDIRECT, 0);
    offer(ring, 0);
}

static void spoil_table_length(Frontend *f, struct vring *ring)
{
    point(ring, 0, FRONTEND_GUEST + FRONTEND_DATA, 17, VRING_DESC_F_INDIRECT, 0);
    offer(ring, 0);
}

static void spoil_table_loop(Frontend *f, struct vring *ring)
{
    struct vring_desc *table = (struct vring_desc *)(f->memory + FRONTEND_DATA);

    for (unsigned i = 0; i < 2048; i++) {
        table[i] = (struct vring_desc) { FRONTEND_GUEST + FRONTEND_DATA, 16, VRING_DESC_F_NEXT,
                                         (uint16_t)((i + 1) % 2048) };
    }
    point(ring, 0, FRONTEND_GUEST + FRONTEND_DATA, 2048 * 16, VRING_DESC_F_INDIRECT, 0);
    offer(ring, 0);
}

static void spoil_table_place(Frontend *f, struct vring *ring)
{
    point(ring, 0, FRONTEND_GUEST + FRONTEND_MEMORY - 8, 16, VRING_DESC_F_INDIRECT, 0);
    offer(ring, 0);
}

/* The memory goes while the server uses it. */
static void spoil_memory(Frontend *f, struct vring *ring)
{
    g_assert_cmpint(ftruncate(f->memfd, 0), ==, 0);
}

static SpoilFn *const spoilers[] = {
    spoil_index, spoil_head, spoil_loop, spoil_next, spoil_address, spoil_length, spoil_wrap,
    spoil_empty, spoil_order, spoil_nested, spoil_table_length, spoil_table_loop,
    spoil_table_place, spoil_memory,
};

static void session_of_bad_rings(Fixture *fixture, Frontend *f)
{
    for (size_t i = 0; i < G_N_ELEMENTS(spoilers); i++) {
        g_test_message("spoiler %zu", i);
        start(f, INDIRECT);
        g_assert_cmpint(frontend_block(f, 0, VIRTIO_BLK_T_IN, 0, 0, 512), ==, VIRTIO_BLK_S_OK);
        spoilers[i](f, &f->rings[0]);
        frontend_kick(f, 0);
        frontend_wait_err(f, 0);
        frontend_cleanup(f);
        frontend_connect(f, fixture->socket);
    }
}

static void test_bad_rings(void)
{
    with_disk(",writable=on", session_of_bad_rings);
}

/* A request without a place for its status gets no answer but its entry. */
static void session_of_odd_chains(Fixture *fixture, Frontend *f)
{
    const FrontendBuffer no_status = { FRONTEND_DATA, 16, false };
    const FrontendBuffer no_header = { FRONTEND_DATA, 8, true };

    start(f, 0);
    frontend_add(f, 0, &no_status, 1, 0);
    frontend_kick(f, 0);
    g_assert_cmpuint(frontend_wait(f, 0).len, ==, 0);
    frontend_add(f, 0, &no_header, 1, 0);
    frontend_kick(f, 0);
    frontend_wait(f, 0);
    g_assert_cmpint(f->memory[FRONTEND_DATA + 7], ==, VIRTIO_BLK_S_IOERR);
    g_assert_cmpint(frontend_block(f, 0, VIRTIO_BLK_T_IN, 0, 0, 512), ==, VIRTIO_BLK_S_OK);
}

static void test_odd_chains(void)
{
    with_disk("", session_of_odd_chains);
}

/* ---- After a backend's death ---- */

static VhostUserInflightQueue *get_inflight(Frontend *f, VhostUserInflight *shape, int *fd)
{
    VhostUserHeader header;
    VhostUserPayload payload;
    void *memory;

    *shape = (VhostUserInflight) { .n_queues = 1, .queue_size = FRONTEND_QUEUE_SIZE };
    frontend_send(f, VHOST_USER_GET_INFLIGHT_FD, V, shape, sizeof(*shape), NULL, 0);
    g_assert_cmpint(frontend_receive(f, &header, &payload, fd), ==, sizeof(*shape));
    g_assert_cmpint(*fd, >=, 0);
    *shape = payload.inflight;
    memory = mmap(NULL, shape->mmap_size, PROT_READ | PROT_WRITE, MAP_SHARED, *fd, 0);
    g_assert_true(memory != MAP_FAILED);
    return memory;
}

/* A request that somebody took and did not answer: a write of one sector. */
static uint16_t add_write(Frontend *f, unsigned i)
{
    uint32_t base = FRONTEND_DATA / 2 + i * 1024, data = FRONTEND_DATA + i * 512;
    FrontendBuffer buffers[] = {
        { base, 16, false }, { data, 512, false }, { base + 512, 1, true },
    };

    *(struct virtio_blk_outhdr *)(f->memory + base) =
        (struct virtio_blk_outhdr) { .type = VIRTIO_BLK_T_OUT, .sector = i };
    memset(f->memory + data, (int)(0x40 + i), 512);
    return frontend_add(f, 0, buffers, 3, 0);
}

static void session_of_a_second_life(Fixture *fixture, Frontend *f)
{
    VhostUserInflight shape;
    int fd;
    VhostUserInflightQueue *part;
    uint16_t heads[3];

    frontend_negotiate(f, 0);
    part = get_inflight(f, &shape, &fd);
    frontend_share_memory(f);
    frontend_start_queue(f, 0);
    g_assert_cmpint(frontend_block(f, 0, VIRTIO_BLK_T_IN, 0, 0, 512), ==, VIRTIO_BLK_S_OK);
    g_assert_cmpuint(part->version, ==, VHOST_USER_INFLIGHT_VERSION);
    g_assert_cmpuint(part->size, ==, FRONTEND_QUEUE_SIZE);
    g_assert_cmpuint(part->used_idx, ==, 1);
    g_assert_cmpuint(part->desc[0].inflight, ==, 0);
    frontend_stop_queue(f, 0);
    frontend_disconnect(f);

    /*
     * The dead one: took three, showed the first, and had no time to take its mark away; of the
     * other two, the second came first.
     */
    for (unsigned i = 0; i < 3; i++) {
        heads[i] = add_write(f, i);
        part->desc[heads[i]].inflight = 1;
        part->desc[heads[i]].counter = i == 1 ? 102 : 100 + i / 2;
    }
    part->desc[heads[0]].next = part->last_batch_head;
    part->last_batch_head = heads[0];
    f->rings[0].used->ring[1] = (struct vring_used_elem) { heads[0], 1 };
    f->rings[0].used->idx = 2;
    f->last_used[0] = 2;

    frontend_reconnect(f, fixture->socket);
    frontend_negotiate(f, 0);
    frontend_tell(f, VHOST_USER_SET_INFLIGHT_FD, &shape, sizeof(shape), &fd, 1);
    frontend_share_memory(f);
    frontend_start_queue(f, 0);
    g_assert_cmpuint(frontend_wait(f, 0).id + frontend_wait(f, 0).id, ==, heads[1] + heads[2]);
    memset(f->memory + FRONTEND_DATA, 0, 1536);
    g_assert_cmpint(frontend_block(f, 0, VIRTIO_BLK_T_IN, 0, 0, 1536), ==, VIRTIO_BLK_S_OK);
    g_assert_cmpint(f->memory[FRONTEND_DATA], ==, 0); /* not done twice */
    g_assert_cmpint(f->memory[FRONTEND_DATA + 512], ==, 0x41);
    g_assert_cmpint(f->memory[FRONTEND_DATA + 1024], ==, 0x42);
    munmap(part, shape.mmap_size);
    close(fd);
}

static void test_inflight(void)
{
    with_disk(",writable=on", session_of_a_second_life);
}

/* The memory says nonsense. */
static void session_of_bad_inflight(Fixture *fixture, Frontend *f)
{
    VhostUserInflight shape;
    int fd;
    VhostUserInflightQueue *part;

    frontend_negotiate(f, 0);
    part = get_inflight(f, &shape, &fd);
    memset(part, 0xff, shape.mmap_size);
    part->version = VHOST_USER_INFLIGHT_VERSION;
    part->size = FRONTEND_QUEUE_SIZE;
    for (unsigned i = 0; i < FRONTEND_QUEUE_SIZE; i++) {
        part->desc[i].inflight = 1; /* chains of nothing */
    }
    frontend_share_memory(f);
    frontend_start_queue(f, 0);
    frontend_wait_err(f, 0);
    munmap(part, shape.mmap_size);
    close(fd);
}

static void test_bad_inflight(void)
{
    with_disk(",writable=on", session_of_bad_inflight);
}

/* ---- Exports ---- */

static void session_that_is_ended(Fixture *fixture, Frontend *f)
{
    start(f, 0);
    loop_post(loop_main(), (LoopFn *)block_export_shut_down, block_export_find("e"));
    g_assert_true(frontend_is_cut_off(f));
}

static void test_shut_down(void)
{
    with_disk("", session_that_is_ended);
}

static void test_refusals(void)
{
    static const struct {
        const char *options, *error;
    } cases[] = {
        { "addr.type=inet,addr.host=localhost,addr.port=0", "'unix' or 'fd'" },
        { "addr.type=unix,addr.path=/nonexistent/x", "/nonexistent/x" },
        { "addr.type=unix,addr.path=x,logical-block-size=513", "power of two" },
        { "addr.type=unix,addr.path=x,logical-block-size=256", "power of two" },
        { "addr.type=unix,addr.path=x,num-queues=0", "num-queues" },
        { "addr.type=unix,addr.path=x,num-queues=65", "num-queues" },
        { "addr.type=unix,addr.path=x,iothread=nobody", "nobody" },
    };
    Fixture fixture;

    set_up(&fixture, "");
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *text = g_strdup_printf("type=vhost-user-blk,id=e2,node-name=disk,%s",
                                                cases[i].options);
        g_autoptr(GError) error = NULL;

        g_assert_null(try_export(text, &error));
        g_assert_nonnull(strstr(error->message, cases[i].error));
    }
    tear_down(&fixture);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    vm_lock();
    loop_main();
    g_test_add_func("/vhost-user/requests", test_requests);
    g_test_add_func("/vhost-user/ranges", test_ranges);
    g_test_add_func("/vhost-user/bad-requests", test_bad_requests);
    g_test_add_func("/vhost-user/busy", test_busy);
    g_test_add_func("/vhost-user/iothread", test_iothread);
    g_test_add_func("/vhost-user/slots-and-log", test_slots_and_log);
    g_test_add_func("/vhost-user/resizing", test_resizing);
    g_test_add_func("/vhost-user/bad-messages", test_bad_messages);
    g_test_add_func("/vhost-user/bad-rings", test_bad_rings);
    g_test_add_func("/vhost-user/odd-chains", test_odd_chains);
    g_test_add_func("/vhost-user/inflight", test_inflight);
    g_test_add_func("/vhost-user/bad-inflight", test_bad_inflight);
    g_test_add_func("/vhost-user/shut-down", test_shut_down);
    g_test_add_func("/vhost-user/refusals", test_refusals);
    return g_test_run();
}
