/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A disk in memory that logs its writes and flushes, takes its time and fails when told to; and
 * qcow2 images on it. Several disks can follow one, whose log then has what all of them do, in its
 * order, and whose failures come to all.
 */
#ifndef VIREO_BLOCK_TESTS_LOG_DISK_H
#define VIREO_BLOCK_TESTS_LOG_DISK_H

#include "block/io.h"
#include "block/node-internal.h"

#define LOG_DISK_CAPACITY (32 * 1024 * 1024)

typedef enum LogKind { LOG_WRITE, LOG_FLUSH, LOG_TRUNCATE } LogKind;

typedef struct LogEntry {
    LogKind kind;
    unsigned disk; /* which of those that share the log: LogDisk.number */
    int64_t offset, bytes; /* TRUNCATE: the offset is the new size */
    uint8_t *data;
} LogEntry;

typedef struct LogDisk LogDisk;

struct LogDisk {
    uint8_t *data;
    LogDisk *lead;    /* whose log and failures count; this disk, if it follows none */
    unsigned number;
    bool slow;        /* requests take some turns of the loop */
    /* Of the lead: */
    GArray *log;      /* of LogEntry; NULL: nothing is logged */
    /* So many writes and flushes from now on (1: the next) -fail_errno is given; 0: never. */
    unsigned fail_at;
    int fail_errno;
    bool fail_sticky; /* and by all that follow */
    bool failed;      /* it has happened */
};

BlockNode *log_disk_new(void);
/*
 * A disk that an image's header can name: "log:FOLDER/NAME". lead, if not NULL, outlives it, and
 * number is its own among those that follow.
 */
BlockNode *log_disk_new_named(const char *folder, const char *name, BlockNode *lead,
                              unsigned number);
static inline LogDisk *log_disk(BlockNode *node)
{
    return node->opaque;
}
/* Begin to log; what is there may be cut off like any write until the next flush. */
void log_disk_start(BlockNode *node);
/* What is there, as stable; for each disk of a log that has begun. */
void log_disk_put_down(BlockNode *node);
/* To another disk: of a write, so many bytes from there on; a truncation. */
void log_disk_apply(BlockNode *node, const LogEntry *entry, int64_t from, int64_t bytes);

/* An image of this format and size in file; more: JSON members with a comma before. */
void log_disk_create(BlockNode *file, const char *format, int64_t size, const char *more);
/* With caches so small that they overflow. backing may be NULL. */
BlockNode *log_disk_open_qcow2(BlockNode *file, BlockNode *backing);

#endif
