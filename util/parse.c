/* SPDX-License-Identifier: Apache-2.0 */
/* Words that people type, and numbers that people read. */
#include "util/parse.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/bits.h"
#include "util/error.h"

/* More decimals than this add less than a byte to any size. */
#define MAX_FRACTION_DIGITS 18

/* 1024 to the power of the letter's place; 0 if it is no suffix. */
static uint64_t suffix_unit(char c)
{
    static const char letters[] = "bkmgtpe";
    const char *at = c ? strchr(letters, g_ascii_tolower(c)) : NULL;

    return at ? 1ULL << (10 * (at - letters)) : 0;
}

/* The digits of an unsigned number at *text, base by prefix; moves *text past them. */
static bool scan_digits(const char **text, bool octal, uint64_t *value, bool *hex)
{
    const char *start = *text;
    char *end;
    int base = 10;

    *hex = start[0] == '0' && (start[1] == 'x' || start[1] == 'X');
    if (*hex) {
        base = 16;
        if (!g_ascii_isxdigit(start[2])) {
            return false;
        }
    } else if (!g_ascii_isdigit(start[0])) {
        return false; /* strtoull would take blanks and signs */
    } else if (octal && start[0] == '0') {
        base = 8;
    }
    errno = 0;
    *value = strtoull(start, &end, base);
    *text = end;
    return errno == 0;
}

/* ".25" at *text as billionths of billionths; moves *text past it. */
static bool scan_fraction(const char **text, uint64_t *fraction)
{
    uint64_t scale = 100000000000000000ULL;
    const char *at = *text;

    *fraction = 0;
    if (*at != '.') {
        return true;
    }
    at++;
    if (!g_ascii_isdigit(*at)) {
        return false;
    }
    for (int digits = 0; g_ascii_isdigit(*at); at++, digits++) {
        if (digits < MAX_FRACTION_DIGITS) {
            *fraction += scale * (*at - '0');
            scale /= 10;
        }
    }
    *text = at;
    return true;
}

bool parse_size(const char *text, uint64_t default_unit, uint64_t *bytes, GError **error)
{
    const char *at = text;
    uint64_t whole;
    uint64_t fraction = 0;
    uint64_t unit = default_unit;
    unsigned __int128 total;
    bool hex;
    bool overflow = false;

    if (!scan_digits(&at, false, &whole, &hex)) {
        overflow = at != text;
        goto bad;
    }
    if (!hex && !scan_fraction(&at, &fraction)) {
        goto bad;
    }
    if (*at != '\0') {
        unit = suffix_unit(*at);
        if (unit == 0 || at[1] != '\0') {
            goto bad;
        }
    }
    if (unit == 1 && fraction != 0) {
        error_setf(error, "'%s' is not a whole number of bytes", text);
        return false;
    }
    total = (unsigned __int128)whole * unit +
            (unsigned __int128)fraction * unit / 1000000000000000000ULL;
    if (total > UINT64_MAX) {
        overflow = true;
        goto bad;
    }
    *bytes = (uint64_t)total;
    return true;

bad:
    if (overflow) {
        error_setf(error, "size '%s' is too large", text);
    } else {
        error_setf(error, "'%s' is not a size; write a number, with a suffix of k, M, G, T, P or E "
                   "if need be", text);
    }
    return false;
}

bool parse_uint64(const char *text, uint64_t *value, GError **error)
{
    const char *at = text;
    bool hex;
    bool ok = scan_digits(&at, true, value, &hex);

    if (ok && *at == '\0') {
        return true;
    }
    error_setf(error, !ok && at != text ? "number '%s' is too large" : "'%s' is not a number",
               text);
    return false;
}

bool parse_int64(const char *text, int64_t *value, GError **error)
{
    bool negative = *text == '-';
    const char *at = text + (negative || *text == '+');
    uint64_t magnitude;
    bool hex;
    bool ok;

    if (!scan_digits(&at, true, &magnitude, &hex)) {
        ok = false;
    } else if (*at != '\0') {
        error_setf(error, "'%s' is not a number", text);
        return false;
    } else {
        ok = magnitude <= (uint64_t)INT64_MAX + negative;
    }
    if (!ok) {
        bool digits = g_ascii_isdigit(text[negative || *text == '+']);

        error_setf(error, digits ? "number '%s' is out of range" : "'%s' is not a number", text);
        return false;
    }
    *value = negative ? (int64_t)(0 - magnitude) : (int64_t)magnitude;
    return true;
}

bool parse_bool(const char *text, bool *value, GError **error)
{
    static const struct {
        const char *word;
        bool value;
    } words[] = {
        { "on", true },   { "yes", true }, { "true", true },   { "y", true },
        { "off", false }, { "no", false }, { "false", false }, { "n", false },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(words); i++) {
        if (strcmp(text, words[i].word) == 0) {
            *value = words[i].value;
            return true;
        }
    }
    error_setf(error, "'%s' is neither 'on' nor 'off'", text);
    return false;
}

bool parse_uuid(const char *text, uint8_t uuid[16], GError **error)
{
    uint8_t out[16] = { 0 };
    const char *at = text;

    for (int nibble = 0; nibble < 32; nibble++, at++) {
        if (nibble == 8 || nibble == 12 || nibble == 16 || nibble == 20) {
            if (*at != '-') {
                goto bad;
            }
            at++;
        }
        if (!g_ascii_isxdigit(*at)) {
            goto bad;
        }
        out[nibble / 2] |= g_ascii_xdigit_value(*at) << (nibble % 2 ? 0 : 4);
    }
    if (*at == '\0') {
        memcpy(uuid, out, sizeof(out));
        return true;
    }

bad:
    error_setf(error, "'%s' is not a UUID; write it as 8-4-4-4-12 hex digits", text);
    return false;
}

char *format_uuid(const uint8_t uuid[16])
{
    GString *text = g_string_sized_new(37);

    for (int i = 0; i < 16; i++) {
        g_string_append_printf(text, i == 4 || i == 6 || i == 8 || i == 10 ? "-%02x" : "%02x",
                               uuid[i]);
    }
    return g_string_free(text, FALSE);
}

char *format_size(uint64_t bytes)
{
    static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" };
    g_autofree char *number = NULL;
    unsigned power = 0;

    while (power + 1 < G_N_ELEMENTS(units) && bytes >> (10 * (power + 1)) != 0) {
        power++;
    }
    if (power == 0) {
        return g_strdup_printf("%" G_GUINT64_FORMAT " B", bytes);
    }
    number = g_strdup_printf("%.1f", (double)bytes / (double)(1ULL << (10 * power)));
    if (g_str_has_suffix(number, ".0")) {
        number[strlen(number) - 2] = '\0';
    }
    return g_strdup_printf("%s %s", number, units[power]);
}
