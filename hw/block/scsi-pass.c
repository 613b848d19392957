/* SPDX-License-Identifier: Apache-2.0 */
#include "hw/block/scsi-pass.h"

#include <errno.h>

#include "util/bits.h"
#include "util/coroutine.h"
#include "util/error.h"
#include "util/iov.h"

enum { INQUIRY = 0x12, READ_CAPACITY_10 = 0x25, VARIABLE_LENGTH = 0x7f };
enum { VPD_BLOCK_LIMITS = 0xb0, VPD_MAX_TRANSFER = 8 };
/* Of Linux, in host_status and driver_status. */
enum { HOST_OK = 0, HOST_BUS_BUSY = 2, HOST_TIME_OUT = 3, HOST_RESET = 8 };
enum { DRIVER_BUSY = 1, DRIVER_TIMEOUT = 6, DRIVER_SENSE = 8, DRIVER_MASK = 7 };

#define PROBE_TIMEOUT_MS 6000

typedef struct Passing {
    ScsiPass *pass;
    ScsiRequest *request;
    BlockScsiCommand command;
} Passing;

/* 0: nobody knows how long it is. */
static unsigned cdb_length(const uint8_t *cdb)
{
    unsigned len = cdb[0] == VARIABLE_LENGTH ? cdb[7] + 8u : scsi_cdb_length(cdb[0]);

    return len <= SCSI_CDB_MAX ? len : 0;
}

/* A unit must not let its driver ask for more at a time than the host can do. */
static void limit_transfer(const ScsiPass *pass, ScsiRequest *request)
{
    const BlockNode *node = block_backend_node(pass->blk);
    uint32_t most = node && pass->block_size ? node->limits.max_transfer / pass->block_size : 0;
    const uint8_t *cdb = request->cdb;
    uint8_t page[VPD_MAX_TRANSFER + 4];
    uint32_t told;

    if (cdb[0] != INQUIRY || !(cdb[1] & 1) || cdb[2] != VPD_BLOCK_LIMITS || !most ||
        request->transferred < sizeof(page)) {
        return;
    }
    iov_to_buf(request->in, request->n_in, 0, page, sizeof(page));
    told = ldl_be(page + VPD_MAX_TRANSFER);
    if (!told || told > most) {
        stl_be(page + VPD_MAX_TRANSFER, most);
        iov_from_buf(request->in, request->n_in, 0, page, sizeof(page));
    }
}

static void complete_failed(ScsiRequest *request, int ret)
{
    switch (-ret) {
    case EDOM:
        scsi_complete(request, SCSI_TASK_SET_FULL);
        break;
    case ENOMEDIUM:
        scsi_fail(request, SCSI_NO_MEDIUM);
        break;
    case ENOMEM:
        scsi_fail(request, SCSI_TARGET_FAILURE);
        break;
    case EINVAL:
        scsi_fail(request, SCSI_INVALID_FIELD);
        break;
    default:
        scsi_fail(request, SCSI_IO_ERROR);
        break;
    }
}

/* The host's adapter or driver did not get through to the device. */
static bool host_failed(ScsiRequest *request, const BlockScsiCommand *command)
{
    unsigned driver = command->driver_status & DRIVER_MASK;

    if (command->host_status == HOST_BUS_BUSY || command->host_status == HOST_TIME_OUT ||
        command->host_status == HOST_RESET || driver == DRIVER_BUSY ||
        driver == DRIVER_TIMEOUT) {
        scsi_complete(request, SCSI_BUSY);
        return true;
    }
    if (command->host_status != HOST_OK) {
        scsi_fail(request, SCSI_IO_ERROR);
        return true;
    }
    return false;
}

static void complete(Passing *passing, int ret)
{
    ScsiRequest *request = passing->request;
    const BlockScsiCommand *command = &passing->command;
    ScsiStatus status = command->status;

    if (ret < 0) {
        complete_failed(request, ret);
    } else if (!host_failed(request, command)) {
        request->sense_len = command->sense_len;
        if (command->sense_len && (command->driver_status & DRIVER_SENSE)) {
            status = SCSI_CHECK_CONDITION;
        }
        request->transferred = command->bytes - command->residual;
        limit_transfer(passing->pass, request);
        scsi_complete(request, status);
    }
}

static void run(void *opaque)
{
    Passing *passing = opaque;
    ScsiPass *pass = passing->pass;
    int ret = block_backend_scsi_command(pass->blk, &passing->command);

    pass->running--;
    complete(passing, ret);
    g_free(passing);
}

static void start(void *opaque)
{
    coroutine_start(run, opaque);
}

void scsi_pass(ScsiPass *pass, ScsiRequest *request)
{
    uint64_t out = iov_size(request->out, request->n_out);
    uint64_t in = iov_size(request->in, request->n_in);
    unsigned length = cdb_length(request->cdb);
    Passing *passing;

    if (!length) {
        scsi_fail(request, SCSI_INVALID_OPCODE);
        return;
    }
    passing = g_new0(Passing, 1);
    passing->pass = pass;
    passing->request = request;
    passing->command = (BlockScsiCommand){
        .cdb = request->cdb,
        .cdb_len = (uint8_t)length,
        .to_device = out != 0,
        .data = out ? (BlockVec){ request->out, request->n_out }
                    : (BlockVec){ request->in, request->n_in },
        .bytes = out ? out : in,
        .sense = request->sense,
        .sense_len = sizeof(request->sense),
        .timeout_ms = (uint32_t)MIN(pass->timeout * 1000ULL, UINT32_MAX),
    };
    pass->running++;
    loop_post(loop_main(), start, passing);
}

void scsi_pass_drain(ScsiPass *pass)
{
    while (pass->running) {
        loop_iterate(loop_main(), true);
    }
}

/* ---- What it is ---- */

typedef struct Probe {
    ScsiPass *pass;
    BlockScsiCommand command;
    int result;
} Probe;

static void run_probe(void *opaque)
{
    Probe *probe = opaque;

    probe->result = block_backend_scsi_command(probe->pass->blk, &probe->command);
}

/* True: GOOD, and all of the buffer has been filled. */
static bool probe_command(ScsiPass *pass, const uint8_t *cdb, uint8_t cdb_len, void *data,
                          size_t len)
{
    uint8_t sense[SCSI_SENSE_MAX];
    struct iovec iov = { data, len };
    Probe probe = {
        .pass = pass,
        .command = { .cdb = cdb, .cdb_len = cdb_len, .data = { &iov, 1 }, .bytes = len,
                     .sense = sense, .sense_len = sizeof(sense),
                     .timeout_ms = PROBE_TIMEOUT_MS },
    };

    coroutine_run(run_probe, &probe);
    return probe.result == 0 && probe.command.status == SCSI_GOOD &&
           probe.command.host_status == HOST_OK && !probe.command.residual;
}

static void find_block_size(ScsiPass *pass)
{
    static const uint8_t cdb[10] = { READ_CAPACITY_10 };
    uint8_t data[8];
    uint32_t size;

    if (probe_command(pass, cdb, sizeof(cdb), data, sizeof(data))) {
        size = ldl_be(data + 4);
        pass->block_size = size >= 512 && size <= 65536 && !(size & (size - 1)) ? size : 0;
    }
}

bool scsi_pass_open(ScsiPass *pass, BlockBackend *blk, GError **error)
{
    static const uint8_t cdb[6] = { INQUIRY, 0, 0, 0, 36 };
    uint8_t data[36];

    pass->blk = blk;
    if (!block_backend_takes_scsi(blk, error)) {
        return false;
    }
    if (!probe_command(pass, cdb, sizeof(cdb), data, sizeof(data))) {
        error_setf(error, "the SCSI device does not answer INQUIRY");
        return false;
    }
    pass->type = data[0] & 0x1f;
    if (pass->type == SCSI_TYPE_DISK || pass->type == SCSI_TYPE_CDROM) {
        find_block_size(pass);
    }
    return true;
}
