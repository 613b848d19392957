/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes written in hexadecimal, as specifications print their test vectors. */
#ifndef VIREO_CRYPTO_TESTS_HEX_H
#define VIREO_CRYPTO_TESTS_HEX_H

#include <glib.h>
#include <stdint.h>
#include <string.h>

/* The number of bytes that text stands for; out has room for max of them. */
static inline size_t hex_bytes(const char *text, uint8_t *out, size_t max)
{
    size_t len = strlen(text) / 2;

    g_assert_cmpuint(len, <=, max);
    for (size_t i = 0; i < len; i++) {
        out[i] = (uint8_t)(g_ascii_xdigit_value(text[2 * i]) << 4 |
                           g_ascii_xdigit_value(text[2 * i + 1]));
    }
    return len;
}

static inline void assert_hex(const uint8_t *bytes, size_t len, const char *expected)
{
    g_autoptr(GString) got = g_string_new(NULL);

    for (size_t i = 0; i < len; i++) {
        g_string_append_printf(got, "%02x", bytes[i]);
    }
    g_assert_cmpstr(got->str, ==, expected);
}

#endif
