/* SPDX-License-Identifier: Apache-2.0 */
/* The PS/2 controller through its ports, with keyboard and mouse behind it; and port 92h. */
#include "tests/qtest/peer.h"

#define DATA 0x60
#define COMMAND 0x64
#define PORT92 0x92
enum { FULL = 0x01, SYSTEM = 0x04, AUX = 0x20 };
enum { KBD_IRQ = 1, AUX_IRQ = 12 };
#define ACK 0xfa

static QTest *start(void)
{
    QTest *qts = qtest_start("-M pc -m 16");

    watch_irqs(qts);
    return qts;
}

/* The next byte, which must be from the mouse or not. */
static uint8_t get(QTest *qts, bool aux)
{
    g_assert_cmphex(qtest_inb(qts, COMMAND) & (FULL | AUX), ==, FULL | (aux ? AUX : 0));
    return qtest_inb(qts, DATA);
}

static void assert_empty(QTest *qts)
{
    g_assert_cmphex(qtest_inb(qts, COMMAND) & FULL, ==, 0);
}

static void controller(QTest *qts, uint8_t command, int argument)
{
    qtest_outb(qts, COMMAND, command);
    if (argument >= 0) {
        qtest_outb(qts, DATA, argument);
    }
}

/* Sends bytes to a device, each acknowledged. */
static void send_bytes(QTest *qts, bool aux, const uint8_t *bytes, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        if (aux) {
            qtest_outb(qts, COMMAND, 0xd4);
        }
        qtest_outb(qts, DATA, bytes[i]);
        g_assert_cmphex(get(qts, aux), ==, ACK);
    }
}
#define SEND(qts, aux, ...) \
    send_bytes(qts, aux, (const uint8_t[]) { __VA_ARGS__ }, \
               sizeof((const uint8_t[]) { __VA_ARGS__ }))

static void test_controller(void)
{
    g_autoptr(QTest) qts = start();

    g_assert_cmphex(qtest_inb(qts, COMMAND), ==, 0x18);
    controller(qts, 0x20, -1);
    g_assert_cmphex(get(qts, false), ==, 0x03);
    controller(qts, 0xaa, -1);
    g_assert_cmphex(get(qts, false), ==, 0x55);
    g_assert_cmphex(qtest_inb(qts, COMMAND) & SYSTEM, ==, SYSTEM);
    controller(qts, 0xab, -1);
    g_assert_cmphex(get(qts, false), ==, 0);
    controller(qts, 0xa9, -1);
    g_assert_cmphex(get(qts, false), ==, 0);
    controller(qts, 0x60, 0x47);
    controller(qts, 0x20, -1);
    g_assert_cmphex(get(qts, false), ==, 0x47);
    controller(qts, 0xa7, -1);
    controller(qts, 0xad, -1);
    controller(qts, 0x20, -1);
    g_assert_cmphex(get(qts, false), ==, 0x77);
    controller(qts, 0xa8, -1);
    controller(qts, 0xae, -1);
    controller(qts, 0x20, -1);
    g_assert_cmphex(get(qts, false), ==, 0x47);
    controller(qts, 0x7f, 0x99);
    controller(qts, 0x3f, -1);
    g_assert_cmphex(get(qts, false), ==, 0x99);
    controller(qts, 0xd2, 0x12);
    g_assert_cmphex(get(qts, false), ==, 0x12);
    controller(qts, 0xd3, 0x34);
    g_assert_cmphex(get(qts, true), ==, 0x34);
    controller(qts, 0xc0, -1);
    g_assert_cmphex(get(qts, false), ==, 0x80);
    controller(qts, 0xd0, -1);
    g_assert_cmphex(get(qts, false), ==, 0xcf);
    controller(qts, 0xdd, -1);
    controller(qts, 0xd0, -1);
    g_assert_cmphex(get(qts, false), ==, 0xcd);
    controller(qts, 0xd1, 0x03);
    controller(qts, 0x01, -1); /* undefined */
    assert_empty(qts);
    /* The last byte stays readable. */
    controller(qts, 0xaa, -1);
    get(qts, false);
    g_assert_cmphex(qtest_inb(qts, DATA), ==, 0x55);
}

static void test_keyboard(void)
{
    g_autoptr(QTest) qts = start();

    controller(qts, 0x60, 0x00); /* no translation, no interrupts */
    SEND(qts, false, 0xff);
    g_assert_cmphex(get(qts, false), ==, 0xaa);
    SEND(qts, false, 0xf2);
    g_assert_cmphex(get(qts, false), ==, 0xab);
    g_assert_cmphex(get(qts, false), ==, 0x83);
    qtest_outb(qts, DATA, 0xee);
    g_assert_cmphex(get(qts, false), ==, 0xee);
    qtest_outb(qts, DATA, 0xfe);
    g_assert_cmphex(get(qts, false), ==, 0xee);
    SEND(qts, false, 0xed, 0x07);
    SEND(qts, false, 0xf3, 0x20);
    SEND(qts, false, 0xf0, 0x00);
    g_assert_cmphex(get(qts, false), ==, 2);
    SEND(qts, false, 0xf0, 0x03);
    SEND(qts, false, 0xf0, 0x00);
    g_assert_cmphex(get(qts, false), ==, 3);
    SEND(qts, false, 0xf8);
    SEND(qts, false, 0xfb, 0x1c);
    SEND(qts, false, 0xf0);
    qtest_outb(qts, DATA, 9);
    g_assert_cmphex(get(qts, false), ==, 0xfe);
    /* A command in place of an argument is a command. */
    SEND(qts, false, 0xed, 0xf4);
    qtest_outb(qts, DATA, 0x33);
    g_assert_cmphex(get(qts, false), ==, 0xfe);
    SEND(qts, false, 0xf5);
    SEND(qts, false, 0xf6);
    assert_empty(qts);
    /* Translated. */
    controller(qts, 0x60, 0x40);
    SEND(qts, false, 0xf2);
    g_assert_cmphex(get(qts, false), ==, 0xab);
    g_assert_cmphex(get(qts, false), ==, 0x41);
    SEND(qts, false, 0xf0, 0x00);
    g_assert_cmphex(get(qts, false), ==, 0x41);
}

static void test_interrupts(void)
{
    g_autoptr(QTest) qts = start();

    controller(qts, 0x60, 0x43);
    qtest_irq_rises(qts, KBD_IRQ);
    qtest_outb(qts, DATA, 0xf2);
    for (int i = 0; i < 3; i++) {
        g_assert_true(qtest_get_irq(qts, KBD_IRQ));
        qtest_inb(qts, DATA);
    }
    g_assert_false(qtest_get_irq(qts, KBD_IRQ));
    g_assert_cmpint(qtest_irq_rises(qts, KBD_IRQ), ==, 3); /* an edge for each byte */
    controller(qts, 0xd4, 0xf2);
    g_assert_true(qtest_get_irq(qts, AUX_IRQ));
    g_assert_false(qtest_get_irq(qts, KBD_IRQ));
    qtest_inb(qts, DATA);
    qtest_inb(qts, DATA);
    g_assert_false(qtest_get_irq(qts, AUX_IRQ));
    controller(qts, 0x60, 0x40);
    qtest_outb(qts, DATA, 0xee);
    g_assert_false(qtest_get_irq(qts, KBD_IRQ));
    controller(qts, 0x60, 0x41);
    g_assert_true(qtest_get_irq(qts, KBD_IRQ));
}

static void test_mouse(void)
{
    g_autoptr(QTest) qts = start();

    controller(qts, 0x60, 0x00);
    SEND(qts, true, 0xff);
    g_assert_cmphex(get(qts, true), ==, 0xaa);
    g_assert_cmphex(get(qts, true), ==, 0x00);
    SEND(qts, true, 0xe9);
    g_assert_cmphex(get(qts, true), ==, 0x00);
    g_assert_cmphex(get(qts, true), ==, 2);
    g_assert_cmphex(get(qts, true), ==, 100);
    SEND(qts, true, 0xf4);
    SEND(qts, true, 0xe7);
    SEND(qts, true, 0xe8, 3);
    SEND(qts, true, 0xf3, 40);
    SEND(qts, true, 0xf0);
    SEND(qts, true, 0xe9);
    g_assert_cmphex(get(qts, true), ==, 0x70);
    g_assert_cmphex(get(qts, true), ==, 3);
    g_assert_cmphex(get(qts, true), ==, 40);
    SEND(qts, true, 0xeb);
    for (int i = 0; i < 3; i++) {
        g_assert_cmphex(get(qts, true), ==, i ? 0 : 0x08);
    }
    SEND(qts, true, 0xea);
    SEND(qts, true, 0xee);
    controller(qts, 0xd4, 0x77);
    g_assert_cmphex(get(qts, true), ==, 0x77);
    SEND(qts, true, 0xec);
    controller(qts, 0xd4, 0x77);
    g_assert_cmphex(get(qts, true), ==, 0xfe);
    SEND(qts, true, 0xe8);
    controller(qts, 0xd4, 4);
    g_assert_cmphex(get(qts, true), ==, 0xfc);
    assert_empty(qts);
}

static void test_knocks(void)
{
    g_autoptr(QTest) qts = start();

    controller(qts, 0x60, 0x00);
    /* Five buttons only after the wheel was found. */
    SEND(qts, true, 0xf3, 200, 0xf3, 200, 0xf3, 80, 0xf2);
    g_assert_cmphex(get(qts, true), ==, 0);
    SEND(qts, true, 0xf3, 200, 0xf3, 100, 0xf3, 80, 0xf2);
    g_assert_cmphex(get(qts, true), ==, 3);
    SEND(qts, true, 0xf3, 200, 0xf3, 200, 0xf3, 80, 0xf2);
    g_assert_cmphex(get(qts, true), ==, 4);
    SEND(qts, true, 0xeb);
    for (int i = 0; i < 4; i++) {
        get(qts, true);
    }
    assert_empty(qts);
    SEND(qts, true, 0xff);
    get(qts, true);
    g_assert_cmphex(get(qts, true), ==, 0);
}

static void expect_reset(QTest *qts)
{
    json_object *event = qtest_qmp_event(qts, "RESET");

    g_assert_true(json_object_get_boolean(
        json_object_object_get(json_object_object_get(event, "data"), "guest")));
    json_object_put(event);
}

static void test_resets(void)
{
    g_autoptr(QTest) qts = start();

    controller(qts, 0xfe, -1);
    expect_reset(qts);
    controller(qts, 0xff, -1);
    g_assert_false(qtest_qmp_has_event(qts, "RESET"));
    controller(qts, 0xd1, 0x02);
    expect_reset(qts);
    g_assert_cmphex(qtest_inb(qts, COMMAND), ==, 0x18);
    qtest_outb(qts, PORT92, 0x02);
    g_assert_cmphex(qtest_inb(qts, PORT92), ==, 0x02);
    g_assert_false(qtest_qmp_has_event(qts, "RESET"));
    qtest_outb(qts, PORT92, 0x03);
    expect_reset(qts);
    g_assert_cmphex(qtest_inb(qts, PORT92) & 1, ==, 0);
}

/* A guest that writes anything anywhere. */
static void test_hostile(void)
{
    g_autoptr(QTest) qts = start();

    for (int i = 0; i < 3000; i++) {
        uint8_t byte = g_test_rand_int();

        switch (g_test_rand_int_range(0, 4)) {
        case 0:
            qtest_outb(qts, DATA, byte);
            break;
        case 1:
            qtest_outb(qts, COMMAND, byte < 0xf0 && byte != 0xd1 ? byte : 0xd4);
            break;
        default:
            qtest_inb(qts, DATA);
            break;
        }
    }
    json_object_put(qtest_qmp(qts, "{\"execute\": \"system_reset\"}"));
    json_object_put(qtest_qmp_event(qts, "RESET"));
    g_assert_cmphex(qtest_inb(qts, COMMAND), ==, 0x18);
}

static void test_throttle(void)
{
    g_autoptr(QTest) qts = qtest_start("-M pc -m 16 -global i8042.kbd-throttle=on");

    controller(qts, 0x60, 0x00);
    qtest_outb(qts, DATA, 0xf2);
    g_assert_cmphex(get(qts, false), ==, ACK);
    assert_empty(qts);
    qtest_clock_step(qts, 1100000);
    g_assert_cmphex(get(qts, false), ==, 0xab);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/i8042/controller", test_controller);
    g_test_add_func("/i8042/keyboard", test_keyboard);
    g_test_add_func("/i8042/interrupts", test_interrupts);
    g_test_add_func("/i8042/mouse", test_mouse);
    g_test_add_func("/i8042/knocks", test_knocks);
    g_test_add_func("/i8042/resets", test_resets);
    g_test_add_func("/i8042/hostile", test_hostile);
    g_test_add_func("/i8042/throttle", test_throttle);
    return g_test_run();
}
