/* SPDX-License-Identifier: Apache-2.0 */
/* virtio-blk (VIRTIO 1.2, 5.2): slot i of the data area goes with descriptors 3i to 3i+2. */
#include <linux/virtio_blk.h>
#include <linux/virtio_ids.h>

#include "virtio.h"

enum {
    OLD_PCI_ID = 0x1001,
    PCI_ID = 0x1040 + VIRTIO_ID_BLOCK,
    SECTOR = 512,
    DESCRIPTORS = 3,
    STATUS_UNKNOWN = 0xff,
};

struct slot {
    struct virtio_blk_outhdr header;
    uint8_t status;
};

struct disk {
    struct virtio_device device;
    struct virtqueue queue;
    uint64_t requests;            /* how many of this size it holds */
    uint64_t bytes;               /* of a request */
    unsigned depth;
    uint64_t random;
    unsigned free[DATA_SLOTS];
    unsigned n_free;
    uint64_t number[DATA_SLOTS];  /* of the request in the slot */
};

/* Which request comes as the n-th. */
typedef uint64_t order_fn(struct disk *disk, uint64_t n);
/* Before a request goes, after it came back; may be NULL. */
typedef void slot_fn(struct disk *disk, unsigned slot);

static uint64_t errors;

static uint64_t *slot_data(unsigned slot)
{
    return (uint64_t *)(DATA_BASE + slot * DATA_SLOT);
}

static struct slot *slot_of(unsigned slot)
{
    static struct slot slots[DATA_SLOTS] __attribute__((aligned(64)));

    return &slots[slot];
}

static void prepare_slot(struct disk *disk, unsigned slot, uint32_t type)
{
    struct vring_desc *desc = &disk->queue.desc[DESCRIPTORS * slot];
    uint16_t next = (uint16_t)(DESCRIPTORS * slot + 1);

    slot_of(slot)->header = (struct virtio_blk_outhdr) { .type = type };
    desc[0] = (struct vring_desc) {
        (uintptr_t)&slot_of(slot)->header, sizeof(struct virtio_blk_outhdr), VRING_DESC_F_NEXT, next
    };
    desc[1] = (struct vring_desc) {
        (uintptr_t)slot_data(slot), (uint32_t)disk->bytes,
        VRING_DESC_F_NEXT | (type == VIRTIO_BLK_T_IN ? VRING_DESC_F_WRITE : 0),
        (uint16_t)(next + 1)
    };
    desc[2] = (struct vring_desc) {
        (uintptr_t)&slot_of(slot)->status, 1, VRING_DESC_F_WRITE, 0
    };
}

static void open_disk(struct disk *disk, const struct job *job)
{
    uint64_t sectors;

    *disk = (struct disk) { .random = 0x9e3779b97f4a7c15 };
    disk->bytes = job->argument[0] * 1024;
    disk->depth = (unsigned)job->argument[1];
    if (!disk->bytes || disk->bytes > DATA_SLOT || !disk->depth || disk->depth > DATA_SLOTS) {
        fail(job->name, "takes up to 1024 KiB and a depth of up to 64");
    }
    virtio_open(&disk->device, job->name, PCI_ID, OLD_PCI_ID, 0);
    virtio_add_queue(&disk->device, &disk->queue, 0, RINGS_BASE, job->by_interrupt);
    if (disk->queue.size < DESCRIPTORS * DATA_SLOTS) {
        fail(job->name, "the queue is too short");
    }
    sectors = read_mmio(disk->device.config + 4);
    sectors = sectors << 32 | read_mmio(disk->device.config);
    disk->requests = sectors * SECTOR / disk->bytes;
    if (!disk->requests) {
        fail(job->name, "the disk is too small");
    }
    virtio_go(&disk->device);
}

static void send_request(struct disk *disk, uint64_t number, slot_fn *before)
{
    unsigned slot = disk->free[--disk->n_free];

    disk->number[slot] = number;
    slot_of(slot)->header.sector = number * disk->bytes / SECTOR;
    slot_of(slot)->status = STATUS_UNKNOWN;
    if (before) {
        before(disk, slot);
    }
    virtqueue_offer(&disk->queue, (uint16_t)(DESCRIPTORS * slot));
}

static unsigned take_results(struct disk *disk, const struct job *job, slot_fn *after)
{
    unsigned count = 0;
    uint32_t head, len;

    while (virtqueue_take(&disk->queue, &head, &len)) {
        unsigned slot = head / DESCRIPTORS;

        if (head % DESCRIPTORS || slot >= disk->depth ||
            *(volatile uint8_t *)&slot_of(slot)->status != VIRTIO_BLK_S_OK) {
            fail(job->name, "a request failed");
        }
        if (after) {
            after(disk, slot);
        }
        disk->free[disk->n_free++] = slot;
        count++;
    }
    return count;
}

/* All of the job's requests, as many at once as it says. */
static void do_requests(struct disk *disk, const struct job *job, uint32_t type, order_fn *order,
                        slot_fn *before, slot_fn *after)
{
    uint64_t count = job->argument[2], sent = 0, done = 0;

    disk->n_free = 0;
    for (unsigned slot = 0; slot < disk->depth; slot++) {
        prepare_slot(disk, slot, type);
        disk->free[disk->n_free++] = slot;
    }
    while (done < count) {
        while (sent < count && disk->n_free) {
            send_request(disk, order(disk, sent++), before);
        }
        virtqueue_kick(&disk->queue);
        virtqueue_wait(&disk->queue);
        done += take_results(disk, job, after);
    }
}

static uint64_t random_order(struct disk *disk, uint64_t n)
{
    (void)n;
    disk->random ^= disk->random << 13;
    disk->random ^= disk->random >> 7;
    disk->random ^= disk->random << 17;
    return disk->random % disk->requests;
}

static uint64_t sequential_order(struct disk *disk, uint64_t n)
{
    return n % disk->requests;
}

static void measure(const struct job *job, uint32_t type, order_fn *order)
{
    static struct disk disk;
    uint64_t start;

    open_disk(&disk, job);
    print_begin(job);
    start = read_tsc();
    do_requests(&disk, job, type, order, NULL, NULL);
    print_result(job, job->argument[2], read_tsc() - start);
    virtio_close(&disk.device);
}

void run_blk_random_read(const struct job *job)
{
    measure(job, VIRTIO_BLK_T_IN, random_order);
}

void run_blk_random_write(const struct job *job)
{
    measure(job, VIRTIO_BLK_T_OUT, random_order);
}

void run_blk_read(const struct job *job)
{
    measure(job, VIRTIO_BLK_T_IN, sequential_order);
}

void run_blk_write(const struct job *job)
{
    measure(job, VIRTIO_BLK_T_OUT, sequential_order);
}

/* Each 8 bytes of the disk hold where they are, turned about, so that no zeroes pass for them. */
static uint64_t pattern_at(const struct disk *disk, unsigned slot, uint64_t word)
{
    return ~(disk->number[slot] * disk->bytes + word * sizeof(uint64_t));
}

static void fill_slot(struct disk *disk, unsigned slot)
{
    for (uint64_t word = 0; word < disk->bytes / sizeof(uint64_t); word++) {
        slot_data(slot)[word] = pattern_at(disk, slot, word);
    }
}

static void clear_slot(struct disk *disk, unsigned slot)
{
    for (uint64_t word = 0; word < disk->bytes / sizeof(uint64_t); word++) {
        slot_data(slot)[word] = 0;
    }
}

static void check_slot(struct disk *disk, unsigned slot)
{
    for (uint64_t word = 0; word < disk->bytes / sizeof(uint64_t); word++) {
        errors += slot_data(slot)[word] != pattern_at(disk, slot, word);
    }
}

void run_blk_verify(const struct job *job)
{
    static struct disk disk;
    uint64_t start;

    errors = 0;
    open_disk(&disk, job);
    print_begin(job);
    start = read_tsc();
    do_requests(&disk, job, VIRTIO_BLK_T_OUT, sequential_order, fill_slot, NULL);
    do_requests(&disk, job, VIRTIO_BLK_T_IN, sequential_order, clear_slot, check_slot);
    print_result(job, 2 * job->argument[2], read_tsc() - start);
    print_value(job->name, ".errors", errors);
    virtio_close(&disk.device);
}
