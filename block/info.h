/* SPDX-License-Identifier: Apache-2.0 */
/* What can be said about a node: for `vireo-img info`, query-block and query-named-block-nodes. */
#ifndef VIREO_BLOCK_INFO_H
#define VIREO_BLOCK_INFO_H

#include "block/node.h"

/*
 * Of this node alone (backing_image stays NULL). The caller's; NULL with the error set. In a
 * coroutine on the node's loop.
 */
ImageInfo *block_image_info(BlockNode *node, GError **error);
/*
 * The same, with backing_image filled down the chain as far as it is open. As QMP's clients know
 * it, what stands below a filter counts as its backing image.
 */
ImageInfo *block_image_info_chain(BlockNode *node, GError **error);
/* One internal snapshot as QMP shows it. The caller's. */
SnapshotInfo *block_snapshot_info(const BlockSnapshot *snapshot);
/* Internal snapshots as QMP shows them; NULL without an error if the format has none. */
GPtrArray *block_snapshot_info_list(BlockNode *node, GError **error);

/* ---- In words for people (info-text.c): whole lines. Any thread ---- */

/* "1.5 MiB". The caller's. */
char *block_size_text(int64_t bytes);
void block_image_info_text(GString *out, const ImageInfo *info);
/* A table of SnapshotInfo. */
void block_snapshots_text(GString *out, const GPtrArray *snapshots);
/* Nothing if there is none, or NULL. */
void block_info_specific_text(GString *out, const ImageInfoSpecific *specific);

#endif
