/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON values out of a stream of bytes that a hostile peer may send: bounded size and depth, valid
 * UTF-8, no NUL, no control characters in strings (so that a forgotten quote ends with its line).
 * After an error the rest of the line is skipped, and the next line is read afresh; a byte 0xff
 * (which JSON never has) resets the stream at once.
 */
#ifndef VIREO_MONITOR_JSON_STREAM_H
#define VIREO_MONITOR_JSON_STREAM_H

#include <glib.h>
#include <json-c/json.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define JSON_STREAM_MAX_BYTES (4u << 20)
#define JSON_STREAM_MAX_DEPTH 128

/* As much of JSON's grammar as the checks need that json-c does not make. */
typedef struct JsonLexer {
    uint8_t quote; /* inside a string: what ends it; else 0 */
    bool escaped;  /* the last byte in the string was a backslash */
    int depth;     /* of objects and arrays */
} JsonLexer;

typedef struct JsonStream {
    struct json_tokener *tokener;
    GByteArray *text; /* the value so far, for the check of its UTF-8 */
    JsonLexer lexer;
    bool skipping; /* after an error, until the line ends */
} JsonStream;

void json_stream_init(JsonStream *stream);
void json_stream_clear(JsonStream *stream);
/* Forget a half-read value (the peer is gone). */
void json_stream_reset(JsonStream *stream);

typedef enum JsonStreamResult {
    JSON_STREAM_MORE,  /* all bytes are consumed, no value is complete */
    JSON_STREAM_VALUE, /* *value is the caller's; NULL is JSON's null */
    JSON_STREAM_ERROR, /* *error says what was wrong */
} JsonStreamResult;

/* Consume bytes up to the end of a value; *used says how many. */
JsonStreamResult json_stream_feed(JsonStream *stream, const uint8_t *buf, size_t len, size_t *used,
                                  json_object **value, GError **error);

#endif
