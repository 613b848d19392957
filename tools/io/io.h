/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vireo-io: requests to a disk image by hand, for tests and for looking inside. A command is one
 * row of a table; all of them run in one coroutine, those that begin with "aio" start others.
 */
#ifndef VIREO_TOOLS_IO_IO_H
#define VIREO_TOOLS_IO_IO_H

#include <glib.h>
#include <stdbool.h>

#include "block/backend.h"
#include "util/coroutine.h"

/* How images are opened; the program's options, and those of `open`. */
typedef struct IoOpen {
    const char *format;
    bool image_opts;
    bool read_only;
    bool snapshot;      /* writes go to a temporary overlay */
    bool copy_on_read;
    bool force_share;
    const char *cache;  /* NULL: writeback */
    const char *discard;
    const char *aio;
    const char *options; /* -o key=value,... */
} IoOpen;

typedef struct IoSession {
    BlockBackend *blk;      /* NULL: nothing is open */
    IoOpen defaults;
    bool writethrough;
    bool requests_only;     /* refuse commands that are about the program, or open and close */
    bool quit;
    unsigned in_flight;     /* of aio_read, aio_write */
    Coroutine *flusher;     /* waits in aio_flush, or NULL */
} IoSession;

/* A command; argv[0] is its name. 0, or a positive number after an error was printed. */
typedef int IoCommandFn(IoSession *session, int argc, char **argv);

typedef struct IoCommand {
    const char *name, *alias;
    IoCommandFn *fn;
    int min_args, max_args; /* beside the options; max -1: any number */
    bool needs_image, is_request;
    const char *usage, *summary;
} IoCommand;

extern const IoCommand io_commands[]; /* ends with a NULL name */

/* run.c: one line with a command; empty ones do nothing. */
int io_run_line(IoSession *session, const char *line);
/* Wait for all requests that aio_* have started. */
void io_wait_for_requests(IoSession *session);

/* ---- open.c ---- */
bool io_open(IoSession *session, const char *filename, const IoOpen *open);
void io_close(IoSession *session);
IoCommandFn io_cmd_open, io_cmd_close, io_cmd_reopen;

/* ---- request.c ---- */
IoCommandFn io_cmd_read, io_cmd_readv, io_cmd_write, io_cmd_writev, io_cmd_aio_read,
    io_cmd_aio_write, io_cmd_discard;

/* ---- report.c ---- */
/* "wrote 512/512 bytes at offset 0" and the rates; for programs, one line of numbers. */
void io_report(const char *verb, int64_t offset, int64_t bytes, int64_t ns, bool for_programs);
void io_dump(const uint8_t *buf, int64_t bytes, int64_t offset);
/* A size, or false after an error was printed. */
bool io_parse_size(const char *what, const char *text, int64_t *value);
/* "1.5 MiB". The caller's. */
char *io_size_text(double bytes);
int io_fail(const char *what, int error);

#endif
