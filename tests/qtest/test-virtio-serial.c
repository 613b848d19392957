/* SPDX-License-Identifier: Apache-2.0 */
/* virtio-serial: control messages, data both ways, slow and absent peers, hot-plug of ports. */
#include <linux/virtio_console.h>

#include "tests/qtest/peer.h"
#include "tests/qtest/snapshot.h"
#include "tests/qtest/virtio.h"

#define MAX_PORTS 3
#define QUEUES (2 * MAX_PORTS + 2)
#define CONTROL_IN 2
#define CONTROL_OUT 3
#define PORT1_IN 4
#define PORT1_OUT 5
#define EMERG_WRITE (V_CONFIG + 8)
#define MESSAGES (V_DATA + 0x10000) /* 64 bytes for each place of CONTROL_IN */
#define MULTIPORT V_BIT(VIRTIO_CONSOLE_F_MULTIPORT)

typedef struct Driver {
    QTest *qts;
    VQueue queues[QUEUES];
    unsigned heard; /* messages */
} Driver;

/* A console that goes to `console`, and a channel called "chan" to the peer, if there is one. */
static QTest *start(const Peer *peer, const char *console)
{
    g_autofree char *chan = peer ? g_strdup_printf("socket,path=%s,reconnect=1", peer->path)
                                 : g_strdup("null");

    return qtest_start("-M pc -nodefaults -device virtio-serial-pci,id=vs,addr=2,max_ports=%d,"
                       "ioeventfd=off -chardev %s,id=con -chardev %s,id=chan "
                       "-device virtconsole,chardev=con,id=con0 "
                       "-device virtserialport,chardev=chan,id=p1,name=chan", MAX_PORTS, console,
                       chan);
}

static void give_message_buffer(Driver *d)
{
    VQueue *q = &d->queues[CONTROL_IN];
    unsigned i = q->next % V_SIZE;

    v_desc(d->qts, q, i, MESSAGES + 64 * i, 64, VRING_DESC_F_WRITE, 0);
    v_offer(d->qts, q, i);
    v_kick(d->qts, CONTROL_IN);
}

static void send_control(Driver *d, uint32_t nr, uint16_t event, uint16_t value)
{
    const struct virtio_console_control message = {
        GUINT32_TO_LE(nr), GUINT16_TO_LE(event), GUINT16_TO_LE(value),
    };
    VQueue *q = &d->queues[CONTROL_OUT];

    qtest_memwrite(d->qts, V_DATA, &message, sizeof(message));
    v_desc(d->qts, q, 0, V_DATA, sizeof(message), 0, 0);
    v_offer(d->qts, q, 0);
    v_kick(d->qts, CONTROL_OUT);
    v_wait(d->qts, q);
}

/* The next message; text: what follows it, or NULL. */
static void expect_control(Driver *d, uint32_t nr, uint16_t event, uint16_t value, const char *text)
{
    const uint64_t at = MESSAGES + 64 * (d->heard++ % V_SIZE);
    uint32_t len = v_wait(d->qts, &d->queues[CONTROL_IN]);
    char got[64] = "";

    g_assert_cmpuint(qtest_readl(d->qts, at), ==, nr);
    g_assert_cmpuint(qtest_readw(d->qts, at + 4), ==, event);
    g_assert_cmpuint(qtest_readw(d->qts, at + 6), ==, value);
    g_assert_cmpuint(len, ==, 8 + (text ? strlen(text) + 1 : 0));
    qtest_memread(d->qts, at + 8, got, len - 8);
    g_assert_cmpstr(got, ==, text ? text : "");
    give_message_buffer(d);
}

static void driver_setup(Driver *d, QTest *qts, uint64_t features)
{
    *d = (Driver){ .qts = qts };
    v_map(qts);
    v_negotiate(qts, features);
    for (unsigned i = 0; i < QUEUES; i++) {
        d->queues[i] = v_queue(qts, i);
    }
    v_driver_ok(qts);
    for (unsigned i = 0; i < V_SIZE && (features & MULTIPORT); i++) {
        give_message_buffer(d);
    }
}

/* Up to an open channel. */
static void handshake(Driver *d, QTest *qts)
{
    driver_setup(d, qts, MULTIPORT);
    send_control(d, VIRTIO_CONSOLE_BAD_ID, VIRTIO_CONSOLE_DEVICE_READY, 1);
    expect_control(d, 0, VIRTIO_CONSOLE_PORT_ADD, 1, NULL);
    expect_control(d, 1, VIRTIO_CONSOLE_PORT_ADD, 1, NULL);
    send_control(d, 0, VIRTIO_CONSOLE_PORT_READY, 1);
    expect_control(d, 0, VIRTIO_CONSOLE_CONSOLE_PORT, 1, NULL);
    expect_control(d, 0, VIRTIO_CONSOLE_PORT_OPEN, 1, NULL);
    send_control(d, 1, VIRTIO_CONSOLE_PORT_READY, 1);
    expect_control(d, 1, VIRTIO_CONSOLE_PORT_NAME, 1, "chan");
    expect_control(d, 1, VIRTIO_CONSOLE_PORT_OPEN, 1, NULL);
    send_control(d, 1, VIRTIO_CONSOLE_PORT_OPEN, 1);
}

static bool frontend_open(QTest *qts, const char *label)
{
    json_object *list = qtest_qmp(qts, "{'execute': 'query-chardev'}"), *value;
    bool open = false;

    for (size_t i = 0; i < json_object_array_length(list); i++) {
        json_object *item = json_object_array_get_idx(list, i);

        json_object_object_get_ex(item, "label", &value);
        if (!strcmp(json_object_get_string(value), label)) {
            json_object_object_get_ex(item, "frontend-open", &value);
            open = json_object_get_boolean(value);
        }
    }
    json_object_put(list);
    return open;
}

static void expect_port_event(QTest *qts, const char *id, bool open)
{
    json_object *data = qtest_qmp_event_data(qts, "VSERPORT_CHANGE"), *value;

    g_assert_true(json_object_object_get_ex(data, "id", &value));
    g_assert_cmpstr(json_object_get_string(value), ==, id);
    g_assert_true(json_object_object_get_ex(data, "open", &value));
    g_assert_true(json_object_get_boolean(value) == open);
    json_object_put(data);
}

/* One buffer of the guest's through a port. */
static void send_data(Driver *d, unsigned queue, uint64_t addr, uint32_t len)
{
    VQueue *q = &d->queues[queue];

    v_desc(d->qts, q, 0, addr, len, 0, 0);
    v_offer(d->qts, q, 0);
    v_kick(d->qts, queue);
    v_wait(d->qts, q);
}

static void test_identity(void)
{
    g_autoptr(QTest) qts = start(NULL, "null");

    g_assert_cmphex(qtest_pci_read(qts, 0, V_DEVFN, 0, 4), ==, 0x10031af4);
    g_assert_cmphex(qtest_pci_read(qts, 0, V_DEVFN, 0x0a, 2), ==, 0x0780);
    v_map(qts);
    g_assert_cmphex(v_offered(qts) & 0xffffff, ==,
                    MULTIPORT | V_BIT(VIRTIO_CONSOLE_F_EMERG_WRITE));
    g_assert_cmpuint(qtest_readw(qts, V_COMMON + VIRTIO_PCI_COMMON_NUMQ), ==, QUEUES);
    g_assert_cmpuint(qtest_readl(qts, V_CONFIG), ==, 0);
    g_assert_cmpuint(qtest_readl(qts, V_CONFIG + 4), ==, MAX_PORTS);
    g_assert_cmphex(qtest_readl(qts, V_CONFIG + 12), ==, UINT32_MAX);
}

static void test_open_and_close(void)
{
    Peer *peer = peer_new();
    g_autoptr(QTest) qts = start(peer, "null");
    Driver d;

    peer_accept(peer);
    g_assert_false(frontend_open(qts, "chan"));
    g_assert_true(frontend_open(qts, "con"));
    handshake(&d, qts);
    expect_port_event(qts, "p1", true);
    g_assert_true(frontend_open(qts, "chan"));
    send_control(&d, 1, VIRTIO_CONSOLE_PORT_OPEN, 0);
    expect_port_event(qts, "p1", false);
    g_assert_false(frontend_open(qts, "chan"));
    send_control(&d, 1, VIRTIO_CONSOLE_PORT_OPEN, 1);
    expect_port_event(qts, "p1", true);
    /*
     * The peer goes, which is noticed though the guest reads nothing; what the guest writes then is
     * lost; it comes back.
     */
    close(peer->fd);
    expect_control(&d, 1, VIRTIO_CONSOLE_PORT_OPEN, 0, NULL);
    send_data(&d, PORT1_OUT, V_DATA, 4096);
    peer_accept(peer);
    expect_control(&d, 1, VIRTIO_CONSOLE_PORT_OPEN, 1, NULL);
    qtest_memwrite(qts, V_DATA, "again", 5);
    send_data(&d, PORT1_OUT, V_DATA, 5);
    peer_expect(peer, "again", 5);
    v_set_status(qts, 0);
    expect_port_event(qts, "p1", false);
    peer_free(peer);
}

static void test_data(void)
{
    Peer *peer = peer_new();
    g_autoptr(QTest) qts = start(peer, "null");
    VQueue *in;
    Driver d;
    char got[16];

    peer_accept(peer);
    handshake(&d, qts);
    /* A chain of three pieces is one stream. */
    qtest_memwrite(qts, V_DATA, "from the guest", 14);
    v_desc(qts, &d.queues[PORT1_OUT], 0, V_DATA, 4, VRING_DESC_F_NEXT, 1);
    v_desc(qts, &d.queues[PORT1_OUT], 1, V_DATA + 4, 1, VRING_DESC_F_NEXT, 2);
    v_desc(qts, &d.queues[PORT1_OUT], 2, V_DATA + 5, 9, 0, 0);
    v_offer(qts, &d.queues[PORT1_OUT], 0);
    v_kick(qts, PORT1_OUT);
    v_wait(qts, &d.queues[PORT1_OUT]);
    peer_expect(peer, "from the guest", 14);
    /* What comes waits until there is a buffer, and fills one after the other. */
    peer_send(peer, "from the host", 13);
    in = &d.queues[PORT1_IN];
    for (unsigned i = 0; i < 3; i++) {
        v_desc(qts, in, i, V_DATA + 16 * i, 5, VRING_DESC_F_WRITE, 0);
        v_offer(qts, in, i);
        v_kick(qts, PORT1_IN);
        g_assert_cmpuint(v_wait(qts, in), ==, i == 2 ? 3 : 5);
        qtest_memread(qts, V_DATA + 16 * i, got + 5 * i, 5);
    }
    g_assert_cmpmem(got, 13, "from the host", 13);
    /* A guest that has the port closed gets nothing. */
    send_control(&d, 1, VIRTIO_CONSOLE_PORT_OPEN, 0);
    v_desc(qts, in, 0, V_DATA, 5, VRING_DESC_F_WRITE, 0);
    v_offer(qts, in, 0);
    v_kick(qts, PORT1_IN);
    peer_send(peer, "later", 5);
    g_assert_cmpuint(qtest_readw(qts, in->used + 2), ==, 3);
    send_control(&d, 1, VIRTIO_CONSOLE_PORT_OPEN, 1);
    g_assert_cmpuint(v_wait(qts, in), ==, 5);
    peer_free(peer);
}

/* A peer that does not read makes the guest wait, also over a stop; no byte is lost or doubled. */
static void test_slow_peer(void)
{
    enum { SIZE = 512 << 10, BUFFERS = 4 };
    Peer *peer = peer_new();
    g_autoptr(QTest) qts = start(peer, "null");
    g_autofree uint8_t *data = g_malloc(SIZE);
    g_autofree char *tree = NULL;
    VQueue *out;
    Driver d;

    for (unsigned i = 0; i < SIZE; i++) {
        data[i] = i * 7 + (i >> 8);
    }
    peer_accept(peer);
    handshake(&d, qts);
    qtest_memwrite(qts, V_DATA + 0x100000, data, SIZE);
    out = &d.queues[PORT1_OUT];
    for (unsigned i = 0; i < BUFFERS; i++) {
        v_desc(qts, out, i, V_DATA + 0x100000, SIZE, 0, 0);
        v_offer(qts, out, i);
    }
    v_kick(qts, PORT1_OUT);
    for (unsigned i = 0; i < 3; i++) {
        json_object_put(qtest_qmp(qts, "{'execute': 'stop'}"));
        json_object_put(qtest_qmp(qts, "{'execute': 'cont'}"));
        peer_expect(peer, data + 1000 * i, 1000);
    }
    g_assert_cmpuint(qtest_readw(qts, out->used + 2), <, BUFFERS);
    tree = qtest_hmp(qts, "info qtree");
    g_assert_nonnull(strstr(tree, "port 1, guest on, host on, throttle "));
    peer_expect(peer, data + 3000, SIZE - 3000);
    for (unsigned i = 1; i < BUFFERS; i++) {
        peer_expect(peer, data, SIZE);
    }
    for (unsigned i = 0; i < BUFFERS; i++) {
        v_wait(qts, out);
    }
    peer_free(peer);
}

/* A driver that knows only of port 0, and one that has not even begun. */
static void test_console(void)
{
    Peer *peer = peer_new();
    g_autofree char *console = g_strdup_printf("socket,path=%s", peer->path);
    g_autoptr(QTest) qts = start(NULL, console);
    Driver d;

    peer_accept(peer);
    v_map(qts);
    qtest_writeb(qts, EMERG_WRITE, '!');
    peer_expect(peer, "!", 1);
    qtest_writel(qts, EMERG_WRITE, '?');
    peer_expect(peer, "?", 1);
    qtest_writel(qts, V_CONFIG, 'x');
    driver_setup(&d, qts, 0);
    expect_port_event(qts, "con0", true);
    qtest_memwrite(qts, V_DATA, "hvc0", 4);
    send_data(&d, 1, V_DATA, 4);
    peer_expect(peer, "hvc0", 4);
    v_desc(qts, &d.queues[0], 0, V_DATA, 64, VRING_DESC_F_WRITE, 0);
    v_offer(qts, &d.queues[0], 0);
    v_kick(qts, 0);
    peer_send(peer, "key", 3);
    g_assert_cmpuint(v_wait(qts, &d.queues[0]), ==, 3);
    peer_free(peer);
}

/* A console's kernel is not kept waiting for ever. */
static void test_stuck_console(void)
{
    enum { SIZE = 2 << 20 };
    Peer *peer = peer_new();
    g_autofree char *console = g_strdup_printf("socket,path=%s", peer->path);
    g_autoptr(QTest) qts = start(NULL, console);
    Driver d;

    peer_accept(peer);
    driver_setup(&d, qts, 0);
    send_data(&d, 1, V_DATA, SIZE); /* the peer reads nothing, and the buffer comes back */
    peer_free(peer);
}

static char *add_error(QTest *qts, const char *arguments)
{
    return qtest_qmp_error(qts, "{'execute': 'device_add', 'arguments': {%s}}", arguments);
}

static void test_hotplug(void)
{
    static const struct {
        const char *arguments, *error;
    } cases[] = {
        { "'driver': 'virtserialport', 'name': 'chan'",
          "virtio-serial-bus: A port already exists by name chan" },
        { "'driver': 'virtserialport', 'nr': 1",
          "virtio-serial-bus: A port already exists at id 1" },
        { "'driver': 'virtserialport', 'nr': 3",
          "virtio-serial-bus: Out-of-range port id specified, max. allowed: 2" },
        { "'driver': 'virtserialport', 'nr': 4294967294",
          "virtio-serial-bus: Out-of-range port id specified, max. allowed: 2" },
        { "'driver': 'virtserialport', 'nr': 0",
          "virtio-serial-bus: A port already exists at id 0" },
    };
    g_autoptr(QTest) qts = start(NULL, "null");
    g_autofree char *full = NULL, *reserved = NULL;
    Driver d;

    for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *error = add_error(qts, cases[i].arguments);

        g_assert_cmpstr(error, ==, cases[i].error);
    }
    handshake(&d, qts);
    for (unsigned i = 0; i < 3; i++) {
        json_object_put(qtest_qmp(qts, "{'execute': 'device_add', 'arguments': {'driver': "
                                  "'virtserialport', 'id': 'p2', 'name': 'more'}}"));
        expect_control(&d, 2, VIRTIO_CONSOLE_PORT_ADD, 1, NULL);
        send_control(&d, 2, VIRTIO_CONSOLE_PORT_READY, 1);
        expect_control(&d, 2, VIRTIO_CONSOLE_PORT_NAME, 1, "more");
        if (!full) {
            full = add_error(qts, "'driver': 'virtserialport'");
        }
        qtest_device_del(qts, "p2");
        qtest_expect_deleted(qts, "p2");
        expect_control(&d, 2, VIRTIO_CONSOLE_PORT_REMOVE, 1, NULL);
    }
    g_assert_cmpstr(full, ==, "virtio-serial-bus: Out-of-range port id specified, max. allowed: 2");
    /* The console, with a driver at work. */
    qtest_device_del(qts, "con0");
    qtest_expect_deleted(qts, "con0");
    expect_control(&d, 0, VIRTIO_CONSOLE_PORT_REMOVE, 1, NULL);
    reserved = add_error(qts, "'driver': 'virtserialport', 'nr': 0");
    g_assert_nonnull(strstr(reserved, "reserved for virtconsole devices"));
}

static void test_refused(void)
{
    static const struct {
        const char *options, *error;
    } cases[] = {
        { "-device virtio-serial-pci,max_ports=0", "Maximum number of serial ports not specified" },
        { "-device virtio-serial-pci,max_ports=512", "maximum ports supported: 511" },
        { "-device virtconsole", "virtio-serial-bus" },
        { "-device virtio-serial-pci -chardev null,id=c -device virtconsole,chardev=c "
          "-device virtserialport,chardev=c", "in use" },
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *text = qtest_start_refused("-M pc -nodefaults %s", cases[i].options);

        if (!strstr(text, cases[i].error)) {
            g_error("%s: %s", cases[i].options, text);
        }
    }
}

/* Messages that make no sense, too short, to ports that do not exist, and without end. */
static void test_wild_driver(void)
{
    g_autoptr(QTest) qts = start(NULL, "null");
    Driver d;

    handshake(&d, qts);
    for (uint32_t nr = 0; nr < 70000; nr = nr * 3 + 1) {
        for (uint16_t event = 0; event < 10; event++) {
            if (event != VIRTIO_CONSOLE_DEVICE_READY) {
                send_control(&d, nr + MAX_PORTS, event, (uint16_t)nr);
            }
        }
    }
    for (uint32_t len = 1; len < 8; len++) {
        send_data(&d, CONTROL_OUT, V_DATA, len);
    }
    send_data(&d, 7, V_DATA, 4096); /* port 2 does not exist */
    g_assert_cmphex(v_status(qts) & VIRTIO_CONFIG_S_NEEDS_RESET, ==, 0);
    /* No buffers for the answers. */
    driver_setup(&d, qts, MULTIPORT);
    for (unsigned i = 0; i < 5000; i++) {
        send_control(&d, 1, i & 1 ? VIRTIO_CONSOLE_PORT_READY : VIRTIO_CONSOLE_DEVICE_READY, 1);
    }
    g_assert_cmphex(v_status(qts) & VIRTIO_CONFIG_S_NEEDS_RESET, ==, 0);
    handshake(&d, qts);
}

static void test_unwritable_buffer(void)
{
    Peer *peer = peer_new();
    g_autoptr(QTest) qts = start(peer, "null");
    Driver d;

    peer_accept(peer);
    handshake(&d, qts);
    v_desc(qts, &d.queues[PORT1_IN], 0, V_DATA, 64, 0, 0);
    v_offer(qts, &d.queues[PORT1_IN], 0);
    v_kick(qts, PORT1_IN);
    peer_send(peer, "x", 1);
    v_wait_broken(qts);
    peer_free(peer);
}

/* What comes until the guest's one buffer is used, at most max bytes; its length. */
static size_t receive_rest(QTest *qts, const Peer *peer, VQueue *out, uint8_t *data, size_t max)
{
    bool used = false;
    size_t n = 0;

    for (int i = 0; i < 10000 && !used; i++) {
        ssize_t len;

        used = qtest_readw(qts, out->used + 2) != out->seen;
        while ((len = recv(peer->fd, data + n, max - n, MSG_DONTWAIT)) > 0) {
            n += len;
        }
    }
    g_assert_true(used);
    return n;
}

/*
 * An open port, and messages for which the guest has no buffer yet. What was on its way to a slow
 * peer goes on at the byte where it stood.
 */
static void test_saved_state(void)
{
    enum { SIZE = 1 << 20 };
    Peer *peer = peer_new();
    g_autoptr(QTest) qts = start(peer, "null");
    g_autofree uint8_t *data = g_malloc(SIZE);
    g_autofree uint8_t *got = g_malloc(SIZE);
    g_autofree char *path = NULL;
    VQueue *out;
    Driver d;
    size_t n;

    for (unsigned i = 0; i < SIZE; i++) {
        data[i] = i * 7 + (i >> 8);
    }
    path = snapshot_make_node(qts);
    g_unlink(path);
    peer_accept(peer);
    handshake(&d, qts);
    expect_port_event(qts, "p1", true);
    out = &d.queues[PORT1_OUT];
    qtest_memwrite(qts, V_DATA + 0x100000, data, SIZE);
    v_desc(qts, out, 0, V_DATA + 0x100000, SIZE, 0, 0);
    v_offer(qts, out, 0);
    v_kick(qts, PORT1_OUT);
    for (unsigned i = 0; i < V_SIZE; i++) {
        send_control(&d, 1, VIRTIO_CONSOLE_PORT_READY, 1); /* two messages each */
    }
    snapshot_run(qts, "snapshot-save");
    peer_expect(peer, data, SIZE);
    v_wait(qts, out);
    v_set_status(qts, 0);
    expect_port_event(qts, "p1", false);
    snapshot_run(qts, "snapshot-load");
    expect_port_event(qts, "p1", true);
    g_assert_true(frontend_open(qts, "chan"));
    for (unsigned i = 0; i < V_SIZE; i++) {
        expect_control(&d, 1, VIRTIO_CONSOLE_PORT_NAME, 1, "chan");
        expect_control(&d, 1, VIRTIO_CONSOLE_PORT_OPEN, 1, NULL);
    }
    out->seen = 0;
    n = receive_rest(qts, peer, out, got, SIZE);
    g_assert_cmpuint(n, >, 0);
    g_assert_cmpuint(n, <, SIZE); /* the beginning was sent before */
    g_assert_cmpmem(got, n, data + SIZE - n, n);
    peer_free(peer);
}

int main(int argc, char *argv[])
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/virtio-serial/identity", test_identity);
    g_test_add_func("/virtio-serial/open-and-close", test_open_and_close);
    g_test_add_func("/virtio-serial/data", test_data);
    g_test_add_func("/virtio-serial/slow-peer", test_slow_peer);
    g_test_add_func("/virtio-serial/console", test_console);
    g_test_add_func("/virtio-serial/stuck-console", test_stuck_console);
    g_test_add_func("/virtio-serial/hotplug", test_hotplug);
    g_test_add_func("/virtio-serial/refused", test_refused);
    g_test_add_func("/virtio-serial/wild-driver", test_wild_driver);
    g_test_add_func("/virtio-serial/unwritable-buffer", test_unwritable_buffer);
    g_test_add_func("/virtio-serial/saved-state", test_saved_state);
    return g_test_run();
}
