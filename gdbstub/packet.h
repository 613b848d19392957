/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Packets of the GDB remote serial protocol (GDB manual, appendix "Remote Protocol", "Overview"):
 * "$" data "#" two hex digits of the sum of the data modulo 256. Acknowledged by "+" or "-"; byte
 * 0x03 outside of packets interrupts. Within data "}" escapes the next byte, which is XORed with
 * 0x20; what a stub sends may be run-length encoded: "*" and a count behind a character.
 */
#ifndef VIREO_GDBSTUB_PACKET_H
#define VIREO_GDBSTUB_PACKET_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#define GDB_PACKET_MAX 16384u /* bytes of data, either way */

typedef enum GdbInput {
    GDB_INPUT_NONE,     /* more is to come */
    GDB_INPUT_PACKET,   /* data, len hold one, unescaped */
    GDB_INPUT_TOO_LONG, /* one was well-formed, but its data did not fit */
    GDB_INPUT_BAD,      /* wrong sum: to be sent again */
    GDB_INPUT_ACK,
    GDB_INPUT_NAK,
    GDB_INPUT_BREAK,
} GdbInput;

typedef struct GdbReceiver {
    enum { GDB_RX_IDLE, GDB_RX_DATA, GDB_RX_ESCAPED, GDB_RX_SUM1, GDB_RX_SUM2 } state;
    uint8_t sum, told;  /* of the bytes so far; as the sender says */
    bool bad, too_long;
    size_t len;
    uint8_t data[GDB_PACKET_MAX + 1]; /* a NUL follows */
} GdbReceiver;

void gdb_receiver_init(GdbReceiver *rx);
GdbInput gdb_receiver_put(GdbReceiver *rx, uint8_t byte);

/* Append the packet with this data, which is escaped already where it has to be. */
void gdb_packet_encode(GString *out, const char *data, size_t len);

/* Pieces of data. */
void gdb_put_hex(GString *out, const void *bytes, size_t len);
void gdb_put_escaped(GString *out, const void *bytes, size_t len);
int gdb_hex_digit(char c); /* -1: not one */
/* Bytes from 2 * len digits; false if one is none. */
bool gdb_get_hex(const char *text, uint8_t *bytes, size_t len);

#endif
