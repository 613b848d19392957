/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SCSI: the bus between a host adapter and logical units, and commands on their way (SAM-5, SPC-4).
 *
 * An adapter makes a bus, finds the unit that a command is for, fills in a ScsiRequest and executes
 * it; the unit ends it by scsi_complete(), at once or later. Main loop, VM lock held.
 */
#ifndef VIREO_HW_SCSI_SCSI_H
#define VIREO_HW_SCSI_SCSI_H

#include <sys/uio.h>

#include "hw/core/device.h"

#define TYPE_SCSI_BUS "SCSI"
#define TYPE_SCSI_DEVICE "scsi-device"
#define SCSI_CDB_MAX 32
#define SCSI_SENSE_SIZE 18 /* of ours */
#define SCSI_SENSE_MAX 96  /* of a device that we pass it on from */

typedef struct ScsiBus ScsiBus;
typedef struct ScsiDevice ScsiDevice;
typedef struct ScsiRequest ScsiRequest;

typedef enum ScsiStatus {
    SCSI_GOOD = 0x00,
    SCSI_CHECK_CONDITION = 0x02,
    SCSI_BUSY = 0x08,
    SCSI_TASK_SET_FULL = 0x28,
    SCSI_TASK_ABORTED = 0x40,
} ScsiStatus;

/* Key, additional code and its qualifier (SPC-4, 4.5). */
typedef struct ScsiSense {
    uint8_t key, asc, ascq;
} ScsiSense;

static const ScsiSense SCSI_NO_SENSE = { 0, 0, 0 };
static const ScsiSense SCSI_NO_MEDIUM = { 2, 0x3a, 0 };
static const ScsiSense SCSI_TARGET_FAILURE = { 4, 0x44, 0 };
static const ScsiSense SCSI_INVALID_OPCODE = { 5, 0x20, 0 };
static const ScsiSense SCSI_LBA_OUT_OF_RANGE = { 5, 0x21, 0 };
static const ScsiSense SCSI_INVALID_FIELD = { 5, 0x24, 0 };
static const ScsiSense SCSI_NO_SUCH_LUN = { 5, 0x25, 0 };
static const ScsiSense SCSI_INVALID_PARAMETER = { 5, 0x26, 0 };
static const ScsiSense SCSI_REMOVAL_PREVENTED = { 5, 0x53, 2 };
static const ScsiSense SCSI_UA_MEDIUM_CHANGED = { 6, 0x28, 0 };
static const ScsiSense SCSI_UA_RESET = { 6, 0x29, 0 };
static const ScsiSense SCSI_UA_CAPACITY_CHANGED = { 6, 0x2a, 9 };
static const ScsiSense SCSI_WRITE_PROTECTED = { 7, 0x27, 0 };
static const ScsiSense SCSI_SPACE_ALLOCATION_FAILED = { 7, 0x27, 7 };
static const ScsiSense SCSI_IO_ERROR = { 11, 0, 6 };

/* A command. The adapter owns it; nothing of it may move until it is complete. */
struct ScsiRequest {
    /* Set by the adapter. */
    uint8_t cdb[SCSI_CDB_MAX];
    const struct iovec *out, *in; /* data to and from the unit */
    unsigned n_out, n_in;
    void (*done)(ScsiRequest *request); /* may free it */
    /* The result. */
    uint8_t status;
    uint8_t sense[SCSI_SENSE_MAX];
    unsigned sense_len;
    uint64_t transferred;         /* bytes of data, either way */
    bool overrun;                 /* the data did not fit into the buffers: nothing was done */
    /* The unit's own while it works. */
    ScsiDevice *dev;
    void *work;
};

typedef struct ScsiDeviceOps {
    /* Everything but REPORT LUNS and REQUEST SENSE. */
    void (*execute)(ScsiDevice *dev, ScsiRequest *request);
    /* Main thread: wait for what is at work. */
    void (*drain)(ScsiDevice *dev);
    /* End by scsi_complete(TASK ABORTED) what waits without working. */
    void (*abort_waiting)(ScsiDevice *dev);
} ScsiDeviceOps;

struct ScsiDevice {
    Device parent_obj;
    uint32_t channel;
    int32_t scsi_id, lun; /* -1 before it is placed: the first free */
    ScsiSense attention;  /* unit attention for the next command; key 0: none */
    unsigned in_flight;
};

/* What a bus tells its adapter. All may be NULL. */
typedef struct ScsiBusOps {
    void (*plugged)(void *opaque, ScsiDevice *dev);
    void (*unplugged)(void *opaque, ScsiDevice *dev);
    /* The unit has an attention that the driver should hear of. */
    void (*changed)(void *opaque, ScsiDevice *dev, ScsiSense sense);
    /* A request of the unit is complete. */
    void (*idle)(void *opaque, ScsiDevice *dev);
} ScsiBusOps;

typedef struct ScsiBusLimits {
    uint32_t max_channel, max_target, max_lun; /* inclusive */
} ScsiBusLimits;

ScsiBus *scsi_bus_new(Device *owner, const char *name, const ScsiBusLimits *limits,
                      const ScsiBusOps *ops, void *opaque);
/* NULL: there is none. */
ScsiDevice *scsi_bus_find(ScsiBus *bus, uint32_t target, uint32_t lun);
/* Any unit of the target, for what targets answer without one; NULL: no such target. */
ScsiDevice *scsi_bus_find_target(ScsiBus *bus, uint32_t target);
void scsi_bus_foreach(ScsiBus *bus, void (*fn)(ScsiDevice *dev, void *opaque), void *opaque);

/* exact: dev is the unit that is meant; else only a neighbour in its target. */
void scsi_execute(ScsiDevice *dev, ScsiRequest *request, bool exact);

/* For units. */
void scsi_complete(ScsiRequest *request, ScsiStatus status);
void scsi_fail(ScsiRequest *request, ScsiSense sense);
/* The command's data, as far as the allocation length and the buffers go; GOOD. */
void scsi_reply(ScsiRequest *request, const void *data, size_t len, size_t allocated);
/* For the next command, and the driver's events. */
void scsi_set_attention(ScsiDevice *dev, ScsiSense sense);
/* Length of a CDB by its first byte; 0: unknown. */
unsigned scsi_cdb_length(uint8_t opcode);

#endif
