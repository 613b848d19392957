/* SPDX-License-Identifier: Apache-2.0 */
#include "block/transaction.h"

typedef struct Step {
    const BlockStepOps *ops;
    void *data;
} Step;

struct BlockTransaction {
    GArray *steps;
};

BlockTransaction *block_transaction_new(void)
{
    BlockTransaction *tx = g_new0(BlockTransaction, 1);

    tx->steps = g_array_new(FALSE, FALSE, sizeof(Step));
    return tx;
}

void block_transaction_add(BlockTransaction *tx, const BlockStepOps *ops, void *data)
{
    Step step = { ops, data };

    g_array_append_val(tx->steps, step);
}

static void run_step(void (*fn)(void *data), const Step *step)
{
    if (fn) {
        fn(step->data);
    }
}

bool block_transaction_end(BlockTransaction *tx, bool ok)
{
    const Step *steps = (const Step *)(void *)tx->steps->data;
    guint n = tx->steps->len;

    for (guint i = 0; i < n; i++) {
        const Step *step = &steps[ok ? i : n - 1 - i];

        run_step(ok ? step->ops->commit : step->ops->abort, step);
    }
    for (guint i = 0; i < n; i++) {
        run_step(steps[i].ops->clean, &steps[i]);
    }
    g_array_unref(tx->steps);
    g_free(tx);
    return ok;
}
