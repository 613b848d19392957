/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Snapshots inside images, and the room behind a disk where a machine's state is kept with them.
 * Main thread, in a coroutine or not; each function drains the node and waits.
 */
#ifndef VIREO_BLOCK_SNAPSHOT_H
#define VIREO_BLOCK_SNAPSHOT_H

#include "block/node.h"

G_DEFINE_AUTOPTR_CLEANUP_FUNC(BlockSnapshot, block_snapshot_free)

/* The image whose snapshots these are: below filters and `raw`. Borrowed. */
BlockNode *block_snapshot_image(BlockNode *node);
/* Can snapshots be made there now? False with the error, which names the node. */
bool block_snapshot_possible(BlockNode *node, GError **error);
/* Elements are BlockSnapshot, owned; an empty list where there cannot be any. */
GPtrArray *block_snapshot_list(BlockNode *node, GError **error);
/* By number, by name, or by both if neither is NULL. *found NULL: none; false: an error. */
bool block_snapshot_find(BlockNode *node, const char *id, const char *name, BlockSnapshot **found,
                         GError **error);

/*
 * Of this moment; vm_state_size bytes of state have been written before. id and disk_size are
 * filled in.
 */
bool block_snapshot_create(BlockNode *node, BlockSnapshot *snapshot, GError **error);
/* By number. All that was written since is lost; dirty bitmaps then mark everything. */
bool block_snapshot_goto(BlockNode *node, const char *id, GError **error);
bool block_snapshot_delete(BlockNode *node, const char *id, GError **error);
/* With the present's date and the VM's clock; by default a name from them. */
BlockSnapshot *block_snapshot_new(const char *name);

/* The machine's state: bytes at pos from its start. 0 or -errno. */
int block_vmstate_write(BlockNode *node, int64_t pos, const void *buf, size_t bytes);
int block_vmstate_read(BlockNode *node, int64_t pos, void *buf, size_t bytes);

/* ---- Several disks at one moment ---- */

typedef struct BlockSnapshotSet {
    GPtrArray *nodes;      /* BlockNode, references: images, each once */
    BlockNode *state_node; /* of them; has the machine's state; NULL: none is wanted */
} BlockSnapshotSet;

/*
 * devices: names of nodes or devices, or NULL: every disk that the guest can write to and whose
 * image can have snapshots; one that cannot is an error. state: name of one of them; NULL: the
 * first. Cleaned up by _cleanup in any case.
 */
bool block_snapshot_set_init(BlockSnapshotSet *set, const GPtrArray *devices, const char *state,
                             GError **error);
void block_snapshot_set_cleanup(BlockSnapshotSet *set);
/* None of them has it / all have it. */
bool block_snapshot_set_is_new(const BlockSnapshotSet *set, const char *name, GError **error);
bool block_snapshot_set_has(const BlockSnapshotSet *set, const char *name, GError **error);
/*
 * All or nothing: if one cannot be made, the others are deleted again. state_size goes to the
 * state's node, 0 to the others.
 */
bool block_snapshot_set_create(const BlockSnapshotSet *set, const char *name, uint64_t state_size,
                               GError **error);
bool block_snapshot_set_goto(const BlockSnapshotSet *set, const char *name, GError **error);
/*
 * Of those that have it. What could go wrong is looked at before the first is deleted; of several
 * errors the first is told, and the rest is deleted all the same.
 */
bool block_snapshot_set_delete(const BlockSnapshotSet *set, const char *name, GError **error);

/* ---- With the machine ---- */

/* How the program saves and loads what is not on disks: by block_vmstate_write() and _read(). */
typedef struct BlockSnapshotMachine {
    /* Stop the machine; was it running? / Let it go on. */
    bool (*pause)(void);
    void (*resume)(void);
    bool (*save)(BlockNode *node, uint64_t *size, GError **error);
    /* On failure the machine is not usable, and stays stopped. */
    bool (*load)(BlockNode *node, uint64_t size, GError **error);
} BlockSnapshotMachine;
/* Borrowed; NULL: there is no machine whose state could be saved. */
void block_snapshot_set_machine(const BlockSnapshotMachine *machine);

/* replace: snapshots of this name are deleted first, else they are an error. */
bool block_snapshot_save_all(const BlockSnapshotSet *set, const char *name, bool replace,
                             GError **error);
bool block_snapshot_load_all(const BlockSnapshotSet *set, const char *name, GError **error);

#endif
