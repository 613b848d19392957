/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SCSI commands for the host's device below a node, past what the block layer knows of the disk
 * (Linux's SG_IO, <scsi/sg.h>). Only nodes that are such a device, and raw images that are the
 * whole of one, take them.
 */
#ifndef VIREO_BLOCK_SCSI_COMMAND_H
#define VIREO_BLOCK_SCSI_COMMAND_H

#include "block/backend.h"

typedef struct BlockScsiCommand {
    const uint8_t *cdb;
    uint8_t cdb_len;
    bool to_device;       /* else from it; without data neither */
    BlockVec data;
    uint64_t bytes;       /* of data, at most UINT32_MAX */
    uint8_t *sense;       /* room for sense_len bytes */
    uint8_t sense_len;    /* then: how many came */
    uint32_t timeout_ms;
    /* The result, if the device or its driver answered at all. */
    uint8_t status;       /* SAM-5 */
    uint16_t host_status, driver_status;
    uint64_t residual;    /* bytes that were not moved */
} BlockScsiCommand;

/* In a coroutine, as block/backend.h's requests. 0, or -errno: -ENOTSUP where there is none. */
int block_backend_scsi_command(BlockBackend *blk, BlockScsiCommand *command);
/* For drivers that hand it on. */
int block_scsi_command(BlockNode *node, BlockScsiCommand *command);
/* Is there such a device below? Its version of the interface has been asked. */
bool block_backend_takes_scsi(BlockBackend *blk, GError **error);

#endif
