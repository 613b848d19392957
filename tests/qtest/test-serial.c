/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The 16550A: registers, FIFOs, interrupts, time-outs, loop mode, flow control, breaks; isa-
 * serial.
 */
#include "tests/qtest/peer.h"

#define COM1 0x3f8
#define COM1_IRQ 4
enum { DATA, IER, IIR, LCR, MCR, LSR, MSR, SCR, FCR = IIR };

static QTest *start_with_peer(Peer *peer)
{
    QTest *qts = qtest_start("-M pc -m 16 -chardev socket,id=c,path=%s -serial chardev:c",
                             peer->path);

    peer_accept(peer);
    watch_irqs(qts);
    return qts;
}

static uint8_t in(QTest *qts, int reg)
{
    return qtest_inb(qts, COM1 + reg);
}

static void out(QTest *qts, int reg, uint8_t value)
{
    qtest_outb(qts, COM1 + reg, value);
}

static bool irq(QTest *qts)
{
    return qtest_get_irq(qts, COM1_IRQ);
}

static void test_reset_values(void)
{
    g_autoptr(QTest) qts = qtest_start("-M pc -m 16 -serial null");

    for (int round = 0; round < 2; round++) {
        g_assert_cmphex(in(qts, IER), ==, 0);
        g_assert_cmphex(in(qts, IIR), ==, 0x01);
        g_assert_cmphex(in(qts, LCR), ==, 0);
        g_assert_cmphex(in(qts, MCR), ==, 0x08);
        g_assert_cmphex(in(qts, LSR), ==, 0x60);
        g_assert_cmphex(in(qts, MSR), ==, 0xb0);
        g_assert_cmphex(in(qts, SCR), ==, 0);
        for (int reg = 0; reg < 8; reg++) {
            out(qts, reg, 0xff);
        }
        json_object_put(qtest_qmp(qts, "{\"execute\": \"system_reset\"}"));
        json_object_put(qtest_qmp_event(qts, "RESET"));
    }
}

static void test_masks(void)
{
    g_autoptr(QTest) qts = qtest_start("-M pc -m 16 -serial null");

    out(qts, IER, 0xff);
    g_assert_cmphex(in(qts, IER), ==, 0x0f);
    out(qts, MCR, 0xff);
    g_assert_cmphex(in(qts, MCR), ==, 0x1f);
    out(qts, SCR, 0xa5);
    g_assert_cmphex(in(qts, SCR), ==, 0xa5);
    out(qts, LSR, 0);
    out(qts, MSR, 0xff);
    g_assert_cmphex(in(qts, LSR) & 0x60, ==, 0x60);
    out(qts, LCR, 0x80);
    out(qts, DATA, 0x34);
    out(qts, IER, 0x12);
    g_assert_cmphex(in(qts, DATA), ==, 0x34);
    g_assert_cmphex(in(qts, IER), ==, 0x12);
    out(qts, LCR, 0x03);
    g_assert_cmphex(in(qts, IER), ==, 0x0f);
    /* A wide access is bytes. */
    qtest_outw(qts, COM1 + SCR - 1, 0x5a00);
    g_assert_cmphex(in(qts, SCR), ==, 0x5a);
    g_assert_cmphex(qtest_inl(qts, COM1 + LCR) & 0xff, ==, 0x03);
    out(qts, FCR, 0xc0); /* trigger bits count only with the FIFOs on */
    g_assert_cmphex(in(qts, IIR) & 0xc0, ==, 0);
    out(qts, FCR, 0xc1);
    g_assert_cmphex(in(qts, IIR) & 0xc0, ==, 0xc0);
}

static void test_send(void)
{
    Peer *peer = peer_new();
    QTest *qts = start_with_peer(peer);

    out(qts, IER, 0x02);
    g_assert_true(irq(qts));
    g_assert_cmphex(in(qts, IIR), ==, 0x02);
    g_assert_false(irq(qts));
    out(qts, DATA, 'a');
    peer_expect(peer, "a", 1);
    g_assert_true(irq(qts));
    out(qts, IER, 0);
    g_assert_false(irq(qts));
    out(qts, FCR, 1);
    for (const char *c = "FIFO"; *c; c++) {
        out(qts, DATA, *c);
    }
    peer_expect(peer, "FIFO", 4);
    g_assert_cmphex(in(qts, LSR), ==, 0x60);
    qtest_stop(qts);
    peer_free(peer);
}

static void test_receive(void)
{
    Peer *peer = peer_new();
    QTest *qts = start_with_peer(peer);

    out(qts, IER, 0x01);
    peer_send(peer, "xyz", 3);
    for (const char *c = "xyz"; *c; c++) {
        wait_port(qts, COM1 + LSR, 0x01, 0x01);
        g_assert_true(irq(qts));
        g_assert_cmphex(in(qts, IIR), ==, 0x04);
        g_assert_cmphex(in(qts, DATA), ==, *c);
    }
    g_assert_false(irq(qts));
    g_assert_cmphex(in(qts, IIR), ==, 0x01);
    g_assert_cmphex(in(qts, LSR), ==, 0x60);
    qtest_stop(qts);
    peer_free(peer);
}

/* Fill the FIFO from the line; the rest must wait outside, in order. */
static void test_fifo(void)
{
    Peer *peer = peer_new();
    QTest *qts = start_with_peer(peer);
    char text[100];

    for (unsigned i = 0; i < sizeof(text); i++) {
        text[i] = i;
    }
    out(qts, FCR, 0x81); /* trigger level 8 */
    out(qts, IER, 0x05);
    peer_send(peer, text, 7);
    wait_port(qts, COM1 + LSR, 0x01, 0x01);
    g_usleep(20000);
    g_assert_false(irq(qts));
    peer_send(peer, text + 7, sizeof(text) - 7);
    for (int i = 0; i < 1000 && !irq(qts); i++) {
        in(qts, SCR);
        g_usleep(1000);
    }
    g_assert_cmphex(in(qts, IIR), ==, 0xc4);
    for (unsigned i = 0; i < sizeof(text); i++) {
        wait_port(qts, COM1 + LSR, 0x01, 0x01);
        g_assert_cmphex(in(qts, DATA), ==, i);
    }
    g_assert_cmphex(in(qts, LSR), ==, 0x60);
    g_assert_false(irq(qts));
    qtest_stop(qts);
    peer_free(peer);
}

/* One byte below the trigger level: the interrupt comes after four character times. */
static void test_timeout(void)
{
    Peer *peer = peer_new();
    QTest *qts = start_with_peer(peer);
    const int64_t char_ns = 10 * 1000000000LL / 9600;

    out(qts, LCR, 0x83);
    out(qts, DATA, 12);
    out(qts, IER, 0);
    out(qts, LCR, 0x03);
    out(qts, FCR, 0xc1);
    out(qts, IER, 0x01);
    peer_send(peer, "tt", 2);
    wait_port(qts, COM1 + LSR, 0x01, 0x01);
    g_assert_cmphex(in(qts, LSR), ==, 0x61);
    qtest_clock_step(qts, 4 * char_ns - 1000);
    g_assert_false(irq(qts));
    qtest_clock_step(qts, 2000);
    g_assert_true(irq(qts));
    g_assert_cmphex(in(qts, IIR), ==, 0xcc);
    g_assert_cmphex(in(qts, DATA), ==, 't');
    g_assert_false(irq(qts));
    qtest_clock_step(qts, 4 * char_ns + 1000);
    g_assert_true(irq(qts));
    g_assert_cmphex(in(qts, DATA), ==, 't');
    g_assert_false(irq(qts));
    qtest_clock_step(qts, 100 * char_ns);
    g_assert_false(irq(qts));
    qtest_stop(qts);
    peer_free(peer);
}

static void test_loop(void)
{
    Peer *peer = peer_new();
    QTest *qts = start_with_peer(peer);

    in(qts, MSR);
    out(qts, MCR, 0x1a); /* loop, OUT2, RTS: what Linux probes with */
    g_assert_cmphex(in(qts, MSR) & 0xf0, ==, 0x90);
    out(qts, MCR, 0x1f);
    g_assert_cmphex(in(qts, MSR), ==, 0xf2);
    out(qts, MCR, 0x10);
    g_assert_cmphex(in(qts, MSR), ==, 0x0f);
    out(qts, IER, 0x05);
    out(qts, DATA, 0x5a);
    g_assert_cmphex(in(qts, LSR), ==, 0x61);
    g_assert_true(irq(qts));
    out(qts, DATA, 0xa5);
    g_assert_cmphex(in(qts, IIR), ==, 0x06); /* overrun */
    g_assert_cmphex(in(qts, LSR), ==, 0x63);
    g_assert_cmphex(in(qts, LSR), ==, 0x61);
    g_assert_cmphex(in(qts, DATA), ==, 0xa5);
    /* The line is not heard meanwhile, and nothing is lost. */
    peer_send(peer, "later", 5);
    g_usleep(20000);
    g_assert_cmphex(in(qts, LSR), ==, 0x60);
    out(qts, FCR, 1);
    for (int i = 0; i < 17; i++) {
        out(qts, DATA, i);
    }
    g_assert_cmphex(in(qts, LSR), ==, 0x63);
    for (int i = 0; i < 16; i++) {
        g_assert_cmphex(in(qts, DATA), ==, i);
    }
    out(qts, MCR, 0x0b);
    for (const char *c = "later"; *c; c++) {
        wait_port(qts, COM1 + LSR, 0x01, 0x01);
        g_assert_cmphex(in(qts, DATA), ==, *c);
    }
    qtest_stop(qts);
    peer_free(peer);
}

static void test_modem_interrupt(void)
{
    g_autoptr(QTest) qts = qtest_start("-M pc -m 16 -serial null");

    watch_irqs(qts);
    out(qts, IER, 0x08);
    g_assert_false(irq(qts));
    out(qts, MCR, 0x14); /* loop, OUT1: RI rises, the others fall */
    g_assert_true(irq(qts));
    g_assert_cmphex(in(qts, IIR), ==, 0x00);
    g_assert_cmphex(in(qts, MSR), ==, 0x4b);
    g_assert_false(irq(qts));
    out(qts, MCR, 0x10); /* RI falls */
    g_assert_cmphex(in(qts, MSR), ==, 0x04);
}

static void test_break(void)
{
    g_autoptr(QTest) qts = qtest_start("-M pc -m 16 -chardev null,id=c -serial chardev:c");

    watch_irqs(qts);
    out(qts, FCR, 1);
    out(qts, IER, 0x04);
    json_object_put(qtest_qmp(qts, "{\"execute\": \"chardev-send-break\","
                              " \"arguments\": {\"id\": \"c\"}}"));
    g_assert_true(irq(qts));
    g_assert_cmphex(in(qts, IIR), ==, 0xc6);
    g_assert_cmphex(in(qts, LSR), ==, 0xf9);
    g_assert_false(irq(qts));
    g_assert_cmphex(in(qts, DATA), ==, 0);
    g_assert_cmphex(in(qts, LSR), ==, 0x60);
}

/* A peer that does not read stops the transmitter, and nothing is lost once it reads again. */
static void test_flow_control(void)
{
    Peer *peer = peer_new();
    QTest *qts = start_with_peer(peer);
    unsigned sent = 0;
    uint8_t *got;

    out(qts, FCR, 1);
    while (in(qts, LSR) & 0x20) {
        for (int i = 0; i < 16; i++) {
            out(qts, DATA, sent++);
        }
        g_assert_cmpint(sent, <, 4 << 20);
    }
    g_assert_cmphex(in(qts, LSR) & 0x40, ==, 0);
    got = g_malloc(sent);
    g_assert_cmpint(recv(peer->fd, got, sent, MSG_WAITALL), ==, sent);
    for (unsigned i = 0; i < sent; i++) {
        g_assert_cmphex(got[i], ==, i & 0xff);
    }
    wait_port(qts, COM1 + LSR, 0x60, 0x60);
    g_free(got);
    qtest_stop(qts);
    peer_free(peer);
}

static void test_hot_change(void)
{
    g_autoptr(QTest) qts = qtest_start("-M pc -m 16 -chardev null,id=c -serial chardev:c");
    json_object *text;

    out(qts, DATA, 'x');
    json_object_put(qtest_qmp(qts, "{\"execute\": \"chardev-change\", \"arguments\": {\"id\":"
                              " \"c\", \"backend\": {\"type\": \"ringbuf\", \"data\": {}}}}"));
    out(qts, DATA, 'y');
    out(qts, DATA, 'z');
    text = qtest_qmp(qts, "{\"execute\": \"ringbuf-read\", \"arguments\": {\"device\": \"c\","
                     " \"size\": 100}}");
    g_assert_cmpstr(json_object_get_string(text), ==, "yz");
    json_object_put(text);
}

static void test_four_ports(void)
{
    static const uint16_t bases[] = { 0x3f8, 0x2f8, 0x3e8, 0x2e8 };
    static const unsigned irqs[] = { 4, 3, 4, 3 };
    g_autoptr(QTest) qts = qtest_start("-M pc -m 16 -serial null -serial null -device isa-serial "
                                       "-device isa-serial");

    watch_irqs(qts);
    for (int i = 0; i < 4; i++) {
        qtest_outb(qts, bases[i] + SCR, 0x40 + i);
        qtest_outb(qts, bases[i] + IER, 0x02);
        g_assert_true(qtest_get_irq(qts, irqs[i]));
        qtest_outb(qts, bases[i] + IER, 0);
    }
    for (int i = 0; i < 4; i++) {
        g_assert_cmphex(qtest_inb(qts, bases[i] + SCR), ==, 0x40 + i);
    }
}

static void test_refusals(void)
{
    static const struct {
        const char *options, *expected;
    } cases[] = {
        { "-device isa-serial,index=4", "at most 4" },
        { "-device isa-serial,iobase=0x10000", "iobase" },
        { "-device isa-serial,irq=16", "irq" },
        { "-device isa-serial,chardev=nobody", "nobody" },
        { "-serial null -device isa-serial,index=0", "0x3f8" },
        { "-chardev null,id=c -serial chardev:c -device isa-serial,chardev=c", "in use" },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *text = qtest_start_refused("-M pc -m 16 %s", cases[i].options);

        g_test_message("%s: %s", cases[i].options, text);
        g_assert_nonnull(strstr(text, cases[i].expected));
    }
}

static void test_pci(void)
{
    g_autoptr(QTest) qts = qtest_start("-M pc -m 16 -chardev ringbuf,id=c "
                                       "-device pci-serial,chardev=c,addr=05.0");
    uint8_t devfn = 5 << 3;
    json_object *text;

    g_assert_cmphex(qtest_pci_read(qts, 0, devfn, 0x00, 4), ==, 0x00021b36);
    g_assert_cmphex(qtest_pci_read(qts, 0, devfn, 0x08, 4), ==, 0x07000201);
    g_assert_cmphex(qtest_pci_read(qts, 0, devfn, 0x3d, 1), ==, 1);
    qtest_pci_write(qts, 0, devfn, 0x10, 4, 0xffffffff);
    g_assert_cmphex(qtest_pci_read(qts, 0, devfn, 0x10, 4), ==, 0xfffffff9);
    qtest_pci_write(qts, 0, devfn, 0x10, 4, 0xc000);
    qtest_pci_write(qts, 0, devfn, 0x04, 2, 1);
    qtest_outb(qts, 0xc000, 'p');
    text = qtest_qmp(qts, "{\"execute\": \"ringbuf-read\", \"arguments\": {\"device\": \"c\","
                     " \"size\": 100}}");
    g_assert_cmpstr(json_object_get_string(text), ==, "p");
    json_object_put(text);
    qtest_outb(qts, 0xc000 + IER, 0x02);
    g_assert_cmphex(qtest_pci_read(qts, 0, devfn, 0x06, 2) & 0x08, ==, 0x08);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/serial/reset-values", test_reset_values);
    g_test_add_func("/serial/masks", test_masks);
    g_test_add_func("/serial/send", test_send);
    g_test_add_func("/serial/receive", test_receive);
    g_test_add_func("/serial/fifo", test_fifo);
    g_test_add_func("/serial/timeout", test_timeout);
    g_test_add_func("/serial/loop", test_loop);
    g_test_add_func("/serial/modem-interrupt", test_modem_interrupt);
    g_test_add_func("/serial/break", test_break);
    g_test_add_func("/serial/flow-control", test_flow_control);
    g_test_add_func("/serial/hot-change", test_hot_change);
    g_test_add_func("/serial/four-ports", test_four_ports);
    g_test_add_func("/serial/refusals", test_refusals);
    g_test_add_func("/serial/pci", test_pci);
    return g_test_run();
}
