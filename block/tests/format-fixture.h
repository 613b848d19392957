/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of all image formats do: random requests against a model, and spoilt headers. */
#ifndef VIREO_BLOCK_TESTS_FORMAT_FIXTURE_H
#define VIREO_BLOCK_TESTS_FORMAT_FIXTURE_H

#include "block/tests/file-fixture.h"

/* A new image in the directory; its path, the caller's. Failure fails the test. */
char *format_create(const char *dir, const char *name, const char *format, const char *options);
BlockChild *format_open(const char *format, const char *path);
/* Only for reading. */
BlockChild *format_open_read_only(const char *format, const char *path);

/* Bytes of a file, whatever is in it. */
void format_peek(const char *path, int64_t offset, size_t len, void *buf);
void format_poke(const char *path, int64_t offset, size_t len, const void *buf);
/* A copy of a file as it is at this moment: what kill -9 would leave. The caller's. */
char *format_copy(const char *path);

/* A number at an offset, and what opening the image says then. */
typedef struct FormatFault {
    int64_t offset;
    unsigned bytes;   /* 1, 2, 4 or 8 */
    uint64_t value;
    const char *text; /* part of the error */
} FormatFault;

/* Each alone; mend (or NULL) is called with the file when it has changed, for its checksums. */
void format_expect_refusals(const char *format, const char *path, bool big_endian,
                            const FormatFault *faults, size_t n, void (*mend)(const char *path));

/*
 * Random writes, zeroes, flushes and reopening of a new image of this size, all of it compared with
 * a model; then QEMU's tools compare it, write into it, and check it (check: they can).
 */
void format_against_model(const char *format, const char *options, int64_t size, bool check);

#endif
