/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Telnet: see chardev/telnet.h. Codes are those of RFC 854 and, for options, RFC 856, 857, 858,
 * 885, 1091.
 */
#include "chardev/telnet.h"

enum {
    EOR = 239, SE = 240, BRK = 243, IP = 244, SB = 250, WILL = 251, WONT = 252, DO = 253,
    DONT = 254, IAC = TELNET_IAC,
};
enum { OPT_BINARY = 0, OPT_ECHO = 1, OPT_SGA = 3, OPT_TTYPE = 24, OPT_EOR = 25 };

enum FilterState {
    ST_DATA,
    ST_IAC,    /* after IAC */
    ST_OPTION, /* after IAC WILL..DONT: the option follows */
    ST_SB,     /* within a subnegotiation */
    ST_SB_IAC,
};

/* We echo, character by character and in eight bits. */
static const uint8_t plain_offer[] = {
    IAC, WILL, OPT_ECHO, IAC, WILL, OPT_SGA, IAC, WILL, OPT_BINARY, IAC, DO, OPT_BINARY,
};
static const uint8_t tn3270_offer[] = {
    IAC, DO, OPT_EOR, IAC, WILL, OPT_EOR, IAC, DO, OPT_BINARY, IAC, WILL, OPT_BINARY,
    IAC, DO, OPT_TTYPE, IAC, SB, OPT_TTYPE, 1, IAC, SE,
};

const uint8_t *telnet_offer(bool tn3270, size_t *len)
{
    *len = tn3270 ? sizeof(tn3270_offer) : sizeof(plain_offer);
    return tn3270 ? tn3270_offer : plain_offer;
}

static uint8_t after_iac(uint8_t byte, unsigned *breaks)
{
    switch (byte) {
    case WILL:
    case WONT:
    case DO:
    case DONT:
        return ST_OPTION;
    case SB:
        return ST_SB;
    case BRK:
    case IP:
        (*breaks)++;
        return ST_DATA;
    default:
        return ST_DATA;
    }
}

size_t telnet_filter(TelnetFilter *filter, uint8_t *buf, size_t len, unsigned *breaks)
{
    size_t kept = 0;

    *breaks = 0;
    for (size_t i = 0; i < len; i++) {
        uint8_t byte = buf[i];

        switch (filter->state) {
        case ST_DATA:
            if (byte == IAC) {
                filter->state = ST_IAC;
            } else {
                buf[kept++] = byte;
            }
            break;
        case ST_IAC:
            if (byte == IAC) {
                buf[kept++] = byte;
                filter->state = ST_DATA;
            } else {
                filter->state = after_iac(byte, breaks);
            }
            break;
        case ST_OPTION:
            filter->state = ST_DATA;
            break;
        case ST_SB:
            filter->state = byte == IAC ? ST_SB_IAC : ST_SB;
            break;
        default:
            filter->state = byte == SE ? ST_DATA : ST_SB;
            break;
        }
    }
    return kept;
}
