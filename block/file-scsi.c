/* SPDX-License-Identifier: Apache-2.0 */
/* SCSI commands for a device of the host: SG_IO, version 3 of Linux's generic SCSI interface. */
#include <errno.h>
#include <scsi/sg.h>
#include <sys/ioctl.h>

#include "block/file-internal.h"
#include "block/scsi-command.h"
#include "util/thread-pool.h"

#define FIRST_VERSION 30000

typedef struct ScsiWork {
    int fd;
    struct sg_io_hdr header;
} ScsiWork;

static int scsi_work(void *opaque)
{
    ScsiWork *work = opaque;
    int version;

    if (ioctl(work->fd, SG_GET_VERSION_NUM, &version) < 0) {
        return -errno;
    }
    if (version < FIRST_VERSION) {
        return -ENOTSUP;
    }
    return ioctl(work->fd, SG_IO, &work->header) < 0 ? -errno : 0;
}

int file_scsi_command(BlockNode *node, BlockScsiCommand *command)
{
    FileState *state = node->opaque;
    ScsiWork work = {
        .fd = state->io.fd,
        .header = {
            .interface_id = 'S',
            .dxfer_direction = !command->bytes      ? SG_DXFER_NONE
                               : command->to_device ? SG_DXFER_TO_DEV
                                                    : SG_DXFER_FROM_DEV,
            .cmd_len = command->cdb_len,
            .mx_sb_len = command->sense_len,
            .iovec_count = (unsigned short)command->data.n,
            .dxfer_len = (unsigned)command->bytes,
            .dxferp = (void *)command->data.iov,
            .cmdp = (void *)command->cdb,
            .sbp = command->sense,
            .timeout = command->timeout_ms,
        },
    };
    int ret;

    if (command->bytes > UINT32_MAX || command->data.n > UINT16_MAX) {
        return -EINVAL;
    }
    ret = thread_pool_run(scsi_work, &work);
    if (ret < 0) {
        return ret;
    }
    command->status = work.header.status;
    command->host_status = work.header.host_status;
    command->driver_status = work.header.driver_status;
    command->sense_len = MIN(command->sense_len, work.header.sb_len_wr);
    command->residual = (uint64_t)CLAMP(work.header.resid, 0, (int64_t)command->bytes);
    return 0;
}
