/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The device target: an input is what a hostile guest does with one of the devices of a PC that has
 * all of them.
 *
 * Byte 0 chooses the device (fuzz_focuses), 7 bytes mean nothing; then come records of 8 bytes.
 * What a record's operation needs of data follows it, filled up to 8 bytes, so that records stay
 * where mutations expect them.
 */
#ifndef VIREO_TESTS_FUZZ_DEVICE_H
#define VIREO_TESTS_FUZZ_DEVICE_H

#include "hw/pci/pci.h"
#include "hw/virtio/virtio.h"
#include "net/net.h"
#include "system/options.h"

#define FUZZ_MAX_AREAS 24
#define FUZZ_WIRES 2
#define FUZZ_PATTERN 128

typedef struct FuzzRecord {
    uint8_t op;    /* low 4 bits: FuzzOp; high 4: do it 1 << n times */
    uint8_t arg;
    uint16_t at;
    uint32_t value;
} FuzzRecord;
G_STATIC_ASSERT(sizeof(FuzzRecord) == 8);

typedef enum FuzzOp {
    FUZZ_WRITE,        /* arg: size and area; at: offset; value */
    FUZZ_READ,
    FUZZ_CONFIG_WRITE, /* arg: size; at: offset in configuration space */
    FUZZ_CONFIG_READ,
    FUZZ_FILL,         /* arg * 8 bytes of data to guest memory at at * 8 + (value & 7) */
    FUZZ_PATTERN_SET,  /* arg * 8 bytes of data: what devices find in memory from now on */
    FUZZ_PUMP,         /* requests go on: at most arg + 1 turns of the loop */
    FUZZ_CLOCK,        /* value ns pass */
    FUZZ_RESET,        /* arg 0: the device; else the machine */
    FUZZ_STATE,        /* save, reset, load: must be as before */
    FUZZ_GO_ON,        /* the machine, after an error that stopped it; arg & 1: stop it */
    FUZZ_FRAME,        /* arg * 8 bytes come by the wire value & 1, with offloads (value & 2) */
    FUZZ_SETUP,        /* virtio: a driver's start; see fuzz_rings_setup() */
    FUZZ_CHAIN,        /* virtio: a chain; see fuzz_rings_chain() */
    FUZZ_KICK,         /* virtio: queue arg */
    FUZZ_WIRE,         /* the peer of NIC value & 1 takes frames (arg & 1), link up (arg & 2) */
} FuzzOp;

/* Where a device answers. */
typedef struct FuzzArea {
    uint64_t base;
    uint32_t size;
    bool io;
} FuzzArea;

typedef struct FuzzFocus {
    const char *name;
    const char *type;      /* QOM type whose BARs and state are meant */
    FuzzArea areas[FUZZ_MAX_AREAS]; /* beside BARs; ends with size 0 */
} FuzzFocus;

/* A driver's view of its queues. */
#define FUZZ_QUEUES 8
typedef struct FuzzQueue {
    uint16_t size, next, avail;
    bool wrap;
} FuzzQueue;

typedef struct FuzzMachine {
    /* of the process */
    bool built;
    VmOptions *options;    /* the machine borrows from them */
    uint8_t *ram;
    uint64_t ram_size;
    NetClient *wires[FUZZ_WIRES];
    bool wire_takes[FUZZ_WIRES];
    /* of the input */
    const FuzzFocus *focus;
    Device *dev;           /* of the focus; or NULL */
    PciDevice *pci;        /* the same, if it is one */
    FuzzArea areas[FUZZ_MAX_AREAS];
    unsigned n_areas;
    int64_t ns;            /* so much time may pass still */
    uint64_t common;       /* virtio: where its registers are, or 0 */
    bool packed;
    FuzzQueue queues[FUZZ_QUEUES];
} FuzzMachine;

/* device-machine.c */
extern const FuzzFocus fuzz_focuses[];
unsigned fuzz_focus_count(void);
/* Makes the machine at first use, resets it and maps what the focus has. */
void fuzz_machine_begin(FuzzMachine *machine, const FuzzFocus *focus);
/* Nothing of this input goes on. */
void fuzz_machine_end(FuzzMachine *machine);
void fuzz_machine_map(FuzzMachine *machine);
void fuzz_machine_reset(FuzzMachine *machine);
void fuzz_machine_go_on(void);
void fuzz_pump(unsigned turns);
void fuzz_config_write(const PciDevice *dev, unsigned offset, unsigned size, uint32_t value);
/* The device's state goes out and comes back, and nothing has changed. */
void fuzz_machine_save_and_load(FuzzMachine *machine);

/* device-dma.c: what devices read of memory is replaced by these bytes, on and on; len 0: not. */
void fuzz_dma_set_pattern(const uint8_t *data, size_t len);
MemResult __wrap_address_space_read(AddressSpace *as, uint64_t addr, void *buf, uint64_t len);
void *__wrap_address_space_map(AddressSpace *as, uint64_t addr, uint64_t *len, bool is_write);
MemResult __real_address_space_read(AddressSpace *as, uint64_t addr, void *buf, uint64_t len);
void *__real_address_space_map(AddressSpace *as, uint64_t addr, uint64_t *len, bool is_write);

/* device-rings.c */
/*
 * Reset, features (value: those not to be accepted; arg: 1 packed, 2 event index, 4 in order),
 * queues of 1 << (at & 15) places, DRIVER_OK.
 */
void fuzz_rings_setup(FuzzMachine *machine, const FuzzRecord *record);
/*
 * A chain of at most n descriptors, each as the 8 bytes of FuzzDesc, in queue arg & 7. arg & 8: in
 * an indirect table; arg & 16: kick; arg & 32: without making it available.
 */
void fuzz_rings_chain(FuzzMachine *machine, const FuzzRecord *record, const uint8_t *descs,
                      unsigned n);
void fuzz_rings_kick(FuzzMachine *machine, unsigned queue);

typedef struct FuzzDesc {
    uint16_t at;     /* address / 8; */
    uint16_t len;
    uint8_t flags;   /* 1: end here, 2: WRITE, 4: INDIRECT, 8: `next` as it stands, 16: len << 8 */
    uint8_t id;      /* packed: added to the id */
    uint16_t next;
} FuzzDesc;
G_STATIC_ASSERT(sizeof(FuzzDesc) == 8);

#endif
