/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PS/2 keyboard (IBM Personal System/2 Hardware Interface Technical Reference, "Keyboard (101- and
 * 102-key)"). It speaks scan code sets 1, 2 (after reset) and 3. Set 1 codes are the controller's
 * translation of set 2 codes, so the key table has sets 2 and 3 only.
 *
 * Repeating is left to whoever sends the keys: a key that is down and comes down again repeats.
 * The rate that the guest sets is kept, and not used.
 */
#include <linux/input-event-codes.h>
#include <string.h>

#include "hw/input/input-events.h"
#include "hw/input/ps2.h"
#include "util/error.h"
#include "util/bits.h"

enum Command {
    CMD_LEDS = 0xed, CMD_ECHO = 0xee, CMD_SCAN_SET = 0xf0, CMD_IDENTIFY = 0xf2,
    CMD_TYPEMATIC = 0xf3, CMD_ENABLE = 0xf4, CMD_DISABLE = 0xf5, CMD_DEFAULTS = 0xf6,
    CMD_ALL_TYPEMATIC = 0xf7, CMD_ALL_MAKE_BREAK = 0xf8, CMD_ALL_MAKE = 0xf9,
    CMD_ALL_TYPEMATIC_MAKE_BREAK = 0xfa, CMD_KEY_TYPEMATIC = 0xfb, CMD_KEY_MAKE_BREAK = 0xfc,
    CMD_KEY_MAKE = 0xfd, CMD_RESEND = 0xfe, CMD_RESET = 0xff,
};
enum Reply { REPLY_TEST_PASSED = 0xaa, REPLY_ACK = 0xfa, REPLY_RESEND = 0xfe };
#define BREAK_PREFIX 0xf0
#define EXTENDED_PREFIX 0xe0
#define DEFAULT_TYPEMATIC 0x2b /* 10.9 a second after half a second */
#define LEDS_MASK 0x07
enum { MODE_NO_REPEAT = 1, MODE_NO_BREAK = 2, MODE_MASK = 3 };
enum { MOD_CTRL_L = 0x01, MOD_CTRL_R = 0x02, MOD_ALT_L = 0x04, MOD_ALT_R = 0x08,
       MOD_SHIFT_L = 0x10, MOD_SHIFT_R = 0x20, MOD_CTRL = 0x03, MOD_ALT = 0x0c,
       MOD_SHIFT = 0x30 };

/* Code bytes of sets 2 and 3; 0: none. Extended keys have 0xe0 first in set 2. */
typedef struct KeyCode {
    uint8_t set2, set3;
    bool extended;
} KeyCode;

static const KeyCode keys[] = {
    [KEY_ESC] = { 0x76, 0x08 }, [KEY_1] = { 0x16, 0x16 }, [KEY_2] = { 0x1e, 0x1e },
    [KEY_3] = { 0x26, 0x26 }, [KEY_4] = { 0x25, 0x25 }, [KEY_5] = { 0x2e, 0x2e },
    [KEY_6] = { 0x36, 0x36 }, [KEY_7] = { 0x3d, 0x3d }, [KEY_8] = { 0x3e, 0x3e },
    [KEY_9] = { 0x46, 0x46 }, [KEY_0] = { 0x45, 0x45 }, [KEY_MINUS] = { 0x4e, 0x4e },
    [KEY_EQUAL] = { 0x55, 0x55 }, [KEY_BACKSPACE] = { 0x66, 0x66 }, [KEY_TAB] = { 0x0d, 0x0d },
    [KEY_Q] = { 0x15, 0x15 }, [KEY_W] = { 0x1d, 0x1d }, [KEY_E] = { 0x24, 0x24 },
    [KEY_R] = { 0x2d, 0x2d }, [KEY_T] = { 0x2c, 0x2c }, [KEY_Y] = { 0x35, 0x35 },
    [KEY_U] = { 0x3c, 0x3c }, [KEY_I] = { 0x43, 0x43 }, [KEY_O] = { 0x44, 0x44 },
    [KEY_P] = { 0x4d, 0x4d }, [KEY_LEFTBRACE] = { 0x54, 0x54 },
    [KEY_RIGHTBRACE] = { 0x5b, 0x5b }, [KEY_ENTER] = { 0x5a, 0x5a },
    [KEY_LEFTCTRL] = { 0x14, 0x11 }, [KEY_A] = { 0x1c, 0x1c }, [KEY_S] = { 0x1b, 0x1b },
    [KEY_D] = { 0x23, 0x23 }, [KEY_F] = { 0x2b, 0x2b }, [KEY_G] = { 0x34, 0x34 },
    [KEY_H] = { 0x33, 0x33 }, [KEY_J] = { 0x3b, 0x3b }, [KEY_K] = { 0x42, 0x42 },
    [KEY_L] = { 0x4b, 0x4b }, [KEY_SEMICOLON] = { 0x4c, 0x4c },
    [KEY_APOSTROPHE] = { 0x52, 0x52 }, [KEY_GRAVE] = { 0x0e, 0x0e },
    [KEY_LEFTSHIFT] = { 0x12, 0x12 }, [KEY_BACKSLASH] = { 0x5d, 0x5c },
    [KEY_Z] = { 0x1a, 0x1a }, [KEY_X] = { 0x22, 0x22 }, [KEY_C] = { 0x21, 0x21 },
    [KEY_V] = { 0x2a, 0x2a }, [KEY_B] = { 0x32, 0x32 }, [KEY_N] = { 0x31, 0x31 },
    [KEY_M] = { 0x3a, 0x3a }, [KEY_COMMA] = { 0x41, 0x41 }, [KEY_DOT] = { 0x49, 0x49 },
    [KEY_SLASH] = { 0x4a, 0x4a }, [KEY_RIGHTSHIFT] = { 0x59, 0x59 },
    [KEY_KPASTERISK] = { 0x7c, 0x7e }, [KEY_LEFTALT] = { 0x11, 0x19 },
    [KEY_SPACE] = { 0x29, 0x29 }, [KEY_CAPSLOCK] = { 0x58, 0x14 }, [KEY_F1] = { 0x05, 0x07 },
    [KEY_F2] = { 0x06, 0x0f }, [KEY_F3] = { 0x04, 0x17 }, [KEY_F4] = { 0x0c, 0x1f },
    [KEY_F5] = { 0x03, 0x27 }, [KEY_F6] = { 0x0b, 0x2f }, [KEY_F7] = { 0x83, 0x37 },
    [KEY_F8] = { 0x0a, 0x3f }, [KEY_F9] = { 0x01, 0x47 }, [KEY_F10] = { 0x09, 0x4f },
    [KEY_NUMLOCK] = { 0x77, 0x76 }, [KEY_SCROLLLOCK] = { 0x7e, 0x5f },
    [KEY_KP7] = { 0x6c, 0x6c }, [KEY_KP8] = { 0x75, 0x75 }, [KEY_KP9] = { 0x7d, 0x7d },
    [KEY_KPMINUS] = { 0x7b, 0x84 }, [KEY_KP4] = { 0x6b, 0x6b }, [KEY_KP5] = { 0x73, 0x73 },
    [KEY_KP6] = { 0x74, 0x74 }, [KEY_KPPLUS] = { 0x79, 0x7c }, [KEY_KP1] = { 0x69, 0x69 },
    [KEY_KP2] = { 0x72, 0x72 }, [KEY_KP3] = { 0x7a, 0x7a }, [KEY_KP0] = { 0x70, 0x70 },
    [KEY_KPDOT] = { 0x71, 0x71 }, [KEY_102ND] = { 0x61, 0x13 }, [KEY_F11] = { 0x78, 0x56 },
    [KEY_F12] = { 0x07, 0x5e }, [KEY_RO] = { 0x51, 0x51 }, [KEY_HENKAN] = { 0x64, 0x86 },
    [KEY_KATAKANAHIRAGANA] = { 0x13, 0x87 }, [KEY_MUHENKAN] = { 0x67, 0x85 },
    [KEY_YEN] = { 0x6a, 0x5d }, [KEY_KPENTER] = { 0x5a, 0x79, true },
    [KEY_RIGHTCTRL] = { 0x14, 0x58, true }, [KEY_KPSLASH] = { 0x4a, 0x77, true },
    [KEY_SYSRQ] = { 0x7c, 0x57, true }, [KEY_RIGHTALT] = { 0x11, 0x39, true },
    [KEY_HOME] = { 0x6c, 0x6e, true }, [KEY_UP] = { 0x75, 0x63, true },
    [KEY_PAGEUP] = { 0x7d, 0x6f, true }, [KEY_LEFT] = { 0x6b, 0x61, true },
    [KEY_RIGHT] = { 0x74, 0x6a, true }, [KEY_END] = { 0x69, 0x65, true },
    [KEY_DOWN] = { 0x72, 0x60, true }, [KEY_PAGEDOWN] = { 0x7a, 0x6d, true },
    [KEY_INSERT] = { 0x70, 0x67, true }, [KEY_DELETE] = { 0x71, 0x64, true },
    [KEY_PAUSE] = { 0x77, 0x62 }, [KEY_LEFTMETA] = { 0x1f, 0x8b, true },
    [KEY_RIGHTMETA] = { 0x27, 0x8c, true }, [KEY_COMPOSE] = { 0x2f, 0x8d, true },
    [KEY_MUTE] = { 0x23, 0, true }, [KEY_VOLUMEDOWN] = { 0x21, 0, true },
    [KEY_VOLUMEUP] = { 0x32, 0, true }, [KEY_POWER] = { 0x37, 0, true },
    [KEY_SLEEP] = { 0x3f, 0, true }, [KEY_WAKEUP] = { 0x5e, 0, true },
    [KEY_CALC] = { 0x2b, 0, true }, [KEY_MAIL] = { 0x48, 0, true },
    [KEY_HOMEPAGE] = { 0x3a, 0, true }, [KEY_SEARCH] = { 0x10, 0, true },
    [KEY_BOOKMARKS] = { 0x18, 0, true }, [KEY_REFRESH] = { 0x20, 0, true },
    [KEY_STOP] = { 0x28, 0, true }, [KEY_FORWARD] = { 0x30, 0, true },
    [KEY_BACK] = { 0x38, 0, true }, [KEY_COMPUTER] = { 0x40, 0, true },
    [KEY_MEDIA] = { 0x50, 0, true }, [KEY_PLAYPAUSE] = { 0x34, 0, true },
    [KEY_STOPCD] = { 0x3b, 0, true }, [KEY_NEXTSONG] = { 0x4d, 0, true },
    [KEY_PREVIOUSSONG] = { 0x15, 0, true },
};

/* Set 2 to set 1, as the PS/2 controller does it; codes of 0x85 and above stay. */
static const uint8_t translation[] = {
    0xff, 0x43, 0x41, 0x3f, 0x3d, 0x3b, 0x3c, 0x58, 0x64, 0x44, 0x42, 0x40, 0x3e, 0x0f, 0x29, 0x59,
    0x65, 0x38, 0x2a, 0x70, 0x1d, 0x10, 0x02, 0x5a, 0x66, 0x71, 0x2c, 0x1f, 0x1e, 0x11, 0x03, 0x5b,
    0x67, 0x2e, 0x2d, 0x20, 0x12, 0x05, 0x04, 0x5c, 0x68, 0x39, 0x2f, 0x21, 0x14, 0x13, 0x06, 0x5d,
    0x69, 0x31, 0x30, 0x23, 0x22, 0x15, 0x07, 0x5e, 0x6a, 0x72, 0x32, 0x24, 0x16, 0x08, 0x09, 0x5f,
    0x6b, 0x33, 0x25, 0x17, 0x18, 0x0b, 0x0a, 0x60, 0x6c, 0x34, 0x35, 0x26, 0x27, 0x19, 0x0c, 0x61,
    0x6d, 0x73, 0x28, 0x74, 0x1a, 0x0d, 0x62, 0x6e, 0x3a, 0x36, 0x1c, 0x1b, 0x75, 0x2b, 0x63, 0x76,
    0x55, 0x56, 0x77, 0x78, 0x79, 0x7a, 0x0e, 0x7b, 0x7c, 0x4f, 0x7d, 0x4b, 0x47, 0x7e, 0x7f, 0x6f,
    0x52, 0x53, 0x50, 0x4c, 0x4d, 0x48, 0x01, 0x45, 0x57, 0x4e, 0x51, 0x4a, 0x37, 0x49, 0x46, 0x54,
    0x80, 0x81, 0x82, 0x41, 0x54,
};

uint8_t ps2_translate(uint8_t code)
{
    return code < sizeof(translation) ? translation[code] : code;
}

/* Keystrokes. */

static void send_codes(Ps2Keyboard *kbd, const uint8_t *codes, unsigned count)
{
    if (ps2_queue_events(&kbd->queue, codes, count)) {
        kbd->link.ready(kbd->link.opaque);
    }
}

/* Make or break bytes in set 1 or 2 of one code. */
static unsigned put_code(const Ps2Keyboard *kbd, uint8_t *out, bool extended, uint8_t set2,
                         bool down)
{
    unsigned count = 0;

    if (extended) {
        out[count++] = EXTENDED_PREFIX;
    }
    if (kbd->scan_set == 1) {
        out[count++] = ps2_translate(set2) | (down ? 0 : 0x80);
        return count;
    }
    if (!down) {
        out[count++] = BREAK_PREFIX;
    }
    out[count++] = set2;
    return count;
}

/* Pause has no break code: it sends both at once. With Ctrl it is Break. */
static void send_pause(Ps2Keyboard *kbd)
{
    static const uint8_t pause_set1[] = { 0xe1, 0x1d, 0x45, 0xe1, 0x9d, 0xc5 };
    static const uint8_t pause_set2[] = { 0xe1, 0x14, 0x77, 0xe1, 0xf0, 0x14, 0xf0, 0x77 };
    uint8_t codes[8];
    unsigned count;

    if (kbd->modifiers & MOD_CTRL) {
        count = put_code(kbd, codes, true, 0x7e, true);
        count += put_code(kbd, codes + count, true, 0x7e, false);
        send_codes(kbd, codes, count);
    } else if (kbd->scan_set == 1) {
        send_codes(kbd, pause_set1, sizeof(pause_set1));
    } else {
        send_codes(kbd, pause_set2, sizeof(pause_set2));
    }
}

/* Print Screen comes with a fake shift; with Ctrl or Shift it has none, with Alt it is SysRq. */
static void send_print_screen(Ps2Keyboard *kbd, bool down)
{
    uint8_t codes[8];
    unsigned count = 0;

    if (kbd->modifiers & MOD_ALT) {
        count = put_code(kbd, codes, false, 0x84, down);
    } else if (kbd->modifiers & (MOD_CTRL | MOD_SHIFT)) {
        count = put_code(kbd, codes, true, 0x7c, down);
    } else if (down) {
        count = put_code(kbd, codes, true, 0x12, true);
        count += put_code(kbd, codes + count, true, 0x7c, true);
    } else {
        count = put_code(kbd, codes, true, 0x7c, false);
        count += put_code(kbd, codes + count, true, 0x12, false);
    }
    send_codes(kbd, codes, count);
}

static uint8_t key_mode(const Ps2Keyboard *kbd, uint8_t set3)
{
    return kbd->key_modes[set3 / 2] >> (set3 % 2 * 4) & MODE_MASK;
}

static void set_key_mode(Ps2Keyboard *kbd, uint8_t set3, uint8_t mode)
{
    unsigned shift = set3 % 2 * 4;

    kbd->key_modes[set3 / 2] = (kbd->key_modes[set3 / 2] & ~(MODE_MASK << shift)) | mode << shift;
}

static void send_set3(Ps2Keyboard *kbd, uint8_t set3, bool down)
{
    const uint8_t codes[] = { BREAK_PREFIX, set3 };

    if (!set3) {
        return;
    }
    if (down) {
        send_codes(kbd, codes + 1, 1);
    } else if (!(key_mode(kbd, set3) & MODE_NO_BREAK)) {
        send_codes(kbd, codes, 2);
    }
}

static void note_modifier(Ps2Keyboard *kbd, uint16_t key, bool down)
{
    static const struct {
        uint16_t key;
        uint8_t bit;
    } modifiers[] = {
        { KEY_LEFTCTRL, MOD_CTRL_L }, { KEY_RIGHTCTRL, MOD_CTRL_R }, { KEY_LEFTALT, MOD_ALT_L },
        { KEY_RIGHTALT, MOD_ALT_R }, { KEY_LEFTSHIFT, MOD_SHIFT_L },
        { KEY_RIGHTSHIFT, MOD_SHIFT_R },
    };

    for (size_t i = 0; i < sizeof(modifiers) / sizeof(modifiers[0]); i++) {
        if (modifiers[i].key == key) {
            kbd->modifiers = down ? kbd->modifiers | modifiers[i].bit
                                  : kbd->modifiers & ~modifiers[i].bit;
        }
    }
}

static void keyboard_key(void *opaque, uint16_t key, bool down)
{
    Ps2Keyboard *kbd = opaque;
    const KeyCode *code = &keys[key < sizeof(keys) / sizeof(keys[0]) ? key : 0];
    uint8_t codes[4];

    note_modifier(kbd, key, down);
    if (!kbd->scanning || !code->set2) {
        return;
    }
    if (kbd->scan_set == 3) {
        send_set3(kbd, code->set3, down);
    } else if (key == KEY_PAUSE) {
        if (down) {
            send_pause(kbd);
        }
    } else if (key == KEY_SYSRQ) {
        send_print_screen(kbd, down);
    } else {
        send_codes(kbd, codes, put_code(kbd, codes, code->extended, code->set2, down));
    }
}

/* Commands. */

static void set_defaults(Ps2Keyboard *kbd)
{
    kbd->command = 0;
    kbd->scan_set = 2;
    kbd->typematic = DEFAULT_TYPEMATIC;
    memset(kbd->key_modes, 0, sizeof(kbd->key_modes));
}

static void set_all_modes(Ps2Keyboard *kbd, uint8_t mode)
{
    memset(kbd->key_modes, mode | mode << 4, sizeof(kbd->key_modes));
}

static void set_leds(Ps2Keyboard *kbd, uint8_t leds)
{
    kbd->leds = leds & LEDS_MASK;
    input_set_leds(kbd->leds);
}

static void finish_command(Ps2Keyboard *kbd, uint8_t argument)
{
    uint8_t command = kbd->command;

    kbd->command = 0;
    switch (command) {
    case CMD_LEDS:
        set_leds(kbd, argument);
        break;
    case CMD_SCAN_SET:
        if (argument > 3) {
            ps2_queue_reply(&kbd->queue, REPLY_RESEND);
            return;
        }
        ps2_queue_reply(&kbd->queue, REPLY_ACK);
        if (argument) {
            kbd->scan_set = argument;
        } else {
            ps2_queue_reply(&kbd->queue, kbd->scan_set);
        }
        return;
    case CMD_TYPEMATIC:
        kbd->typematic = argument & 0x7f;
        break;
    case CMD_KEY_TYPEMATIC:
        set_key_mode(kbd, argument, MODE_NO_BREAK);
        break;
    case CMD_KEY_MAKE_BREAK:
        set_key_mode(kbd, argument, MODE_NO_REPEAT);
        break;
    default:
        set_key_mode(kbd, argument, MODE_NO_REPEAT | MODE_NO_BREAK);
        break;
    }
    ps2_queue_reply(&kbd->queue, REPLY_ACK);
}

static void start_command(Ps2Keyboard *kbd, uint8_t command)
{
    uint8_t last = kbd->queue.last_byte;

    if (command == CMD_ECHO || command == CMD_RESEND) {
        ps2_queue_reply(&kbd->queue, command == CMD_ECHO ? CMD_ECHO : last);
        return;
    }
    if (command < CMD_LEDS || command == 0xef || command == 0xf1) {
        ps2_queue_reply(&kbd->queue, REPLY_RESEND);
        return;
    }
    ps2_queue_reply(&kbd->queue, REPLY_ACK);
    switch (command) {
    case CMD_IDENTIFY:
        ps2_queue_reply(&kbd->queue, 0xab);
        ps2_queue_reply(&kbd->queue, 0x83);
        break;
    case CMD_ENABLE:
        kbd->scanning = true;
        break;
    case CMD_DISABLE:
        set_defaults(kbd);
        kbd->scanning = false;
        break;
    case CMD_DEFAULTS:
        set_defaults(kbd);
        break;
    case CMD_ALL_TYPEMATIC:
        set_all_modes(kbd, MODE_NO_BREAK);
        break;
    case CMD_ALL_MAKE_BREAK:
        set_all_modes(kbd, MODE_NO_REPEAT);
        break;
    case CMD_ALL_MAKE:
        set_all_modes(kbd, MODE_NO_REPEAT | MODE_NO_BREAK);
        break;
    case CMD_ALL_TYPEMATIC_MAKE_BREAK:
        set_all_modes(kbd, 0);
        break;
    case CMD_RESET:
        ps2_keyboard_reset(kbd);
        ps2_queue_reply(&kbd->queue, REPLY_ACK);
        ps2_queue_reply(&kbd->queue, REPLY_TEST_PASSED);
        break;
    default: /* an argument follows */
        kbd->command = command;
        break;
    }
}

/* A command ends the answer to the last one. A byte of 0xed and above is never an argument. */
void ps2_keyboard_write(Ps2Keyboard *kbd, uint8_t byte)
{
    kbd->queue.reply_count = 0;
    if (kbd->command && byte < CMD_LEDS) {
        finish_command(kbd, byte);
    } else {
        kbd->command = 0;
        start_command(kbd, byte);
    }
    kbd->link.ready(kbd->link.opaque);
}

/* Life. */

void ps2_keyboard_reset(Ps2Keyboard *kbd)
{
    ps2_queue_clear(&kbd->queue);
    set_defaults(kbd);
    kbd->scanning = true;
    kbd->modifiers = 0;
    set_leds(kbd, 0);
}

static const InputHandlerOps keyboard_handler = {
    .name = "PS/2 keyboard",
    .kinds = INPUT_KEYS,
    .key = keyboard_key,
};

void ps2_keyboard_init(Ps2Keyboard *kbd, Ps2Link link)
{
    kbd->link = link;
    ps2_keyboard_reset(kbd);
    input_handler_add(&keyboard_handler, kbd);
}

void ps2_keyboard_cleanup(Ps2Keyboard *kbd)
{
    input_handler_remove(&keyboard_handler, kbd);
}

static bool keyboard_post_load(void *opaque, int version, GError **error)
{
    Ps2Keyboard *kbd = opaque;

    if (kbd->scan_set < 1 || kbd->scan_set > 3) {
        error_setf(error, "ps2-keyboard: there is no scan code set %u", kbd->scan_set);
        return false;
    }
    set_leds(kbd, kbd->leds);
    return true;
}

const VmState ps2_keyboard_vmstate = {
    .name = "ps2-keyboard",
    .version = 1,
    .minimum_version = 1,
    .post_load = keyboard_post_load,
    .fields = (const VmStateField[]) {
        VMSTATE_STRUCT(Ps2Keyboard, queue, ps2_queue_vmstate),
        VMSTATE_BOOL(Ps2Keyboard, scanning),
        VMSTATE_U8(Ps2Keyboard, command),
        VMSTATE_U8(Ps2Keyboard, scan_set),
        VMSTATE_U8(Ps2Keyboard, leds),
        VMSTATE_U8(Ps2Keyboard, typematic),
        VMSTATE_U8(Ps2Keyboard, modifiers),
        VMSTATE_BUFFER(Ps2Keyboard, key_modes),
        VMSTATE_END
    },
};
