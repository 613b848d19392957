/* SPDX-License-Identifier: Apache-2.0 */
/* Floppy drives: type "floppy" on the controller's bus. VM lock held. */
#ifndef VIREO_HW_BLOCK_FLOPPY_H
#define VIREO_HW_BLOCK_FLOPPY_H

#include "hw/block/block-conf.h"

#define TYPE_FLOPPY_BUS "floppy-bus"
#define TYPE_FLOPPY "floppy"
#define FLOPPY_DRIVES 2
#define FLOPPY_SECTOR 512

typedef enum FloppyType {
    FLOPPY_144, FLOPPY_288, FLOPPY_120, FLOPPY_NONE, FLOPPY_AUTO,
} FloppyType;
/* "144", "288", ...: in this order, for a property. */
extern const char *const floppy_type_names[];

/* How a medium is laid out. rate: as in the data rate register. */
typedef struct FloppyFormat {
    uint8_t type; /* FloppyType: the drive that takes it */
    uint8_t sectors, tracks, sides, rate;
} FloppyFormat;

typedef struct FloppyBus {
    Bus parent_obj;
    struct FloppyDrive *drives[FLOPPY_DRIVES];
    int fallback; /* FloppyType of a drive that nothing says more of */
    int types[FLOPPY_DRIVES];          /* by place; FLOPPY_AUTO: as the drive says */
    int32_t boot_index[FLOPPY_DRIVES]; /* by place */
} FloppyBus;

typedef struct FloppyDrive {
    Device parent_obj;
    BlockConf conf;
    uint32_t unit;
    int32_t bootindex;   /* the bus says it */
    int wanted_type;     /* FloppyType property */
    int type;
    FloppyFormat format; /* of the medium; sectors 0: there is none */
    uint8_t track;       /* where the head stands */
    bool changed;        /* the disk change line: until the head moves over a medium */
} FloppyDrive;
extern const VmState floppy_vmstate;

FloppyBus *floppy_bus_new(Device *owner, FloppyType fallback);
bool floppy_has_medium(const FloppyDrive *drive);
/* The most tracks, sectors and sides of all formats of a kind of drive. */
FloppyFormat floppy_largest_format(int type);
/* Of the medium; false if it has no such sector. Sectors count from 1. */
bool floppy_offset(const FloppyDrive *drive, unsigned track, unsigned side, unsigned sector,
                   int64_t *offset);

#endif
