/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Changes that hold together: each is made at once and leaves a step here, which says how it is
 * kept and how it is taken back. QMP's `transaction` has many of them, a single command one. Main
 * thread.
 */
#ifndef VIREO_BLOCK_TRANSACTION_H
#define VIREO_BLOCK_TRANSACTION_H

#include <glib.h>
#include <stdbool.h>

typedef struct BlockTransaction BlockTransaction;

/* Each may be NULL. */
typedef struct BlockStepOps {
    void (*commit)(void *data); /* all went well; cannot fail */
    void (*abort)(void *data);  /* take it back; the latest step first */
    void (*clean)(void *data);  /* last, after either: frees data */
} BlockStepOps;

BlockTransaction *block_transaction_new(void);
/* Takes data. */
void block_transaction_add(BlockTransaction *tx, const BlockStepOps *ops, void *data);
/* Commits or takes back, and frees; returns ok. */
bool block_transaction_end(BlockTransaction *tx, bool ok);

#endif
