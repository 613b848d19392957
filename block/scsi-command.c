/* SPDX-License-Identifier: Apache-2.0 */
#include "block/scsi-command.h"

#include <errno.h>

#include "block/backend-internal.h"
#include "block/driver.h"
#include "util/coroutine.h"
#include "util/error.h"

int block_scsi_command(BlockNode *node, BlockScsiCommand *command)
{
    return node->driver->scsi_command ? node->driver->scsi_command(node, command) : -ENOTSUP;
}

int block_backend_scsi_command(BlockBackend *blk, BlockScsiCommand *command)
{
    int ret;

    block_backend_enter(blk);
    ret = blk->root ? block_scsi_command(blk->root->node, command) : -ENOMEDIUM;
    block_backend_leave(blk);
    return ret;
}

typedef struct Asking {
    BlockBackend *blk;
    int result;
} Asking;

/* TEST UNIT READY: whatever the answer is, there is one. */
static void ask(void *opaque)
{
    Asking *asking = opaque;
    uint8_t cdb[6] = { 0 }, sense[32];
    BlockScsiCommand command = { .cdb = cdb, .cdb_len = sizeof(cdb), .sense = sense,
                                 .sense_len = sizeof(sense), .timeout_ms = 6000 };

    asking->result = block_backend_scsi_command(asking->blk, &command);
}

bool block_backend_takes_scsi(BlockBackend *blk, GError **error)
{
    Asking asking = { .blk = blk };

    coroutine_run(ask, &asking);
    if (asking.result < 0) {
        error_set_errno(error, -asking.result, "no SCSI device takes commands (SG_IO)");
        return false;
    }
    return true;
}
