/* SPDX-License-Identifier: Apache-2.0 */
/* json-c's streaming tokener with the limits that it lacks. */
#include "monitor/json-stream.h"

#include <string.h>

#include "util/error.h"

#define RESET_BYTE 0xff

void json_stream_init(JsonStream *stream)
{
    *stream = (JsonStream){
        .tokener = json_tokener_new_ex(JSON_STREAM_MAX_DEPTH),
        .text = g_byte_array_new(),
    };
}

void json_stream_clear(JsonStream *stream)
{
    g_clear_pointer(&stream->tokener, json_tokener_free);
    g_clear_pointer(&stream->text, g_byte_array_unref);
}

static void forget_value(JsonStream *stream)
{
    json_tokener_reset(stream->tokener);
    stream->lexer = (JsonLexer){ 0 };
}

void json_stream_reset(JsonStream *stream)
{
    forget_value(stream);
    g_byte_array_set_size(stream->text, 0);
    stream->skipping = false;
}

/* Give back the memory of a large value. */
static void forget_text(JsonStream *stream)
{
    if (stream->text->len > 4096) {
        g_byte_array_unref(stream->text);
        stream->text = g_byte_array_new();
    } else {
        g_byte_array_set_size(stream->text, 0);
    }
}

static JsonStreamResult fail(JsonStream *stream, GError **error, const char *what)
{
    forget_value(stream);
    forget_text(stream);
    stream->skipping = true;
    error_setf(error, "JSON parse error: %s", what);
    return JSON_STREAM_ERROR;
}

/* What stands between values: white space and, after an error, the rest of the line. */
static size_t skip(JsonStream *stream, const uint8_t *buf, size_t len)
{
    size_t i = 0;

    while (i < len && stream->skipping) {
        stream->skipping = buf[i] != '\n' && buf[i] != RESET_BYTE;
        i++;
    }
    while (i < len && stream->text->len == 0 && g_ascii_isspace(buf[i])) {
        i++;
    }
    return i;
}

static JsonStreamResult parse(JsonStream *stream, const uint8_t *buf, size_t len, size_t *used,
                              json_object **value, GError **error)
{
    enum json_tokener_error status;

    *value = json_tokener_parse_ex(stream->tokener, (const char *)buf, (int)len);
    status = json_tokener_get_error(stream->tokener);
    if (status == json_tokener_continue) {
        g_byte_array_append(stream->text, buf, (guint)len);
        *used = len;
        if (stream->text->len > JSON_STREAM_MAX_BYTES) {
            return fail(stream, error, "the value is too long");
        }
        return JSON_STREAM_MORE;
    }
    /* At least one byte, so that no input can make us loop. */
    *used = CLAMP(json_tokener_get_parse_end(stream->tokener), 1, len);
    if (status != json_tokener_success) {
        return fail(stream, error, json_tokener_error_desc(status));
    }
    g_byte_array_append(stream->text, buf, (guint)*used);
    /* json-c's own check fails when a character is split between two reads. */
    if (!g_utf8_validate_len((const char *)stream->text->data, stream->text->len, NULL)) {
        json_object_put(*value);
        *value = NULL;
        fail(stream, error, "invalid UTF-8");
        stream->skipping = false; /* the value is over, and so may be its line */
        return JSON_STREAM_ERROR;
    }
    forget_text(stream);
    forget_value(stream);
    return JSON_STREAM_VALUE;
}

static bool is_stop(const JsonLexer *lexer, uint8_t byte)
{
    return byte == '\0' || byte == RESET_BYTE || (lexer->quote && byte < ' ');
}

/*
 * How many bytes may be parsed: up to a byte that may not be there, and no further than the end of
 * the object or array, so that what follows it is not looked at twice.
 */
static size_t scan(JsonLexer *lexer, const uint8_t *buf, size_t len)
{
    size_t i;

    for (i = 0; i < len && !is_stop(lexer, buf[i]); i++) {
        uint8_t byte = buf[i];

        if (lexer->escaped) {
            lexer->escaped = false;
        } else if (lexer->quote) {
            lexer->escaped = byte == '\\';
            lexer->quote = byte == lexer->quote ? 0 : lexer->quote;
        } else if (byte == '"' || byte == '\'') {
            lexer->quote = byte;
        } else if (byte == '{' || byte == '[') {
            lexer->depth++;
        } else if ((byte == '}' || byte == ']') && --lexer->depth <= 0) {
            return i + 1;
        }
    }
    return i;
}

/* The byte is one that no JSON has here. */
static JsonStreamResult stop(JsonStream *stream, uint8_t byte, GError **error)
{
    if (byte == RESET_BYTE && stream->text->len == 0) {
        return JSON_STREAM_MORE;
    }
    fail(stream, error, byte == RESET_BYTE ? "reset by byte 0xff"
                        : byte             ? "control character in a string"
                                           : "NUL byte");
    stream->skipping = byte != RESET_BYTE && byte != '\n';
    return JSON_STREAM_ERROR;
}

JsonStreamResult json_stream_feed(JsonStream *stream, const uint8_t *buf, size_t len, size_t *used,
                                  json_object **value, GError **error)
{
    size_t start = skip(stream, buf, len);
    JsonStreamResult result;
    size_t n;

    *value = NULL;
    *used = len;
    if (start == len) {
        return JSON_STREAM_MORE;
    }
    /* No more at once than may follow, so that the limit is not passed by much. */
    n = scan(&stream->lexer, buf + start, MIN(len - start, JSON_STREAM_MAX_BYTES));
    if (n == 0) {
        *used = start + 1;
        return stop(stream, buf[start], error);
    }
    result = parse(stream, buf + start, n, used, value, error);
    *used += start;
    return result;
}
