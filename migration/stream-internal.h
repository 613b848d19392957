/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the stream share: buffered bytes in either direction, and marks. */
#ifndef VIREO_MIGRATION_STREAM_INTERNAL_H
#define VIREO_MIGRATION_STREAM_INTERNAL_H

#include "migration/stream.h"

#define STREAM_MAGIC 0x5145564du
#define STREAM_VERSION 3u

typedef enum StreamMark {
    STREAM_EOF = 0x00,
    STREAM_SECTION_START = 0x01,
    STREAM_SECTION_PART = 0x02,
    STREAM_SECTION_END = 0x03,
    STREAM_SECTION_FULL = 0x04,
    STREAM_DESCRIPTION = 0x06,
    STREAM_CONFIGURATION = 0x07,
    STREAM_COMMAND = 0x08,
    STREAM_FOOTER = 0x7e,
} StreamMark;

#define RAM_SECTION 2u /* the number of RAM's section; others follow */
#define RAM_NAME "ram"
#define RAM_VERSION 4u

/* What comes after RAM is small, and is held in memory while it is read. */
#define MAX_DEVICE_STATE (64u << 20)

typedef struct StreamOut {
    const StreamIo *io;
    GByteArray *buf;    /* not written yet */
    int64_t pos;        /* of its first byte */
    int result;         /* the first -errno; nothing is written after it */
} StreamOut;

void stream_out_init(StreamOut *out, const StreamIo *io);
void stream_out_cleanup(StreamOut *out);
void stream_put(StreamOut *out, const void *data, size_t len);
void stream_put_u8(StreamOut *out, uint8_t value);
void stream_put_u32(StreamOut *out, uint32_t value);
void stream_put_u64(StreamOut *out, uint64_t value);
/* 8-bit length and text. */
void stream_put_name(StreamOut *out, const char *name);
/* The mark behind a section. */
void stream_put_footer(StreamOut *out, uint32_t section);
uint64_t stream_out_offset(const StreamOut *out);
void stream_out_flush(StreamOut *out);

typedef struct StreamIn {
    const StreamIo *io;
    uint64_t size;      /* of the whole */
    uint64_t pos;       /* of the first byte in buf */
    uint8_t *buf;
    size_t at, len;     /* what of it was taken, and is there */
    bool has_blocks;    /* RAM's section has begun */
    GPtrArray *blocks;  /* RamBlock, pinned: those that there were at ram_load_begin() */
    bool failed;        /* and the error is set */
    GError **error;
} StreamIn;

void stream_in_init(StreamIn *in, const StreamIo *io, uint64_t size, GError **error);
void stream_in_cleanup(StreamIn *in);
/* Zeroes, and in->failed, if there are not so many bytes. */
void stream_get(StreamIn *in, void *data, size_t len);
uint8_t stream_get_u8(StreamIn *in);
/* The next byte, which stays. */
uint8_t stream_peek_u8(StreamIn *in);
uint32_t stream_get_u32(StreamIn *in);
uint64_t stream_get_u64(StreamIn *in);
/* 8-bit length and text. */
void stream_get_name(StreamIn *in, char name[256]);
/* len bytes and a zero: what could not be shown in an error becomes '?'. */
void stream_finish_name(char name[256], size_t len);
uint64_t stream_left(const StreamIn *in);
uint64_t stream_offset(const StreamIn *in);
/* Sets the error unless there is one already: text and offset; returns false. */
bool stream_bad(StreamIn *in, const char *fmt, ...) G_GNUC_PRINTF(2, 3);

/* ---- ram-load.c ---- */
/* Around all of RAM's section. VM lock held. The second may be called without the first. */
void ram_load_begin(StreamIn *in);
/* Tells everybody who keeps something that follows from memory's content. */
void ram_load_end(StreamIn *in);
/* Behind the head of the start section, and of each other part. Any thread. */
bool ram_load_start(StreamIn *in);
bool ram_load_pages(StreamIn *in);

/* ---- stream.c ---- */
void stream_put_begin(StreamOut *out, const MachineStream *stream);
/* All sections, each whole, and the end mark. */
void stream_put_sections(StreamOut *out, const MachineStream *stream);
void stream_put_description(StreamOut *out, const MachineStream *stream);
bool stream_get_begin(StreamIn *in, const MachineStream *stream);
/* One part of RAM's section, its mark included; *end: it was the last one. */
bool stream_get_ram(StreamIn *in, bool *end);
/* What stream_put_sections() made. VM lock held. */
bool machine_sections_load(const MachineStream *stream, const uint8_t *data, size_t len,
                           GError **error);

#endif
