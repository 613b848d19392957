/* SPDX-License-Identifier: Apache-2.0 */
/*
 * virtio-balloon: pages that the guest gives and takes back.
 *
 * A host page may be larger than the guest's 4096 bytes (hugetlbfs). It is discarded when the guest
 * has given all of it; of one such page at a time it is kept which parts are given, as a guest
 * gives neighbours one after the other.
 */
#include "hw/misc/virtio-balloon.h"

#include "memory/ram-block.h"
#include "util/bits.h"
#include "util/iov.h"

#define PAGE (1u << VIRTIO_BALLOON_PFN_SHIFT)
#define PFNS_PER_ROUND 1024u
#define PFNS_AT_ONCE 256u
#define REPORTS_PER_ROUND 4u
#define WORD_BITS (8 * sizeof(unsigned long))

bool balloon_take(BalloonQueue *queue)
{
    VirtQueue *vq = &queue->queue->vq;

    if (!queue->element && virtio_queue_is_running(queue->queue)) {
        do {
            queue->element = virtqueue_pop(vq, sizeof(*queue->element));
        } while (!queue->element && virtqueue_enable_kicks(vq));
        queue->done = 0;
    }
    return queue->element != NULL;
}

void balloon_release(BalloonQueue *queue)
{
    if (queue->element) {
        virtqueue_unpop(&queue->queue->vq, g_steal_pointer(&queue->element));
    }
}

void balloon_forget_partial(VirtioBalloon *balloon)
{
    balloon->partial.host = NULL;
    g_clear_pointer(&balloon->partial.given, g_free);
}

/* One of the guest's pages in a larger page of the host's. True: that one is given as a whole. */
static bool give_part(VirtioBalloon *balloon, uint8_t *host, unsigned part, unsigned parts)
{
    BalloonPartialPage *partial = &balloon->partial;
    unsigned long bit = 1UL << part % WORD_BITS;

    if (partial->host != host) {
        balloon_forget_partial(balloon);
        partial->host = host;
        partial->given = g_new0(unsigned long, parts / WORD_BITS + 1);
        partial->left = parts;
    }
    if (!(partial->given[part / WORD_BITS] & bit)) {
        partial->given[part / WORD_BITS] |= bit;
        partial->left--;
    }
    return partial->left == 0;
}

static void give_page(VirtioBalloon *balloon, RamBlock *block, uint64_t offset)
{
    const uint64_t size = ram_block_page_size(block);
    const uint64_t start = ROUND_DOWN(offset, size);
    uint8_t *host = (uint8_t *)ram_block_host(block) + start;

    if (size == PAGE) {
        ram_block_discard(block, offset, PAGE);
    } else if (size > PAGE && give_part(balloon, host, (offset - start) / PAGE, size / PAGE)) {
        balloon_forget_partial(balloon);
        ram_block_discard(block, start, size);
    }
}

/* The host provides memory when it is touched. */
static void take_back_page(VirtioBalloon *balloon, const RamBlock *block, uint64_t offset)
{
    const uint64_t start = ROUND_DOWN(offset, ram_block_page_size(block));

    if (balloon->partial.host == (uint8_t *)ram_block_host(block) + start) {
        balloon_forget_partial(balloon);
    }
}

/* Where there is no RAM that the guest can write to itself, nothing happens. */
static void one_page(VirtioBalloon *balloon, uint32_t pfn, bool give)
{
    AddressSpace *as = address_space_memory();
    uint64_t len = PAGE, offset;
    void *host = address_space_map(as, (uint64_t)pfn << VIRTIO_BALLOON_PFN_SHIFT, &len, true);
    MemoryRegion *region = host ? memory_region_from_host(host, &offset) : NULL;

    if (region && len == PAGE && IS_ALIGNED(offset, PAGE)) {
        RamBlock *block = memory_region_ram_block(region);

        if (give) {
            give_page(balloon, block, offset);
        } else {
            take_back_page(balloon, block, offset);
        }
    }
    if (host) {
        address_space_unmap(as, host, len, true, 0);
    }
}

/* Go on with the request, up to so many pages. True: it is done. */
static bool some_pages(VirtioBalloon *balloon, BalloonQueue *queue, unsigned *budget)
{
    const VirtQueueElement *element = queue->element;
    uint32_t pfns[PFNS_AT_ONCE];

    while (*budget) {
        size_t want = MIN(*budget, PFNS_AT_ONCE) * sizeof(pfns[0]);
        size_t n = iov_to_buf(element->out, element->n_out, queue->done, pfns, want) /
                   sizeof(pfns[0]);

        *budget -= MAX(n, 1);
        for (size_t i = 0; i < n; i++) {
            one_page(balloon, GUINT32_FROM_LE(pfns[i]), queue == &balloon->inflate);
        }
        queue->done += n * sizeof(pfns[0]);
        if (n * sizeof(pfns[0]) < want) {
            return true;
        }
    }
    return false;
}

void balloon_handle_pages(VirtioDevice *dev, VirtioQueue *vq)
{
    VirtioBalloon *balloon = (VirtioBalloon *)dev;
    BalloonQueue *queue = vq == balloon->inflate.queue ? &balloon->inflate : &balloon->deflate;
    unsigned budget = PFNS_PER_ROUND;
    bool any = false;

    while (budget && balloon_take(queue)) {
        if (some_pages(balloon, queue, &budget)) {
            virtqueue_push(&vq->vq, g_steal_pointer(&queue->element), 0);
            any = true;
        }
    }
    if (any) {
        virtio_queue_notify(vq);
    }
    if (!budget) {
        virtio_queue_schedule(vq);
    }
}

/* ---- Pages that are free at the moment ---- */

static void discard_piece(const struct iovec *piece)
{
    uint64_t offset, start, end, size;
    MemoryRegion *region = memory_region_from_host(piece->iov_base, &offset);
    RamBlock *block = region ? memory_region_ram_block(region) : NULL;

    if (block) {
        size = ram_block_page_size(block);
        start = ROUND_UP(offset, size);
        end = ROUND_DOWN(offset + piece->iov_len, size);
        if (start < end) {
            ram_block_discard(block, start, end - start);
        }
    }
}

/* Pages that the guest relies on to keep their pattern cannot be thrown away. */
static bool may_discard(const VirtioBalloon *balloon)
{
    return !virtio_has_feature(&balloon->dev, VIRTIO_BALLOON_F_PAGE_POISON) || !balloon->poison;
}

void balloon_handle_report(VirtioDevice *dev, VirtioQueue *queue)
{
    const VirtioBalloon *balloon = (VirtioBalloon *)dev;
    VirtQueueElement *element = NULL;
    unsigned budget = REPORTS_PER_ROUND;

    while (budget) {
        do {
            element = virtqueue_pop(&queue->vq, sizeof(*element));
        } while (!element && virtqueue_enable_kicks(&queue->vq));
        if (!element) {
            break;
        }
        for (unsigned i = 0; i < element->n_in && may_discard(balloon); i++) {
            discard_piece(&element->in[i]);
        }
        virtqueue_push(&queue->vq, element, 0);
        budget--;
    }
    virtio_queue_notify(queue);
    if (!budget) {
        virtio_queue_schedule(queue);
    }
}
