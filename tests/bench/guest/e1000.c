/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An 82540EM with legacy descriptors and no interrupts. Source: PCI/PCI-X Family of Gigabit
 * Ethernet Controllers Software Developer's Manual, chapters 3 and 13.
 */
#include "frame.h"
#include "pci.h"

enum {
    VENDOR_INTEL = 0x8086,
    ID_82540EM = 0x100e,

    CTRL = 0x0000,
    CTRL_SLU = 1 << 6,
    IMC = 0x00d8,
    RCTL = 0x0100,
    RCTL_GO = 1 << 1 | 1 << 3 | 1 << 4 | 1 << 15, /* EN, UPE, MPE, BAM; buffers of 2 KiB */
    TCTL = 0x0400,
    TCTL_GO = 1 << 1 | 1 << 3,                    /* EN, PSP */
    RX_RING = 0x2800,
    TX_RING = 0x3800,
    RING_HIGH = 0x04,
    RING_LEN = 0x08,
    RING_HEAD = 0x10,
    RING_TAIL = 0x18,

    DESCRIPTORS = 256,
    BUFFER = 2048,
    STATUS_DONE = 1,
    COMMAND_SEND = 1 | 2 | 8, /* EOP, IFCS, RS */
    CRC_LEN = 4,
};

#define RX_BUFFERS DATA_BASE
#define TX_BUFFERS (DATA_BASE + MIB)

struct descriptor {
    uint64_t address;
    uint16_t len;
    uint8_t offset, command; /* transmit */
    uint8_t status, errors;  /* of received ones: these are bytes 12 and 13 too */
    uint16_t special;
};

struct nic {
    uintptr_t registers;
    volatile struct descriptor *rx, *tx;
    unsigned rx_next, tx_next;
};

static uint8_t *buffer_at(uintptr_t base, unsigned index)
{
    return (uint8_t *)base + index * BUFFER;
}

static void write_ring(const struct nic *nic, unsigned ring, volatile struct descriptor *memory)
{
    write_mmio(nic->registers + ring, (uint32_t)(uintptr_t)memory);
    write_mmio(nic->registers + ring + RING_HIGH, 0);
    write_mmio(nic->registers + ring + RING_LEN, DESCRIPTORS * sizeof(*memory));
    write_mmio(nic->registers + ring + RING_HEAD, 0);
    write_mmio(nic->registers + ring + RING_TAIL, 0);
}

static void open_nic(struct nic *nic, const struct job *job)
{
    struct pci_device device;

    if (!pci_find(VENDOR_INTEL, ID_82540EM, ID_82540EM, &device)) {
        fail(job->name, "there is no 82540EM");
    }
    *nic = (struct nic) {
        .registers = device.bar[0],
        .rx = (volatile struct descriptor *)RINGS_BASE,
        .tx = (volatile struct descriptor *)(RINGS_BASE + MIB),
    };
    for (unsigned i = 0; i < DESCRIPTORS; i++) {
        nic->rx[i] = (struct descriptor) { .address = RX_BUFFERS + i * BUFFER };
        nic->tx[i] = (struct descriptor) { .status = STATUS_DONE };
    }
    write_mmio(nic->registers + IMC, UINT32_MAX);
    write_mmio(nic->registers + RCTL, 0);
    write_mmio(nic->registers + TCTL, 0);
    write_mmio(nic->registers + CTRL, read_mmio(nic->registers + CTRL) | CTRL_SLU);
    write_ring(nic, TX_RING, nic->tx);
    write_ring(nic, RX_RING, nic->rx);
    write_mmio(nic->registers + TCTL, TCTL_GO);
    write_mmio(nic->registers + RCTL, RCTL_GO);
    write_mmio(nic->registers + RX_RING + RING_TAIL, DESCRIPTORS - 1);
}

static void offer_frame(struct nic *nic, uint8_t *frame, uint32_t bytes)
{
    volatile struct descriptor *at = &nic->tx[nic->tx_next];

    at->address = (uintptr_t)frame;
    at->len = (uint16_t)bytes;
    at->offset = 0;
    at->status = 0;
    at->command = COMMAND_SEND;
    nic->tx_next = (nic->tx_next + 1) % DESCRIPTORS;
}

/* Send what was offered, and wait for the last of it. */
static void send_offered(struct nic *nic)
{
    volatile struct descriptor *last = &nic->tx[(nic->tx_next + DESCRIPTORS - 1) % DESCRIPTORS];

    write_mmio(nic->registers + TX_RING + RING_TAIL, nic->tx_next);
    while (!(last->status & STATUS_DONE)) {
        pause();
    }
}

static void say_where_we_are(struct nic *nic)
{
    uint8_t *frame = buffer_at(TX_BUFFERS, 0);

    frame_build_arp(frame);
    offer_frame(nic, frame, FRAME_MIN);
    send_offered(nic);
}

static unsigned batch_of(const struct job *job)
{
    uint64_t batch = job->argument[1];

    if (!batch || batch >= DESCRIPTORS) {
        fail(job->name, "sends 1 to 255 frames at once");
    }
    return (unsigned)batch;
}

void run_e1000_send(const struct job *job)
{
    static struct nic nic;
    uint32_t bytes = frame_bytes(job);
    uint64_t batch = batch_of(job), count = job->argument[2], sent = 0, start;

    open_nic(&nic, job);
    say_where_we_are(&nic);
    frame_build(buffer_at(TX_BUFFERS, 1), bytes, 0);
    print_begin(job);
    start = read_tsc();
    while (sent < count) {
        for (uint64_t i = 0; i < batch && sent < count; i++, sent++) {
            offer_frame(&nic, buffer_at(TX_BUFFERS, 1), bytes);
        }
        send_offered(&nic);
    }
    print_result(job, count, read_tsc() - start);
}

/* Ask the peer (tests/bench/net-peer.c) for as many frames. */
static void ask_for_frames(struct nic *nic, unsigned count)
{
    uint8_t *frame = buffer_at(TX_BUFFERS, 0);

    frame_build(frame, FRAME_MIN, count);
    offer_frame(nic, frame, FRAME_MIN);
    send_offered(nic);
}

static volatile struct descriptor *wait_for_frame(struct nic *nic)
{
    volatile struct descriptor *at = &nic->rx[nic->rx_next];

    while (!(at->status & STATUS_DONE)) {
        pause();
    }
    return at;
}

/* Counts from the first frame on. Two batches are on their way while there is more to come. */
void run_e1000_receive(const struct job *job)
{
    static struct nic nic;
    uint32_t bytes = frame_bytes(job);
    uint64_t count = job->argument[2], seen = 0, start = 0;
    unsigned batch = batch_of(job);

    open_nic(&nic, job);
    say_where_we_are(&nic);
    print_begin(job);
    ask_for_frames(&nic, batch);
    ask_for_frames(&nic, batch);
    while (seen <= count) {
        volatile struct descriptor *at = wait_for_frame(&nic);
        bool ours = at->len == bytes + CRC_LEN &&
                    frame_is_udp(buffer_at(RX_BUFFERS, nic.rx_next));

        at->status = 0;
        if (ours && seen++ == 0) {
            start = read_tsc();
        }
        if (ours && seen % batch == 0) {
            write_mmio(nic.registers + RX_RING + RING_TAIL, nic.rx_next);
            ask_for_frames(&nic, batch);
        }
        nic.rx_next = (nic.rx_next + 1) % DESCRIPTORS;
    }
    print_result(job, count, read_tsc() - start);
}
