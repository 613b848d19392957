/* SPDX-License-Identifier: Apache-2.0 */
/* A virtio driver whose rings look as they should where the input does not say otherwise. */
#include <linux/virtio_pci.h>
#include <string.h>

#include "tests/fuzz/device.h"
#include "util/bits.h"

#define RINGS 0x40000u  /* RING_STEP for each queue */
#define RING_STEP 0x4000u
#define DRIVER 0x1000u
#define DEVICE 0x2000u
#define TABLES 0x70000u /* indirect: a table of each queue */
#define TABLE_STEP 0x1000u
#define NOTIFY 0x3000u
#define MAX_SIZE_LOG2 8

static void set(FuzzMachine *machine, unsigned reg, unsigned size, uint64_t value)
{
    address_space_store(address_space_memory(), machine->common + reg, size, value);
}

static uint64_t get(FuzzMachine *machine, unsigned reg, unsigned size)
{
    uint64_t value = 0;

    address_space_load(address_space_memory(), machine->common + reg, size, &value);
    return value;
}

static void set_address(FuzzMachine *machine, unsigned reg, uint64_t address)
{
    set(machine, reg, 4, (uint32_t)address);
    set(machine, reg + 4, 4, address >> 32);
}

static uint64_t wanted_features(FuzzMachine *machine, const FuzzRecord *record)
{
    uint64_t features;

    set(machine, VIRTIO_PCI_COMMON_DFSELECT, 4, 1);
    features = get(machine, VIRTIO_PCI_COMMON_DF, 4) << 32;
    set(machine, VIRTIO_PCI_COMMON_DFSELECT, 4, 0);
    features |= get(machine, VIRTIO_PCI_COMMON_DF, 4);
    features &= ~(uint64_t)(record->value & ~(BIT(VIRTIO_RING_F_EVENT_IDX)));
    if (!(record->arg & 1)) {
        features &= ~BIT_ULL(VIRTIO_F_RING_PACKED);
    }
    if (!(record->arg & 2)) {
        features &= ~BIT_ULL(VIRTIO_RING_F_EVENT_IDX);
    }
    if (!(record->arg & 4)) {
        features &= ~BIT_ULL(VIRTIO_F_IN_ORDER);
    }
    machine->packed = features & BIT_ULL(VIRTIO_F_RING_PACKED);
    return features;
}

static void set_up_queue(FuzzMachine *machine, unsigned index, unsigned size)
{
    uint64_t base = RINGS + (uint64_t)index * RING_STEP;

    machine->queues[index] = (FuzzQueue) { .size = size, .wrap = true };
    set(machine, VIRTIO_PCI_COMMON_Q_SELECT, 2, index);
    set(machine, VIRTIO_PCI_COMMON_Q_SIZE, 2, size);
    set_address(machine, VIRTIO_PCI_COMMON_Q_DESCLO, base);
    set_address(machine, VIRTIO_PCI_COMMON_Q_AVAILLO, base + DRIVER);
    set_address(machine, VIRTIO_PCI_COMMON_Q_USEDLO, base + DEVICE);
    memset(machine->ram + base, 0, RING_STEP);
    set(machine, VIRTIO_PCI_COMMON_Q_ENABLE, 2, 1);
}

void fuzz_rings_setup(FuzzMachine *machine, const FuzzRecord *record)
{
    uint8_t status = VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER;
    uint64_t features;
    unsigned queues;

    if (!machine->common) {
        return;
    }
    set(machine, VIRTIO_PCI_COMMON_STATUS, 1, 0);
    set(machine, VIRTIO_PCI_COMMON_STATUS, 1, status);
    features = wanted_features(machine, record);
    for (unsigned i = 0; i < 2; i++) {
        set(machine, VIRTIO_PCI_COMMON_GFSELECT, 4, i);
        set(machine, VIRTIO_PCI_COMMON_GF, 4, (uint32_t)(features >> 32 * i));
    }
    status |= VIRTIO_CONFIG_S_FEATURES_OK;
    set(machine, VIRTIO_PCI_COMMON_STATUS, 1, status);
    queues = MIN(get(machine, VIRTIO_PCI_COMMON_NUMQ, 2), FUZZ_QUEUES);
    for (unsigned i = 0; i < queues; i++) {
        set_up_queue(machine, i, 1u << MIN(record->at & 15, MAX_SIZE_LOG2));
    }
    set(machine, VIRTIO_PCI_COMMON_STATUS, 1, status | VIRTIO_CONFIG_S_DRIVER_OK);
}

void fuzz_rings_kick(FuzzMachine *machine, unsigned queue)
{
    if (machine->common) {
        set(machine, NOTIFY + 4 * (queue % FUZZ_QUEUES), 2, queue % FUZZ_QUEUES);
    }
}

static void put_split(uint8_t *to, const FuzzDesc *desc, unsigned next, bool last)
{
    uint32_t len = desc->flags & 16 ? (uint32_t)desc->len << 8 : desc->len;
    uint16_t flags = (desc->flags & 6) | (last || (desc->flags & 1) ? 0 : VRING_DESC_F_NEXT);

    stq_le(to, (uint64_t)desc->at * 8);
    stl_le(to + 8, len);
    stw_le(to + 12, flags);
    stw_le(to + 14, desc->flags & 8 ? desc->next : next);
}

/* Packed: where the flags go, which make it available, is written last. */
static void put_packed(uint8_t *to, const FuzzDesc *desc, unsigned id, bool last, bool wrap)
{
    uint32_t len = desc->flags & 16 ? (uint32_t)desc->len << 8 : desc->len;
    uint16_t flags = (desc->flags & 6) | (last || (desc->flags & 1) ? 0 : VRING_DESC_F_NEXT) |
                     (wrap ? 1u << VRING_PACKED_DESC_F_AVAIL : 1u << VRING_PACKED_DESC_F_USED);

    stq_le(to, (uint64_t)desc->at * 8);
    stl_le(to + 8, len);
    stw_le(to + 12, (uint16_t)(id + desc->id));
    stw_le(to + 14, desc->flags & 8 ? desc->next : flags);
}

/* A table in memory, and the one descriptor that stands for it. */
static FuzzDesc put_table(FuzzMachine *machine, unsigned queue, const FuzzDesc *descs, unsigned n)
{
    uint32_t base = TABLES + queue * TABLE_STEP;

    for (unsigned i = 0; i < n; i++) {
        if (machine->packed) {
            put_packed(machine->ram + base + 16 * i, &descs[i], 0, i + 1 == n, false);
        } else {
            put_split(machine->ram + base + 16 * i, &descs[i], i + 1, i + 1 == n);
        }
    }
    return (FuzzDesc) { .at = base / 8, .len = (uint16_t)(16 * n), .flags = 4 };
}

static void offer_split(FuzzMachine *machine, unsigned index, const FuzzDesc *descs, unsigned n,
                        bool available)
{
    FuzzQueue *queue = &machine->queues[index];
    uint8_t *ring = machine->ram + RINGS + index * RING_STEP;
    unsigned head = queue->next % queue->size;

    for (unsigned i = 0; i < n; i++) {
        unsigned at = queue->next++ % queue->size;

        put_split(ring + 16 * at, &descs[i], queue->next % queue->size, i + 1 == n);
    }
    stw_le(ring + DRIVER + 4 + 2 * (queue->avail % queue->size), head);
    if (available) {
        stw_le(ring + DRIVER + 2, ++queue->avail);
    }
}

static void offer_packed(FuzzMachine *machine, unsigned index, const FuzzDesc *descs, unsigned n)
{
    FuzzQueue *queue = &machine->queues[index];
    uint8_t *ring = machine->ram + RINGS + index * RING_STEP;
    unsigned id = queue->next;

    for (unsigned i = 0; i < n; i++) {
        put_packed(ring + 16 * queue->next, &descs[i], id, i + 1 == n, queue->wrap);
        if (++queue->next >= queue->size) {
            queue->next = 0;
            queue->wrap = !queue->wrap;
        }
    }
}

void fuzz_rings_chain(FuzzMachine *machine, const FuzzRecord *record, const uint8_t *bytes,
                      unsigned n)
{
    unsigned index = record->arg & 7;
    FuzzDesc descs[64], table;

    n = MIN(n, G_N_ELEMENTS(descs));
    if (!machine->common || !machine->queues[index].size || !n) {
        return;
    }
    memcpy(descs, bytes, n * sizeof(descs[0]));
    if (record->arg & 8) {
        table = put_table(machine, index, descs, n);
        descs[0] = table;
        n = 1;
    }
    if (machine->packed) {
        offer_packed(machine, index, descs, n);
    } else {
        offer_split(machine, index, descs, n, !(record->arg & 32));
    }
    if (record->arg & 16) {
        fuzz_rings_kick(machine, index);
    }
}
