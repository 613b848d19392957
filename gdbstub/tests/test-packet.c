/* SPDX-License-Identifier: Apache-2.0 */
/* Framing of GDB's remote protocol. */
#include "gdbstub/packet.h"

#include <string.h>


/* Feed bytes; each event becomes a letter, packets their data. */
static char *feed(const char *bytes, size_t len)
{
    static const char letters[] = {
        [GDB_INPUT_PACKET] = 'P', [GDB_INPUT_TOO_LONG] = 'L', [GDB_INPUT_BAD] = 'B',
        [GDB_INPUT_ACK] = '+', [GDB_INPUT_NAK] = '-', [GDB_INPUT_BREAK] = '!',
    };
    GdbReceiver *rx = g_new(GdbReceiver, 1);
    GString *log = g_string_new(NULL);

    gdb_receiver_init(rx);
    for (size_t i = 0; i < len; i++) {
        GdbInput input = gdb_receiver_put(rx, (uint8_t)bytes[i]);

        if (input != GDB_INPUT_NONE) {
            g_string_append_c(log, letters[input]);
        }
        if (input == GDB_INPUT_PACKET) {
            g_string_append_len(log, (const char *)rx->data, (gssize)rx->len);
        }
    }
    g_free(rx);
    return g_string_free(log, false);
}

static void check(const char *bytes, const char *expected)
{
    g_autofree char *seen = feed(bytes, strlen(bytes));

    g_assert_cmpstr(seen, ==, expected);
}

static void test_receive(void)
{
    check("$#00", "P");
    check("$g#67", "Pg");
    check("+$g#67-", "+Pg-");
    check("\003$?#3f\003", "!P?!");
    check("$g#68", "B");
    check("$g#6x", "B");
    check("$g#6X$g#67", "BPg");
    check("$m0,1$g#67", "Pg");      /* the end of the first was lost */
    check("garbage$g#67tail", "Pg");
    check("$X}\003#d8", "PX#");
    check("$X}]#32", "PX}");
    check("$X}#d5", "B");           /* an escape of nothing */
    check("$X0,1:*#49", "PX0,1:*"); /* no run: peers' data are not compressed */
    check("$half", "");
}

static void test_too_long(void)
{
    GString *text = g_string_new("$");
    uint8_t sum = 0;
    g_autofree char *seen = NULL;

    for (unsigned i = 0; i < GDB_PACKET_MAX + 1; i++) {
        g_string_append_c(text, 'a');
        sum += 'a';
    }
    g_string_append_printf(text, "#%02x$g#67", sum);
    seen = feed(text->str, text->len);
    g_assert_cmpstr(seen, ==, "LPg");
    g_string_free(text, true);
}

/* What GDB does with a packet of ours. */
static char *expand(const char *packet, size_t len)
{
    GString *data = g_string_new(NULL);
    uint8_t sum = 0;
    char told[3] = { packet[len - 2], packet[len - 1], 0 };

    g_assert_cmpint(packet[0], ==, '$');
    g_assert_cmpint(packet[len - 3], ==, '#');
    for (size_t i = 1; i < len - 3; i++) {
        sum += (uint8_t)packet[i];
        g_assert_true(packet[i] != '$' && packet[i] != '#');
        if (packet[i] == '*') {
            char last = data->str[data->len - 1];
            int more = packet[++i] - 29;

            sum += (uint8_t)packet[i];
            g_assert_cmpint(more, >=, 3);
            g_assert_cmpint(packet[i], <=, '~');
            g_assert_null(strchr("#$+-", packet[i]));
            while (more--) {
                g_string_append_c(data, last);
            }
        } else {
            g_string_append_c(data, packet[i]);
        }
    }
    g_assert_cmpint(g_ascii_strtoll(told, NULL, 16), ==, sum);
    return g_string_free(data, false);
}

static void test_send(void)
{
    GString *packet = g_string_new(NULL);

    gdb_packet_encode(packet, "OK", 2);
    g_assert_cmpstr(packet->str, ==, "$OK#9a");
    g_string_truncate(packet, 0);
    gdb_packet_encode(packet, "0000", 4);
    g_assert_cmpstr(packet->str, ==, "$0* #7a");
    for (unsigned n = 1; n < 400; n++) {
        g_autofree char *data = g_strnfill(n, 'f'), *back = NULL;

        g_string_truncate(packet, 0);
        gdb_packet_encode(packet, data, n);
        back = expand(packet->str, packet->len);
        g_assert_cmpstr(back, ==, data);
        g_assert_true(n < 4 || packet->len < n + 4);
    }
    g_string_free(packet, true);
}

static void test_pieces(void)
{
    GString *text = g_string_new(NULL);
    uint8_t bytes[4];

    gdb_put_hex(text, "\x01\xfe", 2);
    g_assert_cmpstr(text->str, ==, "01fe");
    g_assert_true(gdb_get_hex("01FE", bytes, 2));
    g_assert_cmphex(bytes[1], ==, 0xfe);
    g_assert_false(gdb_get_hex("0", bytes, 1));
    g_assert_false(gdb_get_hex("0g", bytes, 1));
    g_string_truncate(text, 0);
    gdb_put_escaped(text, "a#$}*b", 6);
    g_assert_cmpstr(text->str, ==, "a}\003}\004}]}\nb");
    g_string_free(text, true);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/gdbstub/packet/receive", test_receive);
    g_test_add_func("/gdbstub/packet/too-long", test_too_long);
    g_test_add_func("/gdbstub/packet/send", test_send);
    g_test_add_func("/gdbstub/packet/pieces", test_pieces);
    return g_test_run();
}
