/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Exports: nodes served to somebody outside the process, each by a kind of server. Main thread with
 * the VM lock held, but for references, which any thread may take and drop.
 *
 * An export holds a BlockBackend. It lives as long as somebody has a reference: its owner (who
 * added it) until it is asked to go, and each client.
 */
#ifndef VIREO_BLOCK_EXPORT_H
#define VIREO_BLOCK_EXPORT_H

#include "block/backend.h"
#include "qapi-types-block-export.h"

typedef struct BlockExport BlockExport;

typedef struct BlockExportKind {
    BlockExportType type;
    size_t instance_size;
    /* The common part is ready, blk too. */
    bool (*start)(BlockExport *export, const BlockExportOptions *options, GError **error);
    /* Send clients away; their references then go. Once. */
    void (*stop)(BlockExport *export);
    /* What start made, when nobody is left. */
    void (*cleanup)(BlockExport *export);
} BlockExportKind;

/* First member of every kind's struct. */
struct BlockExport {
    const BlockExportKind *kind;
    char *id;
    BlockBackend *blk;
    struct IoThread *iothread; /* a reference, or NULL */
    unsigned refs;        /* atomic */
    bool shutting_down;   /* the owner's reference is gone */
    bool writable;
};

/* The owner's reference is the registry's. NULL with the error set. */
BlockExport *block_export_add(const BlockExportOptions *options, GError **error);
/* Ask it to go; nothing happens if it is going already. BLOCK_EXPORT_DELETED follows. */
void block_export_shut_down(BlockExport *export);
/* All of a kind, and wait until they are gone. Runs the loop; not in a coroutine. */
void block_export_shut_down_all(BlockExportType type);
BlockExport *block_export_find(const char *id);
/* In order of creation; borrowed. Those that are going too. */
GPtrArray *block_export_list(void);

BlockExport *block_export_ref(BlockExport *export);
void block_export_unref(BlockExport *export);

/* For modules. */
void block_export_kind_register(const BlockExportKind *kind);
extern const BlockExportKind nbd_export_kind;
extern const BlockExportKind vhost_user_blk_export_kind;

#endif
