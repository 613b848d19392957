/* SPDX-License-Identifier: Apache-2.0 */
/* PS/2 keyboard and mouse with a person in front: scan codes of all sets, packets, full queues. */
#include <linux/input-event-codes.h>

#include "hw/core/tests/testbench.h"
#include "hw/input/input-events.h"
#include "hw/input/ps2.h"

typedef struct Fixture {
    Ps2Keyboard kbd;
    Ps2Mouse mouse;
    unsigned ready;
} Fixture;

static void count_ready(void *opaque)
{
    ((Fixture *)opaque)->ready++;
}

static Fixture *setup(void)
{
    Fixture *f = g_new0(Fixture, 1);
    Ps2Link link = { .ready = count_ready, .opaque = f };

    ps2_keyboard_init(&f->kbd, link);
    ps2_mouse_init(&f->mouse, link);
    return f;
}

static void teardown(Fixture *f)
{
    ps2_mouse_cleanup(&f->mouse);
    ps2_keyboard_cleanup(&f->kbd);
    g_free(f);
}

/* What is in the queue, as hex. */
static void expect(Ps2Queue *queue, const char *hex)
{
    g_autoptr(GString) got = g_string_new(NULL);

    while (ps2_queue_has_byte(queue)) {
        g_string_append_printf(got, "%s%02x", got->len ? " " : "", ps2_queue_take(queue));
    }
    g_assert_cmpstr(got->str, ==, hex);
}

static void press(uint16_t key)
{
    input_send_key(key, true);
    input_send_key(key, false);
}

static void use_set(Fixture *f, uint8_t set)
{
    ps2_keyboard_write(&f->kbd, 0xf0);
    ps2_keyboard_write(&f->kbd, set);
    ps2_queue_clear(&f->kbd.queue);
}

static void test_scan_sets(void)
{
    static const struct {
        uint16_t key;
        const char *set1, *set2, *set3;
    } cases[] = {
        { KEY_A, "1e 9e", "1c f0 1c", "1c f0 1c" },
        { KEY_ESC, "01 81", "76 f0 76", "08 f0 08" },
        { KEY_F7, "41 c1", "83 f0 83", "37 f0 37" },
        { KEY_ENTER, "1c 9c", "5a f0 5a", "5a f0 5a" },
        { KEY_RIGHTCTRL, "e0 1d e0 9d", "e0 14 e0 f0 14", "58 f0 58" },
        { KEY_DELETE, "e0 53 e0 d3", "e0 71 e0 f0 71", "64 f0 64" },
        { KEY_LEFT, "e0 4b e0 cb", "e0 6b e0 f0 6b", "61 f0 61" },
        { KEY_PAUSE, "e1 1d 45 e1 9d c5", "e1 14 77 e1 f0 14 f0 77", "62 f0 62" },
        { KEY_SYSRQ, "e0 2a e0 37 e0 b7 e0 aa", "e0 12 e0 7c e0 f0 7c e0 f0 12", "57 f0 57" },
        { KEY_MUTE, "e0 20 e0 a0", "e0 23 e0 f0 23", "" },
        { KEY_UNKNOWN, "", "", "" },
        { 0, "", "", "" },
        { UINT16_MAX, "", "", "" },
    };
    Fixture *f = setup();

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        use_set(f, 1);
        press(cases[i].key);
        expect(&f->kbd.queue, cases[i].set1);
        use_set(f, 2);
        press(cases[i].key);
        expect(&f->kbd.queue, cases[i].set2);
        use_set(f, 3);
        press(cases[i].key);
        expect(&f->kbd.queue, cases[i].set3);
    }
    teardown(f);
}

static void test_modified_keys(void)
{
    Fixture *f = setup();

    input_send_key(KEY_LEFTCTRL, true);
    press(KEY_PAUSE);
    expect(&f->kbd.queue, "14 e0 7e e0 f0 7e");
    press(KEY_SYSRQ);
    expect(&f->kbd.queue, "e0 7c e0 f0 7c");
    input_send_key(KEY_LEFTCTRL, false);
    input_send_key(KEY_LEFTALT, true);
    press(KEY_SYSRQ);
    expect(&f->kbd.queue, "f0 14 11 84 f0 84");
    teardown(f);
}

static void test_key_modes(void)
{
    Fixture *f = setup();

    use_set(f, 3);
    ps2_keyboard_write(&f->kbd, 0xfd); /* make only */
    ps2_keyboard_write(&f->kbd, 0x1c);
    ps2_queue_clear(&f->kbd.queue);
    press(KEY_A);
    press(KEY_B);
    expect(&f->kbd.queue, "1c 32 f0 32");
    ps2_keyboard_write(&f->kbd, 0xf9);
    ps2_queue_clear(&f->kbd.queue);
    press(KEY_B);
    expect(&f->kbd.queue, "32");
    ps2_keyboard_write(&f->kbd, 0xfa);
    ps2_queue_clear(&f->kbd.queue);
    press(KEY_A);
    expect(&f->kbd.queue, "1c f0 1c");
    teardown(f);
}

/* A full queue drops whole keystrokes, and answers still come first. */
static void test_full_queue(void)
{
    Fixture *f = setup();
    unsigned strokes = 0;

    for (int i = 0; i < 100; i++) {
        input_send_key(KEY_PAUSE, true);
    }
    ps2_keyboard_write(&f->kbd, 0xee);
    g_assert_cmphex(ps2_queue_take(&f->kbd.queue), ==, 0xee);
    while (ps2_queue_has_byte(&f->kbd.queue)) {
        static const uint8_t pause[] = { 0xe1, 0x14, 0x77, 0xe1, 0xf0, 0x14, 0xf0, 0x77 };

        for (size_t i = 0; i < sizeof(pause); i++) {
            g_assert_cmphex(ps2_queue_take(&f->kbd.queue), ==, pause[i]);
        }
        strokes++;
    }
    g_assert_cmpint(strokes, ==, PS2_EVENT_QUEUE / 8);
    ps2_keyboard_write(&f->kbd, 0xf5); /* no scanning */
    ps2_queue_clear(&f->kbd.queue);
    press(KEY_A);
    expect(&f->kbd.queue, "");
    teardown(f);
}

static void note_leds(Notifier *notifier, void *data)
{
    g_assert_cmphex(*(const uint8_t *)data, ==, INPUT_LED_CAPS | INPUT_LED_NUM);
    notifier_list_remove(input_led_notifiers(), notifier);
}

static void test_leds(void)
{
    Fixture *f = setup();
    Notifier notifier = { .notify = note_leds };

    notifier_list_add(input_led_notifiers(), &notifier);
    ps2_keyboard_write(&f->kbd, 0xed);
    ps2_keyboard_write(&f->kbd, 0x06);
    g_assert_cmphex(input_leds(), ==, INPUT_LED_CAPS | INPUT_LED_NUM);
    teardown(f);
}

static void mouse_command(Fixture *f, uint8_t command)
{
    ps2_mouse_write(&f->mouse, command);
    g_assert_cmphex(ps2_queue_take(&f->mouse.queue), ==, 0xfa);
}

static void move(int dx, int dy, int wheel)
{
    input_send_move(dx, dy, wheel);
    input_sync();
}

static void test_packets(void)
{
    Fixture *f = setup();

    move(1, 1, 0);
    expect(&f->mouse.queue, ""); /* not enabled */
    mouse_command(f, 0xf4);
    move(5, -3, 0);
    expect(&f->mouse.queue, "08 05 03");
    move(-2, 4, 1); /* no wheel yet */
    expect(&f->mouse.queue, "38 fe fc");
    input_send_button(INPUT_BUTTON_LEFT, true);
    input_sync();
    input_send_button(INPUT_BUTTON_MIDDLE, true);
    input_send_button(INPUT_BUTTON_RIGHT, true);
    input_send_button(INPUT_BUTTON_LEFT, false);
    input_sync();
    /* A click while a packet waits makes packets of its own. */
    expect(&f->mouse.queue, "09 00 00 0d 00 00 0f 00 00 0e 00 00");
    input_send_button(INPUT_BUTTON_MIDDLE, false);
    input_send_button(INPUT_BUTTON_RIGHT, false);
    input_sync();
    ps2_queue_clear(&f->mouse.queue);
    /* Big moves come in parts, as the guest takes them. */
    move(600, 0, 0);
    expect(&f->mouse.queue, "08 ff 00");
    ps2_mouse_taken(&f->mouse);
    expect(&f->mouse.queue, "08 ff 00");
    ps2_mouse_taken(&f->mouse);
    expect(&f->mouse.queue, "08 5a 00");
    ps2_mouse_taken(&f->mouse);
    expect(&f->mouse.queue, "");
    for (int i = 0; i < 10; i++) {
        move(INT_MAX, INT_MIN, INT_MIN);
        move(INT_MIN, INT_MAX, INT_MAX);
    }
    teardown(f);
}

static void set_rate(Fixture *f, uint8_t rate)
{
    mouse_command(f, 0xf3);
    mouse_command(f, rate);
}

static void test_wheel(void)
{
    Fixture *f = setup();

    set_rate(f, 200);
    set_rate(f, 100);
    set_rate(f, 80);
    mouse_command(f, 0xf4);
    move(0, 0, 1);
    expect(&f->mouse.queue, "08 00 00 ff");
    move(1, 0, -3);
    expect(&f->mouse.queue, "08 01 00 03");
    set_rate(f, 200);
    set_rate(f, 200);
    set_rate(f, 80);
    input_send_button(INPUT_BUTTON_SIDE, true);
    input_send_button(INPUT_BUTTON_EXTRA, true);
    move(0, 0, 1);
    expect(&f->mouse.queue, "08 00 00 3f");
    teardown(f);
}

static void test_modes(void)
{
    Fixture *f = setup();

    mouse_command(f, 0xf0); /* remote: packets only when asked for */
    move(3, 0, 0);
    expect(&f->mouse.queue, "");
    mouse_command(f, 0xeb);
    expect(&f->mouse.queue, "08 03 00");
    mouse_command(f, 0xea);
    mouse_command(f, 0xf4);
    mouse_command(f, 0xe7);
    move(4, -7, 0);
    expect(&f->mouse.queue, "08 06 0e"); /* 2:1 scaling */
    mouse_command(f, 0xf5);
    move(9, 9, 0);
    expect(&f->mouse.queue, "");
    teardown(f);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    bench_init(1);
    g_test_add_func("/ps2/scan-sets", test_scan_sets);
    g_test_add_func("/ps2/modified-keys", test_modified_keys);
    g_test_add_func("/ps2/key-modes", test_key_modes);
    g_test_add_func("/ps2/full-queue", test_full_queue);
    g_test_add_func("/ps2/leds", test_leds);
    g_test_add_func("/ps2/packets", test_packets);
    g_test_add_func("/ps2/wheel", test_wheel);
    g_test_add_func("/ps2/modes", test_modes);
    return g_test_run();
}
