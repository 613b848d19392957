/* SPDX-License-Identifier: Apache-2.0 */
/* Small PC devices: parallel port, debug console, exit port, pc-testdev, pvpanic. */
#include "tests/qtest/peer.h"

#define LPT1 0x378
#define LPT_IRQ 7

static char *read_ringbuf(QTest *qts, const char *id)
{
    json_object *text = qtest_qmp(qts, "{\"execute\": \"ringbuf-read\", \"arguments\":"
                                  " {\"device\": \"%s\", \"size\": 1000}}", id);
    char *copy = g_strdup(json_object_get_string(text));

    json_object_put(text);
    return copy;
}

static void print_byte(QTest *qts, uint16_t base, uint8_t byte)
{
    qtest_outb(qts, base, byte);
    qtest_outb(qts, base + 2, 0x0d);
    g_assert_cmphex(qtest_inb(qts, base + 1) & 0x80, ==, 0);
    qtest_outb(qts, base + 2, 0x0c);
    g_assert_cmphex(qtest_inb(qts, base + 1), ==, 0x58); /* busy */
    g_assert_cmphex(qtest_inb(qts, base + 1), ==, 0x18); /* acknowledged */
    g_assert_cmphex(qtest_inb(qts, base + 1), ==, 0xd8);
}

static void test_parallel(void)
{
    g_autoptr(QTest) qts = qtest_start("-M pc -m 16 -chardev ringbuf,id=c -parallel chardev:c");
    g_autofree char *printed = NULL, *by_epp = NULL;

    watch_irqs(qts);
    g_assert_cmphex(qtest_inb(qts, LPT1), ==, 0xff);
    g_assert_cmphex(qtest_inb(qts, LPT1 + 1), ==, 0xd8);
    g_assert_cmphex(qtest_inb(qts, LPT1 + 2), ==, 0xcc);
    for (const char *c = "print"; *c; c++) {
        print_byte(qts, LPT1, *c);
    }
    printed = read_ringbuf(qts, "c");
    g_assert_cmpstr(printed, ==, "print");
    /* No strobe edge, no byte; INIT makes the printer ready again. */
    qtest_outb(qts, LPT1 + 2, 0x0d);
    qtest_outb(qts, LPT1 + 2, 0x0d);
    qtest_outb(qts, LPT1 + 2, 0x08);
    g_assert_cmphex(qtest_inb(qts, LPT1 + 1), ==, 0xd8);
    /* The acknowledge interrupt. */
    qtest_outb(qts, LPT1 + 2, 0x1c);
    qtest_outb(qts, LPT1 + 2, 0x1d);
    g_assert_false(qtest_get_irq(qts, LPT_IRQ));
    qtest_outb(qts, LPT1 + 2, 0x1c);
    g_assert_true(qtest_get_irq(qts, LPT_IRQ));
    qtest_inb(qts, LPT1 + 1);
    g_assert_false(qtest_get_irq(qts, LPT_IRQ));
    g_free(read_ringbuf(qts, "c"));
    /* Reading data with the direction turned; EPP. */
    qtest_outb(qts, LPT1, 0x12);
    g_assert_cmphex(qtest_inb(qts, LPT1), ==, 0x12);
    qtest_outb(qts, LPT1 + 2, 0x2c);
    g_assert_cmphex(qtest_inb(qts, LPT1), ==, 0xff);
    qtest_outl(qts, LPT1 + 4, 0x44434241);
    by_epp = read_ringbuf(qts, "c");
    g_assert_cmpstr(by_epp, ==, "ABCD");
    g_assert_cmphex(qtest_inb(qts, LPT1 + 4), ==, 0xff);
    g_assert_cmphex(qtest_inb(qts, LPT1 + 1) & 1, ==, 1);
    qtest_outb(qts, LPT1 + 1, 1);
    g_assert_cmphex(qtest_inb(qts, LPT1 + 1) & 1, ==, 0);
}

/* While the backend is full, the printer is busy. */
static void test_parallel_busy(void)
{
    Peer *peer = peer_new();
    QTest *qts = qtest_start("-M pc -m 16 -chardev socket,id=c,path=%s "
                             "-device isa-parallel,chardev=c,index=1", peer->path);
    const uint16_t base = 0x278;
    unsigned sent = 0;
    uint8_t *got;

    peer_accept(peer);
    for (;;) {
        qtest_outb(qts, base, sent);
        qtest_outb(qts, base + 2, 0x0d);
        qtest_outb(qts, base + 2, 0x0c);
        sent++;
        qtest_inb(qts, base + 1);
        if (!(qtest_inb(qts, base + 1) & 0x40)) {
            qtest_inb(qts, base + 1);
            g_assert_cmpint(sent, <, 1 << 20);
            continue;
        }
        break;
    }
    got = g_malloc(sent);
    g_assert_cmpint(recv(peer->fd, got, sent, MSG_WAITALL), ==, sent);
    for (unsigned i = 0; i < sent; i++) {
        g_assert_cmphex(got[i], ==, i & 0xff);
    }
    wait_port(qts, base + 1, 0xd8, 0xd8);
    g_free(got);
    qtest_stop(qts);
    peer_free(peer);
}

static void test_debugcon(void)
{
    g_autoptr(QTest) qts = qtest_start("-M pc -m 16 -chardev ringbuf,id=c -chardev ringbuf,id=d "
                                       "-device isa-debugcon,chardev=c "
                                       "-device isa-debugcon,chardev=d,iobase=0x402,readback=0x42");
    g_autofree char *first = NULL, *second = NULL, *refused = NULL;

    g_assert_cmphex(qtest_inb(qts, 0xe9), ==, 0xe9);
    g_assert_cmphex(qtest_inb(qts, 0x402), ==, 0x42);
    qtest_outb(qts, 0xe9, 'a');
    qtest_outb(qts, 0x402, 'b');
    first = read_ringbuf(qts, "c");
    second = read_ringbuf(qts, "d");
    g_assert_cmpstr(first, ==, "a");
    g_assert_cmpstr(second, ==, "b");
    refused = qtest_start_refused("-M pc -device isa-debugcon");
    g_assert_nonnull(strstr(refused, "chardev"));
}

static void test_debug_exit(void)
{
    static const struct {
        const char *options;
        uint16_t port;
        uint8_t value;
        int status;
    } cases[] = {
        { "", 0x501, 0, 1 },
        { "", 0x502, 0x10, 0x21 },
        { ",iobase=0xf4,iosize=4", 0xf4, 0x7f, 0xff },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        QTest *qts = qtest_start("-M pc -m 16 -device isa-debug-exit%s", cases[i].options);

        g_assert_cmphex(qtest_inb(qts, cases[i].port), ==, 0);
        qtest_outb(qts, cases[i].port, cases[i].value);
        g_assert_cmpint(qtest_wait_exit(qts), ==, cases[i].status);
    }
    g_free(qtest_start_refused("-M pc -device isa-debug-exit,iosize=0"));
    g_free(qtest_start_refused("-M pc -device isa-debug-exit,iobase=0xffff"));
}

static void test_testdev(void)
{
    g_autoptr(QTest) qts = qtest_start("-M pc -m 16 -device pc-testdev");

    watch_irqs(qts);
    qtest_outl(qts, 0xe0, 0x12345678);
    g_assert_cmphex(qtest_inl(qts, 0xe0), ==, 0x12345678);
    g_assert_cmphex(qtest_inl(qts, 0xe8), ==, 0x12345678);
    qtest_outw(qts, 0xea, 0xabcd);
    g_assert_cmphex(qtest_inb(qts, 0xe3), ==, 0xab);
    qtest_outb(qts, 0x2005, 1);
    g_assert_true(qtest_get_irq(qts, 5));
    qtest_outb(qts, 0x2005, 0);
    g_assert_false(qtest_get_irq(qts, 5));
    qtest_outb(qts, 0x2017, 1);
    qtest_writeq(qts, 0xff000008, 0x1122334455667788);
    g_assert_cmphex(qtest_readl(qts, 0xff00000a), ==, 0x33445566);
    g_assert_cmphex(qtest_readb(qts, 0xff00ffff), ==, 0);
    qtest_writel(qts, 0x5000, 0xdeadbeef);
    qtest_outl(qts, 0xe4, 0x5000);
    g_assert_cmphex(qtest_readl(qts, 0x5000), ==, 0xdeadbeef);
    qtest_outl(qts, 0xe4, 0xfee00000);
    qtest_outl(qts, 0xe4, 0xffffffff);
}

static void test_pvpanic(void)
{
    g_autoptr(QTest) qts = qtest_start("-M pc -m 16 -action panic=none -device pvpanic");
    json_object *event;

    g_assert_cmphex(qtest_inb(qts, 0x505), ==, 3);
    qtest_outb(qts, 0x505, 0xfc);
    qtest_outb(qts, 0x505, 2);
    json_object_put(qtest_qmp_event(qts, "GUEST_CRASHLOADED"));
    g_assert_false(qtest_qmp_has_event(qts, "GUEST_PANICKED"));
    qtest_outb(qts, 0x505, 1);
    event = qtest_qmp_event(qts, "GUEST_PANICKED");
    g_assert_nonnull(json_object_object_get(json_object_object_get(event, "data"), "action"));
    json_object_put(event);
}

static void test_pvpanic_events(void)
{
    g_autoptr(QTest) qts = qtest_start("-M pc -m 16 -action panic=none "
                                       "-device pvpanic,events=1,ioport=0x600");
    g_autofree char *refused = qtest_start_refused("-M pc -device pvpanic,events=4");

    g_assert_cmphex(qtest_inb(qts, 0x600), ==, 1);
    qtest_outb(qts, 0x600, 2);
    qtest_outb(qts, 0x600, 1);
    json_object_put(qtest_qmp_event(qts, "GUEST_PANICKED"));
    g_assert_false(qtest_qmp_has_event(qts, "GUEST_CRASHLOADED"));
    g_assert_nonnull(strstr(refused, "events"));
}

static void test_pvpanic_pci(void)
{
    g_autoptr(QTest) qts = qtest_start("-M pc -m 16 -action panic=none "
                                       "-device pvpanic-pci,addr=06.0");
    uint8_t devfn = 6 << 3;

    g_assert_cmphex(qtest_pci_read(qts, 0, devfn, 0, 4), ==, 0x00111b36);
    qtest_pci_write(qts, 0, devfn, 0x10, 4, 0xe0000000);
    qtest_pci_write(qts, 0, devfn, 4, 2, 2);
    g_assert_cmphex(qtest_readb(qts, 0xe0000000), ==, 3);
    g_assert_cmphex(qtest_readb(qts, 0xe0000001), ==, 0);
    qtest_writeb(qts, 0xe0000000, 1);
    json_object_put(qtest_qmp_event(qts, "GUEST_PANICKED"));
}

static void check_a20(QTest *qts, bool open)
{
    g_autofree char *text = qtest_hmp(qts, "info registers");

    g_assert_nonnull(strstr(text, open ? "A20=1\n" : "A20=0\n"));
}

/* Port 0x92 and the keyboard controller drive one line; the last to speak wins. */
static void test_a20(void)
{
    g_autoptr(QTest) qts = qtest_start("-M pc -m 16");

    check_a20(qts, true);
    g_assert_cmphex(qtest_inb(qts, 0x92), ==, 0);
    qtest_outb(qts, 0x92, 0x02);
    check_a20(qts, true);
    qtest_outb(qts, 0x92, 0x00);
    check_a20(qts, false);
    qtest_outb(qts, 0x64, 0xdf);
    check_a20(qts, true);
    qtest_outb(qts, 0x64, 0xd1);
    qtest_outb(qts, 0x60, 0xdd);
    check_a20(qts, false);
    qtest_outb(qts, 0x92, 0x02);
    check_a20(qts, true);
    qtest_outb(qts, 0x64, 0xdd);
    check_a20(qts, false);
    json_object_put(qtest_qmp(qts, "{\"execute\": \"system_reset\"}"));
    json_object_put(qtest_qmp_event(qts, "RESET"));
    check_a20(qts, true);
    /* The fast reset bit. */
    qtest_outb(qts, 0x92, 0x01);
    json_object_put(qtest_qmp_event(qts, "RESET"));
    g_assert_cmphex(qtest_inb(qts, 0x92) & 1, ==, 0);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/parallel/spp", test_parallel);
    g_test_add_func("/parallel/busy", test_parallel_busy);
    g_test_add_func("/debugcon", test_debugcon);
    g_test_add_func("/debug-exit", test_debug_exit);
    g_test_add_func("/pc-testdev", test_testdev);
    g_test_add_func("/a20", test_a20);
    g_test_add_func("/pvpanic/isa", test_pvpanic);
    g_test_add_func("/pvpanic/events", test_pvpanic_events);
    g_test_add_func("/pvpanic/pci", test_pvpanic_pci);
    return g_test_run();
}
