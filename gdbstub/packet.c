/* SPDX-License-Identifier: Apache-2.0 */
#include "gdbstub/packet.h"

#include <string.h>

#define ESCAPE '}'
#define ESCAPE_XOR 0x20
#define RUN '*'
#define RUN_BIAS 29 /* a count of n more is written as this plus n, from ' ' to '~' */
#define RUN_MIN 3
#define RUN_MAX ('~' - RUN_BIAS)
#define BREAK 0x03

void gdb_receiver_init(GdbReceiver *rx)
{
    rx->state = GDB_RX_IDLE;
    rx->len = 0;
}

static void begin(GdbReceiver *rx)
{
    rx->state = GDB_RX_DATA;
    rx->sum = 0;
    rx->bad = rx->too_long = false;
    rx->len = 0;
}

static void put_data(GdbReceiver *rx, uint8_t byte)
{
    if (rx->len < GDB_PACKET_MAX) {
        rx->data[rx->len++] = byte;
    } else {
        rx->too_long = true;
    }
}

static GdbInput put_idle(GdbReceiver *rx, uint8_t byte)
{
    switch (byte) {
    case '$':
        begin(rx);
        return GDB_INPUT_NONE;
    case '+':
        return GDB_INPUT_ACK;
    case '-':
        return GDB_INPUT_NAK;
    case BREAK:
        return GDB_INPUT_BREAK;
    default:
        return GDB_INPUT_NONE;
    }
}

/* Neither '$' nor '#' stands in data: a '$' means that the rest of a packet was lost. */
static void put_in_packet(GdbReceiver *rx, uint8_t byte)
{
    if (byte == '$') {
        begin(rx);
        return;
    }
    if (byte == '#') {
        rx->bad = rx->state == GDB_RX_ESCAPED;
        rx->state = GDB_RX_SUM1;
        return;
    }
    rx->sum += byte;
    if (rx->state == GDB_RX_ESCAPED) {
        put_data(rx, byte ^ ESCAPE_XOR);
        rx->state = GDB_RX_DATA;
    } else if (byte == ESCAPE) {
        rx->state = GDB_RX_ESCAPED;
    } else {
        put_data(rx, byte);
    }
}

static void put_sum(GdbReceiver *rx, uint8_t byte)
{
    int digit = gdb_hex_digit((char)byte);

    rx->bad |= digit < 0;
    rx->told = (uint8_t)(rx->told << 4 | (digit & 0xf));
}

GdbInput gdb_receiver_put(GdbReceiver *rx, uint8_t byte)
{
    switch (rx->state) {
    case GDB_RX_DATA:
    case GDB_RX_ESCAPED:
        put_in_packet(rx, byte);
        return GDB_INPUT_NONE;
    case GDB_RX_SUM1:
        put_sum(rx, byte);
        rx->state = GDB_RX_SUM2;
        return GDB_INPUT_NONE;
    case GDB_RX_SUM2:
        put_sum(rx, byte);
        rx->state = GDB_RX_IDLE;
        rx->data[rx->len] = 0;
        return rx->bad || rx->told != rx->sum ? GDB_INPUT_BAD :
               rx->too_long ? GDB_INPUT_TOO_LONG : GDB_INPUT_PACKET;
    default:
        return put_idle(rx, byte);
    }
}

/* ---- Sending ---- */

/* How many more of the first character to announce; 0: do not. */
static size_t run_length(const char *data, size_t len)
{
    size_t more = 0;

    while (more + 1 < len && more < RUN_MAX && data[more + 1] == data[0]) {
        more++;
    }
    /* These counts would look like the frame's own characters or acknowledgements. */
    while (more >= RUN_MIN && strchr("#$+-", RUN_BIAS + (int)more)) {
        more--;
    }
    return more >= RUN_MIN ? more : 0;
}

static void put_summed(GString *out, uint8_t *sum, char c)
{
    g_string_append_c(out, c);
    *sum += (uint8_t)c;
}

void gdb_packet_encode(GString *out, const char *data, size_t len)
{
    uint8_t sum = 0;

    g_string_append_c(out, '$');
    for (size_t i = 0; i < len; i++) {
        size_t more = run_length(data + i, len - i);

        put_summed(out, &sum, data[i]);
        if (more) {
            put_summed(out, &sum, RUN);
            put_summed(out, &sum, (char)(RUN_BIAS + more));
            i += more;
        }
    }
    g_string_append_printf(out, "#%02x", sum);
}

/* ---- Pieces ---- */

void gdb_put_hex(GString *out, const void *bytes, size_t len)
{
    static const char digits[] = "0123456789abcdef";
    const uint8_t *byte = bytes;

    for (size_t i = 0; i < len; i++) {
        g_string_append_c(out, digits[byte[i] >> 4]);
        g_string_append_c(out, digits[byte[i] & 0xf]);
    }
}

void gdb_put_escaped(GString *out, const void *bytes, size_t len)
{
    const char *c = bytes;

    for (size_t i = 0; i < len; i++) {
        if (c[i] == '#' || c[i] == '$' || c[i] == ESCAPE || c[i] == RUN) {
            g_string_append_c(out, ESCAPE);
            g_string_append_c(out, c[i] ^ ESCAPE_XOR);
        } else {
            g_string_append_c(out, c[i]);
        }
    }
}

int gdb_hex_digit(char c)
{
    return g_ascii_xdigit_value(c);
}

bool gdb_get_hex(const char *text, uint8_t *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        int high = gdb_hex_digit(text[2 * i]);
        int low = high < 0 ? -1 : gdb_hex_digit(text[2 * i + 1]);

        if (low < 0) {
            return false;
        }
        bytes[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}
