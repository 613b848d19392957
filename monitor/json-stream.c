/* SPDX-License-Identifier: Apache-2.0 */
/* json-c's streaming tokener with the limits that it lacks. */
#include "monitor/json-stream.h"

#include <string.h>

#include "util/error.h"

#define RESET_BYTE 0xff

void json_stream_init(JsonStream *stream)
{
    stream->tokener = json_tokener_new_ex(JSON_STREAM_MAX_DEPTH);
    json_tokener_set_flags(stream->tokener, JSON_TOKENER_VALIDATE_UTF8);
    stream->text = g_byte_array_new();
}

void json_stream_clear(JsonStream *stream)
{
    g_clear_pointer(&stream->tokener, json_tokener_free);
    g_clear_pointer(&stream->text, g_byte_array_unref);
}

void json_stream_reset(JsonStream *stream)
{
    json_tokener_reset(stream->tokener);
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
    json_tokener_reset(stream->tokener);
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
    if (!g_utf8_validate_len((const char *)stream->text->data, stream->text->len, NULL)) {
        json_object_put(*value);
        *value = NULL;
        fail(stream, error, "invalid UTF-8");
        stream->skipping = false; /* the value is over, and so may be its line */
        return JSON_STREAM_ERROR;
    }
    forget_text(stream);
    json_tokener_reset(stream->tokener);
    return JSON_STREAM_VALUE;
}

JsonStreamResult json_stream_feed(JsonStream *stream, const uint8_t *buf, size_t len, size_t *used,
                                  json_object **value, GError **error)
{
    size_t start = skip(stream, buf, len);
    size_t n = 0;
    JsonStreamResult result;

    *value = NULL;
    *used = len;
    if (start == len) {
        return JSON_STREAM_MORE;
    }
    while (start + n < len && buf[start + n] != '\0' && buf[start + n] != RESET_BYTE) {
        n++;
    }
    /* No more at once than may follow, so that the limit is not passed by much. */
    n = MIN(n, JSON_STREAM_MAX_BYTES);
    if (n == 0) {
        bool reset = buf[start] == RESET_BYTE;

        *used = start + 1;
        if (reset && stream->text->len == 0) {
            return JSON_STREAM_MORE;
        }
        result = fail(stream, error, reset ? "reset by byte 0xff" : "NUL byte");
        stream->skipping = !reset;
        return result;
    }
    result = parse(stream, buf + start, n, used, value, error);
    *used += start;
    return result;
}
