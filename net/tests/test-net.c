/* SPDX-License-Identifier: Apache-2.0 */
/* Wires between clients: queues, hubs, filters, offloads, frames on streams, sockets, options. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>

#include "chardev/chardev.h"
#include "net/filter.h"
#include "net/frame.h"
#include "net/netdev.h"
#include "net/nic.h"
#include "net/offload.h"
#include "net/user.h"
#include "qom/object.h"
#include "util/bits.h"
#include "util/error.h"
#include "util/iov.h"
#include "util/loop.h"
#include "util/vm-lock.h"

/* An end of a wire that keeps what it gets. */
typedef struct End {
    NetClient *nc;
    GPtrArray *got;      /* GBytes */
    uint32_t features;
    bool busy, answers;
    unsigned ready, changed;
} End;

static uint32_t end_features(NetClient *nc)
{
    return ((End *)nc->opaque)->features;
}

static bool end_can_receive(NetClient *nc)
{
    return !((End *)nc->opaque)->busy;
}

static int end_receive(NetClient *nc, const NetPacket *packet)
{
    End *end = nc->opaque;
    g_autofree uint8_t *data = g_malloc(packet->size);

    iov_to_buf(packet->iov, packet->n, 0, data, packet->size);
    g_ptr_array_add(end->got, g_bytes_new(data, packet->size));
    if (end->answers) { /* from within, as networks inside this program do */
        net_send_buf(nc, data, packet->size);
    }
    return 0;
}

static void end_peer_ready(NetClient *nc)
{
    ((End *)nc->opaque)->ready++;
}

static void end_link_changed(NetClient *nc)
{
    ((End *)nc->opaque)->changed++;
}

#define END_SLOTS                                                                                  \
    .features = end_features, .can_receive = end_can_receive, .receive = end_receive,              \
    .peer_ready = end_peer_ready, .link_changed = end_link_changed

static const NetClientOps device_ops = { .kind = NET_CLIENT_DRIVER_NIC, END_SLOTS };
static const NetClientOps backend_ops = { .kind = NET_CLIENT_DRIVER_USER, END_SLOTS };

static void end_open(End *end, bool device, const char *name)
{
    *end = (End){ .got = g_ptr_array_new_with_free_func((GDestroyNotify)g_bytes_unref) };
    end->nc = net_client_new(device ? &device_ops : &backend_ops, "test", name, 0, end);
}

static void end_close(End *end)
{
    net_client_free(end->nc);
    g_ptr_array_unref(end->got);
}

static void open_pair(End *device, End *backend)
{
    end_open(device, true, "dev");
    end_open(backend, false, "back");
    net_client_connect(device->nc, backend->nc);
}

static void assert_got(const End *end, guint i, const void *data, size_t size)
{
    gsize len;
    const void *bytes;

    g_assert_cmpuint(end->got->len, >, i);
    bytes = g_bytes_get_data(g_ptr_array_index(end->got, i), &len);
    g_assert_cmpmem(bytes, len, data, size);
}

static void turn_until(bool (*done)(void *opaque), void *opaque)
{
    while (!done(opaque)) {
        loop_iterate(loop_main(), true);
    }
}

/* ---- Queues ---- */

static void test_queue(void)
{
    End device, backend;
    g_autofree uint8_t *long_frame = g_malloc0(NET_MAX_FRAME);

    open_pair(&device, &backend);
    g_assert_true(net_send_buf(device.nc, "one", 3));
    backend.busy = true;
    g_assert_false(net_send_buf(device.nc, "two", 3));
    g_assert_false(net_send_buf(device.nc, "three", 5));
    g_assert_cmpuint(backend.got->len, ==, 1);
    g_assert_false(net_peer_can_receive(device.nc));
    net_ready(backend.nc); /* says so, but cannot */
    g_assert_cmpuint(device.ready, ==, 0);
    backend.busy = false;
    net_ready(backend.nc);
    g_assert_cmpuint(device.ready, ==, 1);
    assert_got(&backend, 1, "two", 3);
    assert_got(&backend, 2, "three", 5);
    /* Bounded; what is too much is lost, and the rest comes in order. */
    backend.busy = true;
    for (unsigned i = 0; i < 3 * NET_QUEUE_MAX / NET_MAX_FRAME; i++) {
        g_assert_false(net_send_buf(device.nc, long_frame, NET_MAX_FRAME));
    }
    g_assert_cmpuint(backend.nc->waiting_bytes, <=, NET_QUEUE_MAX);
    backend.busy = false;
    net_ready(backend.nc);
    g_assert_cmpuint(backend.got->len, ==, 3 + NET_QUEUE_MAX / NET_MAX_FRAME);
    /* Too long, or nothing: dropped. */
    g_assert_true(net_send_buf(device.nc, long_frame, 0));
    g_assert_true(net_send_buf(device.nc, long_frame, NET_MAX_FRAME + 1));
    backend.busy = true;
    net_send_buf(device.nc, "x", 1);
    net_purge(backend.nc);
    g_assert_cmpuint(backend.nc->waiting_bytes, ==, 0);
    g_assert_cmpuint(device.ready, ==, 3);
    end_close(&backend);
    end_close(&device);
}

/* Each answers each frame from within: none is entered again, and no frame is lost on the way. */
static void test_reentry(void)
{
    End device, backend;

    open_pair(&device, &backend);
    backend.answers = true;
    net_send_buf(device.nc, "ping", 4);
    assert_got(&backend, 0, "ping", 4);
    assert_got(&device, 0, "ping", 4);
    end_close(&backend);
    end_close(&device);
}

static void test_link(void)
{
    End device, backend;
    g_autoptr(GError) error = NULL;

    open_pair(&device, &backend);
    g_assert_true(net_set_link("dev", false, NULL));
    g_assert_true(backend.nc->link_down);
    g_assert_cmpuint(device.changed, ==, 1);
    g_assert_true(net_send_buf(device.nc, "lost", 4));
    g_assert_true(net_send_buf(backend.nc, "lost", 4));
    g_assert_cmpuint(backend.got->len + device.got->len, ==, 0);
    g_assert_true(net_set_link("back", true, NULL));
    g_assert_false(device.nc->link_down);
    g_assert_false(net_set_link("nobody", true, &error));
    g_assert_cmpstr(error->message, ==, "Device 'nobody' not found");
    /* A device without its backend has no link. */
    end_close(&backend);
    g_assert_true(device.nc->link_down);
    g_assert_null(device.nc->peer);
    end_close(&device);
}

/* ---- Hubs ---- */

static void test_hub(void)
{
    End ends[3];

    for (unsigned i = 0; i < 3; i++) {
        g_autofree char *name = g_strdup_printf("end%u", i);
        g_autofree char *option = g_strdup_printf("hubport,id=port%u,hubid=7,netdev=end%u", i, i);

        end_open(&ends[i], false, name);
        g_assert_true(netdev_option(option, NULL));
    }
    g_assert_true(net_send_buf(ends[0].nc, "all", 3));
    assert_got(&ends[1], 0, "all", 3);
    assert_got(&ends[2], 0, "all", 3);
    g_assert_cmpuint(ends[0].got->len, ==, 0);
    /* One that is busy gets it later; the others do not wait for it. */
    ends[1].busy = true;
    g_assert_true(net_send_buf(ends[0].nc, "some", 4));
    assert_got(&ends[2], 1, "some", 4);
    g_assert_cmpuint(ends[1].got->len, ==, 1);
    ends[2].busy = true;
    g_assert_false(net_send_buf(ends[0].nc, "none", 4));
    ends[1].busy = false;
    ends[2].busy = false;
    net_ready(ends[1].nc);
    g_assert_cmpuint(ends[0].ready, ==, 1);
    net_ready(ends[2].nc);
    assert_got(&ends[1], 1, "some", 4);
    g_assert_cmpuint(ends[2].got->len, >=, 2);
    for (unsigned i = 0; i < 3; i++) {
        g_autofree char *port = g_strdup_printf("port%u", i);

        g_assert_true(netdev_del(port, NULL));
        end_close(&ends[i]);
    }
}

/* Three hubs in a row may be; a way back from the last to the first may not. */
static void test_hub_circle(void)
{
    static const char *const row[] = { "hubport,id=a1,hubid=1", "hubport,id=a2,hubid=2,netdev=a1",
                                       "hubport,id=b2,hubid=2", "hubport,id=b3,hubid=3,netdev=b2",
                                       "hubport,id=c3,hubid=3" };
    static const char *const circles[] = { "hubport,id=c1,hubid=1,netdev=c3",
                                           "hubport,id=c1,hubid=2,netdev=c3",
                                           "hubport,id=c1,hubid=3,netdev=c3" };
    static const char *const ids[] = { "a1", "a2", "b2", "b3", "c3" };

    for (size_t i = 0; i < G_N_ELEMENTS(row); i++) {
        g_assert_true(netdev_option(row[i], NULL));
    }
    for (size_t i = 0; i < G_N_ELEMENTS(circles); i++) {
        g_autoptr(GError) error = NULL;

        g_assert_false(netdev_option(circles[i], &error));
        g_assert_nonnull(strstr(error->message, "in a circle"));
        g_assert_null(net_client_find("c1"));
    }
    /* Without the link in the middle it is a row again. */
    g_assert_true(netdev_del("a2", NULL));
    g_assert_true(netdev_option("hubport,id=c1,hubid=1,netdev=c3", NULL));
    g_assert_true(netdev_del("c1", NULL));
    g_assert_true(netdev_option("hubport,id=a2,hubid=2,netdev=a1", NULL));
    for (size_t i = 0; i < G_N_ELEMENTS(ids); i++) {
        g_assert_true(netdev_del(ids[i], NULL));
    }
    g_assert_false(net_option("hubport,hubid=0,id=self", NULL));
    g_assert_null(net_client_find("self"));
}

/* ---- Offloads ---- */

typedef struct Finished {
    GPtrArray *frames;
} Finished;

static void keep_frame(const NetPacket *packet, void *opaque)
{
    g_autofree uint8_t *data = g_malloc(packet->size);

    iov_to_buf(packet->iov, packet->n, 0, data, packet->size);
    g_ptr_array_add(opaque, g_bytes_new(data, packet->size));
}

static GPtrArray *finish(const void *frame, size_t size, const NetOffload *offload)
{
    GPtrArray *frames = g_ptr_array_new_with_free_func((GDestroyNotify)g_bytes_unref);
    const struct iovec iov[] = { { (void *)frame, size / 3 },
                                 { (char *)frame + size / 3, size - size / 3 } };
    const NetPacket packet = { .iov = iov, .n = 2, .size = size, .offload = *offload };

    net_offload_finish(&packet, keep_frame, frames);
    return frames;
}

static void make_packet(uint8_t *frame, size_t size, bool v6, uint8_t protocol)
{
    memset(frame, 0, size);
    stw_be(frame + 12, v6 ? 0x86dd : 0x0800);
    if (v6) {
        frame[14] = 0x60;
        stw_be(frame + 18, size - 54);
        frame[20] = protocol;
    } else {
        frame[14] = 0x45;
        stw_be(frame + 16, size - 14);
        frame[23] = protocol;
    }
    if (protocol == 6) {
        frame[(v6 ? 54 : 34) + 12] = 0x50;
    }
    for (size_t i = v6 ? 74 : 54; i < size; i++) {
        frame[i] = i;
    }
}

static void check_segments(bool v6, uint8_t type)
{
    enum { SIZE = 5000 };
    uint8_t frame[SIZE];
    const NetOffload offload = { .flags = NET_OFFLOAD_NEEDS_CSUM, .gso_type = type,
                                 .gso_size = 1000 };
    unsigned header = v6 ? 74 : 54, total = 0;
    g_autoptr(GPtrArray) frames = NULL;

    make_packet(frame, SIZE, v6, 6);
    frames = finish(frame, SIZE, &offload);
    g_assert_cmpuint(frames->len, ==, 5);
    for (guint i = 0; i < frames->len; i++) {
        gsize len;
        const uint8_t *piece = g_bytes_get_data(g_ptr_array_index(frames, i), &len);
        NetLayout layout;
        uint32_t sum;

        g_assert_true(net_layout(piece, len, &layout));
        g_assert_cmpuint(layout.end, ==, len);
        sum = net_sum_pseudo(piece + layout.l3 + (v6 ? 8 : 12), v6 ? 32 : 8, 6, len - layout.l4);
        g_assert_cmphex(net_sum_finish(net_sum(sum, piece + layout.l4, len - layout.l4)), ==, 0);
        g_assert_cmpuint(ldl_be(piece + layout.l4 + 4), ==, total);
        g_assert_cmpmem(piece + header, len - header, frame + header + total, len - header);
        total += len - header;
    }
    g_assert_cmpuint(total, ==, SIZE - header);
}

static void test_segments(void)
{
    check_segments(false, NET_GSO_TCPV4);
    check_segments(true, NET_GSO_TCPV6);
}

/* Nothing that a guest writes into headers and offloads does more than lose its frame. */
static void test_hostile_offloads(void)
{
    uint8_t frame[2000];

    for (unsigned round = 0; round < 20000; round++) {
        size_t size = g_test_rand_int_range(1, sizeof(frame));
        const NetOffload offload = {
            .flags = g_test_rand_int_range(0, 4),
            .gso_type = (uint8_t)(g_test_rand_int_range(0, 6) | (round & 1 ? NET_GSO_ECN : 0)),
            .gso_size = (uint16_t)g_test_rand_int_range(0, round & 2 ? 65536 : 200),
            .csum_start = (uint16_t)g_test_rand_int_range(0, round & 4 ? 65536 : 100),
            .csum_offset = (uint16_t)g_test_rand_int_range(0, round & 4 ? 65536 : 100),
        };
        g_autoptr(GPtrArray) frames = NULL;

        make_packet(frame, sizeof(frame), round & 8, round & 16 ? 17 : 6);
        for (unsigned i = 0; i < 3; i++) {
            frame[g_test_rand_int_range(12, 80)] = g_test_rand_int();
        }
        frames = finish(frame, size, &offload);
        g_assert_cmpuint(frames->len, <=, sizeof(frame));
    }
}

static void test_peer_finishes(void)
{
    End device, backend;
    uint8_t frame[100] = { 0 };
    const struct iovec iov = { frame, sizeof(frame) };
    const NetPacket packet = {
        .iov = &iov, .n = 1, .size = sizeof(frame),
        .offload = { .flags = NET_OFFLOAD_NEEDS_CSUM, .csum_start = 14, .csum_offset = 2 },
    };
    gsize len;
    const uint8_t *got;

    open_pair(&device, &backend);
    net_send(device.nc, &packet);
    got = g_bytes_get_data(g_ptr_array_index(backend.got, 0), &len);
    g_assert_cmphex(ldw_be(got + 16), ==, 0xffff);
    backend.features = NET_FEATURE_CSUM;
    net_send(device.nc, &packet);
    got = g_bytes_get_data(g_ptr_array_index(backend.got, 1), &len);
    g_assert_cmphex(ldw_be(got + 16), ==, 0);
    end_close(&backend);
    end_close(&device);
}

/* ---- Frames on streams ---- */

static void keep_text(const uint8_t *data, size_t size, const NetOffload *offload, void *opaque)
{
    g_string_append_len(opaque, (const char *)data, size);
    g_string_append_printf(opaque, "(%u)", offload->gso_size);
}

static void test_frames(void)
{
    static const uint8_t plain[] = { 0, 0, 0, 3, 'a', 'b', 'c', 0, 0, 0, 0, 0, 0, 0, 1, 'd' };
    static const uint8_t vnet[] = { 0, 0, 0, 11, 0, 0, 0, 10, 0, 1, 0, 0, 7, 0, 0, 0, 0, 0, 'e' };
    static const uint8_t bad[][8] = { { 0xff, 0xff, 0xff, 0xff }, { 0, 1, 0, 65 },
                                      { 0, 0, 0, 20, 0, 0, 0, 9 },
                                      { 0, 0, 0, 5, 0, 0, 0, 10 } };
    g_autoptr(GString) text = g_string_new(NULL);
    NetFrameReader reader;

    for (size_t step = 1; step <= sizeof(plain); step++) {
        net_frame_reader_init(&reader, false);
        for (size_t at = 0; at < sizeof(plain); at += step) {
            g_assert_true(net_frame_feed(&reader, plain + at, MIN(step, sizeof(plain) - at),
                                         keep_text, text));
        }
        g_assert_cmpstr(text->str, ==, "abc(0)d(0)");
        g_string_truncate(text, 0);
        net_frame_reader_clear(&reader);
    }
    net_frame_reader_init(&reader, true);
    g_assert_true(net_frame_feed(&reader, vnet, sizeof(vnet), keep_text, text));
    g_assert_cmpstr(text->str, ==, "e(7)");
    for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
        net_frame_reader_clear(&reader);
        net_frame_reader_init(&reader, i >= 2);
        g_assert_false(net_frame_feed(&reader, bad[i], i >= 2 ? 8 : 4, keep_text, text));
    }
    net_frame_reader_clear(&reader);
}

/* ---- Sockets back to back ---- */

typedef struct Count {
    End *end;
    guint wanted;
} Count;

static bool has_frames(void *opaque)
{
    const Count *count = opaque;

    return count->end->got->len >= count->wanted;
}

static bool is_connected(void *opaque)
{
    NetClient *nc = opaque;

    return nc->info && strncmp(nc->info, "listening", 9) != 0 && *nc->info &&
           strncmp(nc->info, "connecting", 10) != 0;
}

/* Frames of many lengths each way between two backends, made by these options in this order. */
static void check_back_to_back(const char *first, const char *second, bool wait)
{
    End ends[2];
    const char *options[] = { first, second };
    g_autoptr(GError) error = NULL;

    for (unsigned i = 0; i < 2; i++) {
        end_open(&ends[i], true, i ? "devb" : "deva");
        netdev_option(options[i], &error);
        g_assert_no_error(error);
        net_client_connect(ends[i].nc, net_client_find(i ? "b" : "a"));
    }
    for (unsigned i = 0; wait && i < 2; i++) {
        turn_until(is_connected, net_client_find(i ? "b" : "a"));
    }
    for (unsigned n = 0; n < 50; n++) {
        unsigned from = n & 1;
        size_t size = 60 + n * 113;
        g_autofree uint8_t *frame = g_malloc(size);
        Count count = { &ends[!from], n / 2 + 1 };

        memset(frame, (int)n, size);
        net_send_buf(ends[from].nc, frame, size);
        turn_until(has_frames, &count);
        assert_got(&ends[!from], n / 2, frame, size);
    }
    g_assert_true(netdev_del("a", NULL));
    g_assert_true(netdev_del("b", NULL));
    end_close(&ends[1]);
    end_close(&ends[0]);
}

static void test_sockets(void)
{
    g_autofree char *dir = g_dir_make_tmp("vireo-net-XXXXXX", NULL);
    g_autofree char *server = g_strdup_printf("stream,id=a,server=on,addr.type=unix,"
                                              "addr.path=%s/s", dir);
    g_autofree char *client = g_strdup_printf("stream,id=b,addr.type=unix,addr.path=%s/s", dir);
    g_autofree char *one = g_strdup_printf("dgram,id=a,local.type=unix,local.path=%s/1,"
                                           "remote.type=unix,remote.path=%s/2", dir, dir);
    g_autofree char *two = g_strdup_printf("dgram,id=b,local.type=unix,local.path=%s/2,"
                                           "remote.type=unix,remote.path=%s/1", dir, dir);

    check_back_to_back(server, client, true);
    check_back_to_back(one, two, false);
    g_assert_cmpint(g_rmdir(dir), ==, 0); /* nothing is left */
}

/* ---- Options ---- */

static void test_options(void)
{
    static const struct {
        bool (*fn)(const char *text, GError **error);
        const char *text, *says;
    } bad[] = {
        { netdev_option, "user", "'id' is missing" },
        { netdev_option, "usr,id=a", "did you mean 'user'" },
        { netdev_option, "nic,id=a", "netdev backend type" },
        { netdev_option, "user,id=1a", "identifier" },
        { netdev_option, "user,id=a,foo=1", "'foo' is unexpected" },
        { netdev_option, "user,id=a,ipv4=off,ipv6=off", "IPv4 and IPv6 disabled" },
        { netdev_option, "user,id=a,host=9.9.9.9", "Host doesn't belong to network" },
        { netdev_option, "user,id=a,dns=10.0.2.2", "DNS must be different from host" },
        { netdev_option, "user,id=a,net=10.0.2.0/3", "range 4-32" },
        { netdev_option, "user,id=a,ipv6-net=fec0::/127", "between 0 and 126" },
        { netdev_option, "user,id=a,smb=/tmp", "smb is not supported" },
        { netdev_option, "socket,id=a", "exactly one of" },
        { netdev_option, "socket,id=a,listen=:1,connect=:2", "exactly one of" },
        { netdev_option, "socket,id=a,mcast=10.0.0.1:99", "not a multicast address" },
        { netdev_option, "socket,id=a,udp=127.0.0.1:99", "localaddr" },
        { netdev_option, "dgram,id=a", "remote=" },
        { netdev_option, "tap,id=a,fd=3,ifname=x", "invalid with" },
        { netdev_option, "tap,id=a,vhost=off,vhostfd=3", "not valid without vhost" },
        { netdev_option, "hubport,id=a,hubid=1,netdev=z", "'z' not found" },
        { netdev_option, "vhost-user,id=a", "'chardev' is missing" },
        { netdev_option, "vhost-user,id=a,chardev=q", "'q'" },
        { netdev_option, "vhost-user,id=a,chardev=q,queues=0", "1 to 256" },
        { nic_option, "model=e1000", "'type' is missing" },
        { nic_option, "user,mac=1:2:3", "not a MAC address" },
        { nic_option, "user,mac=01:00:00:00:00:01", "multicast MAC" },
        { net_option, "nic,netdev=q", "'q' not found" },
        { net_option, "nic,vectors=many", "many" },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_autoptr(GError) error = NULL;

        g_assert_false(bad[i].fn(bad[i].text, &error));
        if (!strstr(error->message, bad[i].says)) {
            g_error("%s: %s", bad[i].text, error->message);
        }
    }
    g_assert_true(nic_option("none", NULL));
    g_assert_true(net_option("none", NULL));
    g_assert_null(net_client_find("a"));
}

static void test_forward_rules(void)
{
    static const char *const bad[] = { "", "tcp", "tcp:", "tcp::", "tcp::22", "foo::1-:2",
                                       "tcp::70000-:2", "tcp::1-:0", "tcp::1-x:2", "tcp:x:1-:2",
                                       "tcp::1-:", "tcp::-:22", "tcp::1-2" };
    NetHostForward forward;
    NetGuestForward guest;

    g_assert_true(net_parse_host_forward("udp:127.0.0.1:53-10.0.2.15:54", &forward, NULL));
    g_assert_true(forward.udp);
    g_assert_cmphex(forward.host.s_addr, ==, htonl(INADDR_LOOPBACK));
    g_assert_cmpuint(forward.host_port, ==, 53);
    g_assert_cmpuint(forward.guest_port, ==, 54);
    g_assert_true(net_parse_host_forward("::2222-:22", &forward, NULL));
    g_assert_false(forward.udp);
    for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_autoptr(GError) error = NULL;

        g_assert_false(net_parse_host_forward(bad[i], &forward, &error));
        g_assert_nonnull(strstr(error->message, "Invalid host forwarding rule"));
    }
    g_assert_true(net_parse_guest_forward("tcp:10.0.2.100:80-cmd:cat -u", &guest, NULL));
    g_assert_cmpstr(guest.command, ==, "cat -u");
    net_guest_forward_clear(&guest);
    g_assert_false(net_parse_guest_forward("udp:10.0.2.100:80-x", &guest, NULL));
    g_assert_false(net_parse_guest_forward("tcp:10.0.2.100:80-", &guest, NULL));
}

/* ---- Filters ---- */

static void add_filter(const char *text, const char *id)
{
    g_auto(GStrv) parts = g_strsplit(text, ",", -1);
    json_object *json = json_object_new_object();
    g_autoptr(GError) error = NULL;

    json_object_object_add(json, "id", json_object_new_string(id));
    for (unsigned i = 0; parts[i]; i++) {
        g_auto(GStrv) pair = g_strsplit(parts[i], "=", 2);

        json_object_object_add(json, pair[0], json_object_new_string(pair[1]));
    }
    user_object_create(json, true, &error);
    g_assert_no_error(error);
    json_object_put(json);
}

static void test_dump(void)
{
    g_autofree char *path = NULL;
    g_autofree char *text = NULL;
    g_autofree char *file = NULL;
    End device, backend;
    gsize len;

    close(g_file_open_tmp("vireo-dump-XXXXXX", &path, NULL));
    open_pair(&device, &backend);
    text = g_strdup_printf("qom-type=filter-dump,netdev=back,maxlen=4,queue=rx,file=%s", path);
    add_filter(text, "dump");
    net_send_buf(device.nc, "to the backend", 14);
    net_send_buf(backend.nc, "from it", 7);
    g_assert_true(object_property_set_str(object_resolve("/objects/dump", NULL), "status", "off",
                                          NULL));
    net_send_buf(device.nc, "again", 5);
    g_assert_true(user_object_delete("dump", NULL));
    g_assert_true(g_file_get_contents(path, &file, &len, NULL));
    g_assert_cmpuint(len, ==, 24 + 16 + 4);
    g_assert_cmphex(ldl_le(file), ==, 0xa1b2c3d4);
    g_assert_cmpuint(ldl_le(file + 24 + 8), ==, 4);
    g_assert_cmpuint(ldl_le(file + 24 + 12), ==, 14);
    g_assert_cmpmem(file + 40, 4, "to t", 4);
    g_assert_cmpuint(backend.got->len, ==, 2);
    g_assert_cmpuint(device.got->len, ==, 1);
    g_unlink(path);
    end_close(&backend);
    end_close(&device);
}

static void test_buffer(void)
{
    End device, backend;

    open_pair(&device, &backend);
    add_filter("qom-type=filter-buffer,netdev=back,interval=1000000", "buffer");
    net_send_buf(device.nc, "kept", 4);
    net_send_buf(backend.nc, "kept too", 8);
    g_assert_cmpuint(backend.got->len + device.got->len, ==, 0);
    g_assert_true(object_property_set_str(object_resolve("/objects/buffer", NULL), "status", "off",
                                          NULL));
    assert_got(&backend, 0, "kept", 4);
    assert_got(&device, 0, "kept too", 8);
    /* Its backend goes before it does. */
    g_assert_true(object_property_set_str(object_resolve("/objects/buffer", NULL), "status", "on",
                                          NULL));
    net_send_buf(device.nc, "lost", 4);
    end_close(&backend);
    g_assert_true(user_object_delete("buffer", NULL));
    end_close(&device);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    vm_lock();
    g_test_add_func("/net/queue", test_queue);
    g_test_add_func("/net/reentry", test_reentry);
    g_test_add_func("/net/link", test_link);
    g_test_add_func("/net/hub", test_hub);
    g_test_add_func("/net/hub-circle", test_hub_circle);
    g_test_add_func("/net/segments", test_segments);
    g_test_add_func("/net/hostile-offloads", test_hostile_offloads);
    g_test_add_func("/net/peer-finishes", test_peer_finishes);
    g_test_add_func("/net/frames", test_frames);
    g_test_add_func("/net/sockets", test_sockets);
    g_test_add_func("/net/options", test_options);
    g_test_add_func("/net/forward-rules", test_forward_rules);
    g_test_add_func("/net/dump", test_dump);
    g_test_add_func("/net/buffer", test_buffer);
    return g_test_run();
}
