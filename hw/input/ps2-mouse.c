/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PS/2 mouse (IBM Personal System/2 Hardware Interface Technical Reference, "Mouse"), with the two
 * extensions of Microsoft's IntelliMouse: after the sample rates 200, 100, 80 it has id 3 and a
 * fourth byte for the wheel; after 200, 200, 80 then id 4 and two more buttons in that byte.
 *
 *   byte 1: 7 y overflow, 6 x overflow, 5 y sign, 4 x sign, 3 one, 2 middle, 1 right, 0 left
 *   byte 2, 3: movement, two's complement of nine bits with the sign; up is positive
 *   byte 4: id 3: wheel, down positive; id 4: 5 fifth button, 4 fourth button, 3:0 wheel
 *
 * Movement is added up until the last packet was taken: a guest that is slow gets fewer, longer
 * moves.
 */
#include <stdlib.h>

#include "hw/input/input-events.h"
#include "hw/input/ps2.h"
#include "util/error.h"

enum Command {
    CMD_SCALE_1_1 = 0xe6, CMD_SCALE_2_1 = 0xe7, CMD_RESOLUTION = 0xe8, CMD_STATUS = 0xe9,
    CMD_STREAM = 0xea, CMD_READ = 0xeb, CMD_END_WRAP = 0xec, CMD_WRAP = 0xee, CMD_REMOTE = 0xf0,
    CMD_IDENTIFY = 0xf2, CMD_SAMPLE_RATE = 0xf3, CMD_ENABLE = 0xf4, CMD_DISABLE = 0xf5,
    CMD_DEFAULTS = 0xf6, CMD_RESEND = 0xfe, CMD_RESET = 0xff,
};
enum Reply { REPLY_TEST_PASSED = 0xaa, REPLY_ACK = 0xfa, REPLY_ERROR = 0xfc, REPLY_RESEND = 0xfe };
enum { BUTTON_LEFT = 0x01, BUTTON_RIGHT = 0x02, BUTTON_MIDDLE = 0x04, BUTTON_4 = 0x10,
       BUTTON_5 = 0x20 };
enum { PACKET_ALWAYS = 0x08, PACKET_X_SIGN = 0x10, PACKET_Y_SIGN = 0x20 };
enum { STATUS_SCALE_2_1 = 0x10, STATUS_ENABLED = 0x20, STATUS_REMOTE = 0x40 };
enum { ID_PLAIN = 0, ID_WHEEL = 3, ID_FIVE_BUTTONS = 4 };

#define DEFAULT_RESOLUTION 2 /* 4 counts a millimetre */
#define DEFAULT_RATE 100
#define MAX_MOVE 255
#define MAX_SAVED 0x10000 /* of movement that nobody fetches */

static int take(int32_t *saved, int limit)
{
    int part = CLAMP(*saved, -limit, limit);

    *saved -= part;
    return part;
}

/* 2:1 scaling is for streaming only (technical reference, "Set Scaling 2:1"). */
static int scale(const Ps2Mouse *mouse, int move)
{
    static const int small[] = { 0, 1, 1, 3, 6, 9 };
    int size = abs(move);

    if (!mouse->scale21 || mouse->remote) {
        return move;
    }
    size = size < 6 ? small[size] : size * 2;
    return CLAMP(move < 0 ? -size : size, -MAX_MOVE, MAX_MOVE);
}

static unsigned make_packet(Ps2Mouse *mouse, uint8_t packet[4])
{
    int x = scale(mouse, take(&mouse->dx, MAX_MOVE));
    int y = scale(mouse, take(&mouse->dy, MAX_MOVE));

    packet[0] = PACKET_ALWAYS | (mouse->buttons & (BUTTON_LEFT | BUTTON_RIGHT | BUTTON_MIDDLE)) |
                (x < 0 ? PACKET_X_SIGN : 0) | (y < 0 ? PACKET_Y_SIGN : 0);
    packet[1] = x;
    packet[2] = y;
    mouse->sent_buttons = mouse->buttons;
    switch (mouse->id) {
    case ID_WHEEL:
        packet[3] = take(&mouse->dz, 127);
        return 4;
    case ID_FIVE_BUTTONS:
        packet[3] = (take(&mouse->dz, 7) & 0x0f) | (mouse->buttons & (BUTTON_4 | BUTTON_5));
        return 4;
    default:
        mouse->dz = 0;
        return 3;
    }
}

static bool has_news(const Ps2Mouse *mouse)
{
    return mouse->dx || mouse->dy || (mouse->dz && mouse->id != ID_PLAIN) ||
           mouse->buttons != mouse->sent_buttons;
}

static void stream(Ps2Mouse *mouse)
{
    uint8_t packet[4];

    if (mouse->enabled && !mouse->remote && !mouse->wrap && !mouse->queue.event_count &&
        has_news(mouse)) {
        ps2_queue_events(&mouse->queue, packet, make_packet(mouse, packet));
        mouse->link.ready(mouse->link.opaque);
    }
}

void ps2_mouse_taken(Ps2Mouse *mouse)
{
    stream(mouse);
}

/* From the person. */

static void mouse_button(void *opaque, InputButton button, bool down)
{
    static const uint8_t bits[] = {
        [INPUT_BUTTON_LEFT] = BUTTON_LEFT, [INPUT_BUTTON_RIGHT] = BUTTON_RIGHT,
        [INPUT_BUTTON_MIDDLE] = BUTTON_MIDDLE, [INPUT_BUTTON_SIDE] = BUTTON_4,
        [INPUT_BUTTON_EXTRA] = BUTTON_5,
    };
    Ps2Mouse *mouse = opaque;

    mouse->buttons = down ? mouse->buttons | bits[button] : mouse->buttons & ~bits[button];
    /* A click must not melt away while an older packet waits. */
    if (mouse->enabled && !mouse->remote && !mouse->wrap && mouse->queue.event_count &&
        has_news(mouse)) {
        uint8_t packet[4];

        ps2_queue_events(&mouse->queue, packet, make_packet(mouse, packet));
    }
}

static int32_t add_saved(int32_t saved, int move)
{
    return CLAMP((int64_t)saved + move, -MAX_SAVED, MAX_SAVED);
}

static void mouse_move(void *opaque, int dx, int dy, int wheel)
{
    Ps2Mouse *mouse = opaque;

    if (!mouse->enabled && !mouse->remote) {
        return;
    }
    mouse->dx = add_saved(mouse->dx, dx);
    mouse->dy = add_saved(mouse->dy, dy > -MAX_SAVED ? -dy : MAX_SAVED);
    mouse->dz = add_saved(mouse->dz, wheel > -MAX_SAVED ? -wheel : MAX_SAVED);
}

static void mouse_sync(void *opaque)
{
    stream(opaque);
}

/* Commands. */

static void set_defaults(Ps2Mouse *mouse)
{
    mouse->command = 0;
    mouse->enabled = mouse->remote = mouse->wrap = mouse->scale21 = false;
    mouse->resolution = DEFAULT_RESOLUTION;
    mouse->sample_rate = DEFAULT_RATE;
    mouse->knock = 0;
    mouse->dx = mouse->dy = mouse->dz = 0;
}

/* knock: 0; 1 after 200; 2 after 200, 100; 3 after 200, 200. */
static void listen_to_knock(Ps2Mouse *mouse, uint8_t rate)
{
    if (mouse->knock == 2 && rate == 80) {
        mouse->id = ID_WHEEL;
    } else if (mouse->knock == 3 && rate == 80 && mouse->id != ID_PLAIN) {
        mouse->id = ID_FIVE_BUTTONS;
    }
    if (rate == 200) {
        mouse->knock = mouse->knock ? 3 : 1;
    } else {
        mouse->knock = (mouse->knock == 1 || mouse->knock == 3) && rate == 100 ? 2 : 0;
    }
}

static void send_status(Ps2Mouse *mouse)
{
    uint8_t buttons = mouse->buttons;

    ps2_queue_reply(&mouse->queue,
                    (mouse->remote ? STATUS_REMOTE : 0) | (mouse->enabled ? STATUS_ENABLED : 0) |
                    (mouse->scale21 ? STATUS_SCALE_2_1 : 0) | (buttons & BUTTON_LEFT ? 4 : 0) |
                    (buttons & BUTTON_MIDDLE ? 2 : 0) | (buttons & BUTTON_RIGHT ? 1 : 0));
    ps2_queue_reply(&mouse->queue, mouse->resolution);
    ps2_queue_reply(&mouse->queue, mouse->sample_rate);
}

static void send_packet(Ps2Mouse *mouse)
{
    uint8_t packet[4];
    unsigned count = make_packet(mouse, packet);

    for (unsigned i = 0; i < count; i++) {
        ps2_queue_reply(&mouse->queue, packet[i]);
    }
}

/* The argument of SET RESOLUTION or SET SAMPLE RATE. */
static void finish_command(Ps2Mouse *mouse, uint8_t argument)
{
    bool is_rate = mouse->command == CMD_SAMPLE_RATE;

    mouse->command = 0;
    if (is_rate ? argument < 10 || argument > 200 : argument > 3) {
        ps2_queue_reply(&mouse->queue, REPLY_ERROR);
        return;
    }
    if (is_rate) {
        mouse->sample_rate = argument;
        listen_to_knock(mouse, argument);
    } else {
        mouse->resolution = argument;
    }
    ps2_queue_reply(&mouse->queue, REPLY_ACK);
}

static void answer_query(Ps2Mouse *mouse, uint8_t command)
{
    ps2_queue_reply(&mouse->queue, REPLY_ACK);
    if (command == CMD_STATUS) {
        send_status(mouse);
    } else if (command == CMD_READ) {
        send_packet(mouse);
    } else {
        ps2_queue_reply(&mouse->queue, mouse->id);
    }
}

static void start_command(Ps2Mouse *mouse, uint8_t command)
{
    switch (command) {
    case CMD_STATUS:
    case CMD_READ:
    case CMD_IDENTIFY:
        answer_query(mouse, command);
        return;
    case CMD_RESEND:
        ps2_queue_reply(&mouse->queue, mouse->queue.last_byte);
        return;
    case CMD_RESET:
        ps2_mouse_reset(mouse);
        ps2_queue_reply(&mouse->queue, REPLY_ACK);
        ps2_queue_reply(&mouse->queue, REPLY_TEST_PASSED);
        ps2_queue_reply(&mouse->queue, mouse->id);
        return;
    case CMD_SCALE_1_1:
    case CMD_SCALE_2_1:
        mouse->scale21 = command == CMD_SCALE_2_1;
        break;
    case CMD_RESOLUTION:
    case CMD_SAMPLE_RATE:
        mouse->command = command;
        break;
    case CMD_STREAM:
    case CMD_REMOTE:
        mouse->remote = command == CMD_REMOTE;
        break;
    case CMD_END_WRAP:
    case CMD_WRAP:
        mouse->wrap = command == CMD_WRAP;
        break;
    case CMD_ENABLE:
    case CMD_DISABLE:
        mouse->enabled = command == CMD_ENABLE;
        mouse->queue.event_head = mouse->queue.event_count = 0;
        break;
    case CMD_DEFAULTS:
        set_defaults(mouse);
        break;
    default:
        ps2_queue_reply(&mouse->queue, REPLY_RESEND);
        return;
    }
    ps2_queue_reply(&mouse->queue, REPLY_ACK);
}

void ps2_mouse_write(Ps2Mouse *mouse, uint8_t byte)
{
    mouse->queue.reply_count = 0;
    if (mouse->wrap && byte != CMD_END_WRAP && byte != CMD_RESET) {
        ps2_queue_reply(&mouse->queue, byte);
    } else if (mouse->command && byte != CMD_RESET) {
        finish_command(mouse, byte);
    } else {
        mouse->command = 0;
        start_command(mouse, byte);
    }
    mouse->link.ready(mouse->link.opaque);
}

/* Life. */

void ps2_mouse_reset(Ps2Mouse *mouse)
{
    ps2_queue_clear(&mouse->queue);
    set_defaults(mouse);
    mouse->id = ID_PLAIN;
    mouse->sent_buttons = mouse->buttons;
}

static const InputHandlerOps mouse_handler = {
    .name = "PS/2 mouse",
    .kinds = INPUT_BUTTONS | INPUT_RELATIVE,
    .button = mouse_button,
    .move = mouse_move,
    .sync = mouse_sync,
};

void ps2_mouse_init(Ps2Mouse *mouse, Ps2Link link)
{
    mouse->link = link;
    ps2_mouse_reset(mouse);
    input_handler_add(&mouse_handler, mouse);
}

void ps2_mouse_cleanup(Ps2Mouse *mouse)
{
    input_handler_remove(&mouse_handler, mouse);
}

static bool mouse_post_load(void *opaque, int version, GError **error)
{
    Ps2Mouse *mouse = opaque;

    if (mouse->id != ID_PLAIN && mouse->id != ID_WHEEL && mouse->id != ID_FIVE_BUTTONS) {
        error_setf(error, "ps2-mouse: there is no id %u", mouse->id);
        return false;
    }
    mouse->dx = add_saved(mouse->dx, 0);
    mouse->dy = add_saved(mouse->dy, 0);
    mouse->dz = add_saved(mouse->dz, 0);
    return true;
}

const VmState ps2_mouse_vmstate = {
    .name = "ps2-mouse",
    .version = 1,
    .minimum_version = 1,
    .post_load = mouse_post_load,
    .fields = (const VmStateField[]) {
        VMSTATE_STRUCT(Ps2Mouse, queue, ps2_queue_vmstate),
        VMSTATE_BOOL(Ps2Mouse, enabled),
        VMSTATE_BOOL(Ps2Mouse, remote),
        VMSTATE_BOOL(Ps2Mouse, wrap),
        VMSTATE_BOOL(Ps2Mouse, scale21),
        VMSTATE_U8(Ps2Mouse, command),
        VMSTATE_U8(Ps2Mouse, resolution),
        VMSTATE_U8(Ps2Mouse, sample_rate),
        VMSTATE_U8(Ps2Mouse, id),
        VMSTATE_U8(Ps2Mouse, knock),
        VMSTATE_U8(Ps2Mouse, buttons),
        VMSTATE_U8(Ps2Mouse, sent_buttons),
        VMSTATE_I32(Ps2Mouse, dx),
        VMSTATE_I32(Ps2Mouse, dy),
        VMSTATE_I32(Ps2Mouse, dz),
        VMSTATE_END
    },
};
