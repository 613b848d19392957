/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Commands that a unit hands on to a SCSI device of the host, as they are. VM lock held; realizing
 * and draining on the main thread.
 */
#ifndef VIREO_HW_BLOCK_SCSI_PASS_H
#define VIREO_HW_BLOCK_SCSI_PASS_H

#include "block/scsi-command.h"
#include "hw/scsi/scsi.h"

typedef struct ScsiPass {
    BlockBackend *blk;    /* borrowed; on the main loop */
    uint32_t timeout;     /* property: seconds */
    uint8_t type;         /* then: what kind of device it is (SPC-4, table 142) */
    uint32_t block_size;  /* of disks and CD-ROMs with a medium; else 0 */
    unsigned running;
} ScsiPass;

enum { SCSI_TYPE_DISK = 0x00, SCSI_TYPE_CDROM = 0x05 };

#define SCSI_PASS_PROPERTIES(S, p) \
    PROP_UINT32("io_timeout", S, p.timeout, 30, "seconds after which a command has failed")

/* Is there such a device? Sets type and block_size. */
bool scsi_pass_open(ScsiPass *pass, BlockBackend *blk, GError **error);
/* Ends by scsi_complete(), later. */
void scsi_pass(ScsiPass *pass, ScsiRequest *request);
/* Wait for what is at work. */
void scsi_pass_drain(ScsiPass *pass);

#endif
