/* SPDX-License-Identifier: Apache-2.0 */
/* Words that people type: sizes, numbers, booleans, UUIDs. Every error names the wrong word. */
#ifndef VIREO_UTIL_PARSE_H
#define VIREO_UTIL_PARSE_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * "512", "1.5G", "64k", "0x1000": bytes, with suffixes b k m g t p e in powers of 1024, either
 * case. A bare number is multiplied by default_unit (1, or MiB for -m). Refuses negative, overflow,
 * junk.
 */
bool parse_size(const char *text, uint64_t default_unit, uint64_t *bytes, GError **error);
/* Decimal, 0x hex or 0 octal, the whole text. */
bool parse_uint64(const char *text, uint64_t *value, GError **error);
bool parse_int64(const char *text, int64_t *value, GError **error);
/* on/yes/true/y, off/no/false/n. */
bool parse_bool(const char *text, bool *value, GError **error);
/* 8-4-4-4-12 hex digits into 16 bytes in the text's order (RFC 4122). */
bool parse_uuid(const char *text, uint8_t uuid[16], GError **error);
char *format_uuid(const uint8_t uuid[16]);
/* "1.5 GiB" style, for people. */
char *format_size(uint64_t bytes);

#endif
