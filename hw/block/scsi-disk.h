/* SPDX-License-Identifier: Apache-2.0 */
/* scsi-hd and scsi-cd: what their two files share. */
#ifndef VIREO_HW_BLOCK_SCSI_DISK_H
#define VIREO_HW_BLOCK_SCSI_DISK_H

#include "hw/block/block-conf.h"
#include "hw/block/scsi-pass.h"
#include "hw/scsi/scsi.h"

#define SCSI_DISK_MAX_UNMAP (GiB / 512)       /* blocks of one UNMAP */
#define SCSI_DISK_MAX_UNMAP_RANGES 255
#define SCSI_DISK_MAX_WRITE_SAME (2 * GiB / 512)

/* Media events of GET EVENT STATUS NOTIFICATION (MMC-3, 6.7.2.5). */
enum { SCSI_EVENT_NONE = 0, SCSI_EVENT_EJECT_REQUEST = 1, SCSI_EVENT_NEW_MEDIA = 2,
       SCSI_EVENT_REMOVAL = 3 };

typedef struct ScsiWork ScsiWork;

typedef struct ScsiDisk {
    ScsiDevice parent_obj;
    BlockConf conf;
    char *serial, *vendor, *product, *version, *device_id;
    uint64_t wwn, port_wwn;
    uint16_t port_index, rotation_rate;
    int32_t scsi_version;
    bool removable, dpofua;
    bool is_cd, tray_open, locked;
    bool is_passed;        /* scsi-block: what does not move data goes to the host's device */
    ScsiPass pass;
    uint8_t media_event;   /* of a CD's: what the guest was not told yet */
    ScsiWork *parked;      /* failed, until the VM goes on */
    LoopBh *retry;
    Notifier run_state;
} ScsiDisk;

static inline uint32_t scsi_disk_unit(const ScsiDisk *disk)
{
    return disk->conf.logical_block_size;
}
/* 0 without a medium. */
static inline uint64_t scsi_disk_blocks(const ScsiDisk *disk)
{
    return disk->tray_open ? 0 : block_conf_length(&disk->conf) / scsi_disk_unit(disk);
}
/* Commands that are answered from what is known. False: it is none of them. */
bool scsi_disk_inform(ScsiDisk *disk, ScsiRequest *request);

#endif
