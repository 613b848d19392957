/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Just enough telnet (RFC 854) for a console: one offer at the start, commands filtered out of the
 * input, 0xff doubled in the output. The same for tn3270 (RFC 1041, binary and end-of-record, RFC
 * 885).
 */
#ifndef VIREO_CHARDEV_TELNET_H
#define VIREO_CHARDEV_TELNET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct TelnetFilter {
    uint8_t state; /* private; zero at the start of a connection */
} TelnetFilter;

/* The bytes to send first; *len is set. */
const uint8_t *telnet_offer(bool tn3270, size_t *len);
/* Filter in place; returns how many data bytes remain. *breaks counts BRK and IP commands. */
size_t telnet_filter(TelnetFilter *filter, uint8_t *buf, size_t len, unsigned *breaks);

#define TELNET_IAC 0xff

#endif
