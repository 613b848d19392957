/* SPDX-License-Identifier: Apache-2.0 */
/*
 * virtio-net (VIRTIO 1.2, 5.1): one queue pair, no offloads, one descriptor a frame with the header
 * in front of it. The data area's first half receives, its second half sends.
 */
#include <linux/virtio_ids.h>

#include "frame.h"
#include "virtio.h"

enum {
    OLD_PCI_ID = 0x1000,
    PCI_ID = 0x1040 + VIRTIO_ID_NET,
    HEADER = 12, /* of VERSION_1 devices, num_buffers included */
    BUFFER = 2048,
};

#define RX_BUFFERS DATA_BASE
#define TX_BUFFERS (DATA_BASE + MIB)

struct nic {
    struct virtio_device device;
    struct virtqueue rx, tx;
};

static uint8_t *rx_frame(uint32_t buffer)
{
    return (uint8_t *)RX_BUFFERS + buffer * BUFFER + HEADER;
}

static uint8_t *tx_frame(uint32_t buffer)
{
    return (uint8_t *)TX_BUFFERS + buffer * BUFFER + HEADER;
}

static void open_nic(struct nic *nic, const struct job *job)
{
    virtio_open(&nic->device, job->name, PCI_ID, OLD_PCI_ID, 0);
    virtio_add_queue(&nic->device, &nic->rx, 0, RINGS_BASE, job->by_interrupt);
    virtio_add_queue(&nic->device, &nic->tx, 1, RINGS_BASE + MIB, job->by_interrupt);
    virtio_go(&nic->device);
    for (uint16_t i = 0; i < nic->rx.size; i++) {
        nic->rx.desc[i] = (struct vring_desc) { RX_BUFFERS + i * BUFFER, BUFFER,
                                                VRING_DESC_F_WRITE, 0 };
        virtqueue_offer(&nic->rx, i);
    }
    virtqueue_kick(&nic->rx);
}

static void offer_frame(struct nic *nic, uint16_t buffer, uint32_t bytes)
{
    uint8_t *header = tx_frame(buffer) - HEADER;

    for (unsigned i = 0; i < HEADER; i++) {
        header[i] = 0;
    }
    nic->tx.desc[buffer] = (struct vring_desc) { (uintptr_t)header, bytes + HEADER, 0, 0 };
    virtqueue_offer(&nic->tx, buffer);
}

/* Wait until all that was offered is sent. */
static void finish_sending(struct nic *nic)
{
    uint32_t head, len;

    virtqueue_kick(&nic->tx);
    while (nic->tx.last_used != nic->tx.next_avail) {
        virtqueue_wait(&nic->tx);
        while (virtqueue_take(&nic->tx, &head, &len)) {
        }
    }
}

static void say_where_we_are(struct nic *nic)
{
    frame_build_arp(tx_frame(0));
    offer_frame(nic, 0, FRAME_MIN);
    finish_sending(nic);
}

static unsigned batch_of(const struct job *job, const struct nic *nic)
{
    uint64_t batch = job->argument[1];

    if (!batch || batch > nic->tx.size) {
        fail(job->name, "sends 1 to 256 frames at once");
    }
    return (unsigned)batch;
}

void run_net_send(const struct job *job)
{
    static struct nic nic;
    uint32_t bytes = frame_bytes(job), head, len;
    uint64_t count = job->argument[2], sent = 0, start;
    unsigned batch;

    open_nic(&nic, job);
    batch = batch_of(job, &nic);
    for (unsigned i = 0; i < batch; i++) {
        frame_build(tx_frame(i), bytes, i);
    }
    say_where_we_are(&nic);
    frame_build(tx_frame(0), bytes, 0);
    print_begin(job);
    start = read_tsc();
    while (sent < count) {
        while (sent < count && (uint16_t)(nic.tx.next_avail - nic.tx.last_used) < batch) {
            offer_frame(&nic, (uint16_t)(sent++ % batch), bytes);
        }
        virtqueue_kick(&nic.tx);
        virtqueue_wait(&nic.tx);
        while (virtqueue_take(&nic.tx, &head, &len)) {
        }
    }
    finish_sending(&nic);
    print_result(job, count, read_tsc() - start);
    virtio_close(&nic.device);
}

/* Ask the peer (tests/bench/net-peer.c) for as many frames. */
static void ask_for_frames(struct nic *nic, unsigned count)
{
    frame_build(tx_frame(0), FRAME_MIN, count);
    offer_frame(nic, 0, FRAME_MIN);
    finish_sending(nic);
}

/* Counts from the first frame on. Two batches are on their way while there is more to come. */
void run_net_receive(const struct job *job)
{
    static struct nic nic;
    uint32_t bytes = frame_bytes(job), head, len;
    uint64_t count = job->argument[2], seen = 0, start = 0;
    unsigned batch;

    open_nic(&nic, job);
    batch = batch_of(job, &nic);
    say_where_we_are(&nic);
    print_begin(job);
    ask_for_frames(&nic, batch);
    ask_for_frames(&nic, batch);
    while (seen <= count) {
        virtqueue_wait(&nic.rx);
        while (virtqueue_take(&nic.rx, &head, &len)) {
            bool ours = len == bytes + HEADER && frame_is_udp(rx_frame(head));

            virtqueue_offer(&nic.rx, (uint16_t)head);
            if (ours && seen++ == 0) {
                start = read_tsc();
            }
            if (ours && seen % batch == 0) {
                virtqueue_kick(&nic.rx);
                ask_for_frames(&nic, batch);
            }
        }
    }
    print_result(job, count, read_tsc() - start);
    virtio_close(&nic.device);
}

/* The next of our frames from the peer; its buffer is offered again. */
static bool receive_matching(struct nic *nic, uint32_t bytes, uint64_t number)
{
    uint32_t head, len;

    for (;;) {
        virtqueue_wait(&nic->rx);
        if (virtqueue_take(&nic->rx, &head, &len)) {
            bool ours = len == bytes + HEADER && frame_is_udp(rx_frame(head));
            bool matches = ours && frame_matches(rx_frame(head), bytes, number);

            virtqueue_offer(&nic->rx, (uint16_t)head);
            virtqueue_kick(&nic->rx);
            if (ours) {
                return matches;
            }
        }
    }
}

void run_net_echo(const struct job *job)
{
    static struct nic nic;
    uint32_t bytes = frame_bytes(job);
    uint64_t count = job->argument[2], errors = 0, start, number = 0;
    unsigned batch;

    open_nic(&nic, job);
    batch = batch_of(job, &nic);
    print_begin(job);
    start = read_tsc();
    while (number < count) {
        unsigned some = (unsigned)(count - number < batch ? count - number : batch);

        for (unsigned i = 0; i < some; i++) {
            frame_build(tx_frame(i), bytes, number + i);
            offer_frame(&nic, (uint16_t)i, bytes);
        }
        finish_sending(&nic);
        while (some--) {
            errors += !receive_matching(&nic, bytes, number++);
        }
    }
    print_result(job, count, read_tsc() - start);
    print_value(job->name, ".errors", errors);
    virtio_close(&nic.device);
}
