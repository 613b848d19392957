/* SPDX-License-Identifier: Apache-2.0 */
/* Buffered bytes of a stream. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "migration/stream-internal.h"
#include "util/bits.h"
#include "util/error.h"

#define BUFFER (1u << 20)

/* ---- Out ---- */

void stream_out_init(StreamOut *out, const StreamIo *io)
{
    *out = (StreamOut){ .io = io, .buf = g_byte_array_sized_new(BUFFER) };
}

void stream_out_cleanup(StreamOut *out)
{
    g_byte_array_unref(out->buf);
}

void stream_out_flush(StreamOut *out)
{
    if (out->result >= 0 && out->buf->len) {
        out->result = out->io->write(out->io->opaque, out->pos, out->buf->data, out->buf->len);
    }
    out->pos += out->buf->len;
    g_byte_array_set_size(out->buf, 0);
}

void stream_put(StreamOut *out, const void *data, size_t len)
{
    if (out->buf->len + len > BUFFER) {
        stream_out_flush(out);
    }
    g_byte_array_append(out->buf, data, (guint)len);
}

void stream_put_u8(StreamOut *out, uint8_t value)
{
    stream_put(out, &value, 1);
}

void stream_put_u32(StreamOut *out, uint32_t value)
{
    uint8_t raw[4];

    stl_be(raw, value);
    stream_put(out, raw, sizeof(raw));
}

void stream_put_u64(StreamOut *out, uint64_t value)
{
    uint8_t raw[8];

    stq_be(raw, value);
    stream_put(out, raw, sizeof(raw));
}

void stream_put_name(StreamOut *out, const char *name)
{
    size_t len = strlen(name);

    g_assert(len <= UINT8_MAX);
    stream_put_u8(out, (uint8_t)len);
    stream_put(out, name, len);
}

void stream_put_footer(StreamOut *out, uint32_t section)
{
    stream_put_u8(out, STREAM_FOOTER);
    stream_put_u32(out, section);
}

uint64_t stream_out_offset(const StreamOut *out)
{
    return (uint64_t)out->pos + out->buf->len;
}

/* ---- In ---- */

void stream_in_init(StreamIn *in, const StreamIo *io, uint64_t size, GError **error)
{
    *in = (StreamIn){ .io = io, .size = size, .buf = g_malloc(BUFFER), .error = error };
}

void stream_in_cleanup(StreamIn *in)
{
    g_free(in->buf);
}

uint64_t stream_offset(const StreamIn *in)
{
    return in->pos + in->at;
}

uint64_t stream_left(const StreamIn *in)
{
    return in->size - stream_offset(in);
}

bool stream_bad(StreamIn *in, const char *fmt, ...)
{
    g_autofree char *text = NULL;
    va_list args;

    if (!in->failed) {
        va_start(args, fmt);
        text = g_strdup_vprintf(fmt, args);
        va_end(args);
        error_setf(in->error, "Machine state, at offset 0x%" PRIx64 ": %s", stream_offset(in),
                   text);
        in->failed = true;
    }
    return false;
}

static void refill(StreamIn *in)
{
    ssize_t ret;

    in->pos += in->len;
    in->at = 0;
    in->len = (size_t)MIN(in->size - in->pos, BUFFER);
    ret = in->len ? in->io->read(in->io->opaque, (int64_t)in->pos, in->buf, in->len) : 0;
    in->len = ret > 0 ? (size_t)ret : 0;
    if (ret < 0) {
        stream_bad(in, "cannot be read: %s", g_strerror((int)-ret));
    } else if (!ret) {
        stream_bad(in, "it ends too early");
    }
}

void stream_get(StreamIn *in, void *data, size_t len)
{
    uint8_t *to = data;

    if (!len) {
        return; /* data may be NULL then */
    }
    memset(data, 0, len);
    if (!in->failed && len > stream_left(in)) {
        stream_bad(in, "it ends too early");
    }
    while (len && !in->failed) {
        size_t n = MIN(len, in->len - in->at);

        memcpy(to, in->buf + in->at, n);
        in->at += n;
        to += n;
        len -= n;
        if (len) {
            refill(in);
        }
    }
}

uint8_t stream_get_u8(StreamIn *in)
{
    uint8_t value;

    stream_get(in, &value, 1);
    return value;
}

uint8_t stream_peek_u8(StreamIn *in)
{
    uint8_t value = stream_get_u8(in);

    in->at -= !in->failed; /* the buffer holds the last byte that was taken */
    return value;
}

uint32_t stream_get_u32(StreamIn *in)
{
    uint8_t raw[4];

    stream_get(in, raw, sizeof(raw));
    return ldl_be(raw);
}

uint64_t stream_get_u64(StreamIn *in)
{
    uint8_t raw[8];

    stream_get(in, raw, sizeof(raw));
    return ldq_be(raw);
}

void stream_get_name(StreamIn *in, char name[256])
{
    uint8_t len = stream_get_u8(in);

    stream_get(in, name, len);
    stream_finish_name(name, len);
}

void stream_finish_name(char name[256], size_t len)
{
    name[len] = 0;
    for (size_t i = 0; i < len; i++) {
        name[i] = g_ascii_isprint(name[i]) ? name[i] : '?';
    }
}
