/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A disk in memory that logs its writes and flushes, takes its time and fails when told to; and
 * qcow2 images on it.
 */
#ifndef VIREO_BLOCK_TESTS_LOG_DISK_H
#define VIREO_BLOCK_TESTS_LOG_DISK_H

#include "block/io.h"
#include "block/node-internal.h"

#define LOG_DISK_CAPACITY (32 * 1024 * 1024)

typedef struct LogEntry {
    int64_t offset, bytes;
    uint8_t *data; /* NULL: a flush */
} LogEntry;

typedef struct LogDisk {
    uint8_t *data;
    GArray *log;      /* of LogEntry; NULL: nothing is logged */
    bool slow;        /* requests take some turns of the loop */
    unsigned fail_at; /* so many writes from now on (1: the next) -fail_errno is given; 0: never */
    int fail_errno;
} LogDisk;

BlockNode *log_disk_new(void);
static inline LogDisk *log_disk(BlockNode *node)
{
    return node->opaque;
}
/* Begin to log, with what is there as stable. */
void log_disk_start(BlockNode *node);

/* A qcow2 image of this size in file; more: JSON members with a comma before. */
void log_disk_create_qcow2(BlockNode *file, int64_t size, const char *more);
/* With caches so small that they overflow. backing may be NULL. */
BlockNode *log_disk_open_qcow2(BlockNode *file, BlockNode *backing);
/* An outsider's edge with all permissions; detach it. */
BlockChild *log_disk_attach(BlockNode *node);

#endif
