/* SPDX-License-Identifier: Apache-2.0 */
/*
 * virtio-balloon (VIRTIO 1.2, section 5.5): the guest lends memory to the host and takes it back
 * (inflate, deflate), says how it uses memory (statistics), and names pages that are free at the
 * moment (reporting; hints, which nobody asks for until machines migrate while they run).
 *
 * What the guest gives is thrown away at once. All that it says of pages is checked: only RAM that
 * it can write to itself is touched, in units of the pages of the memory behind it. Work is cut
 * into rounds, and no more than one request of a queue is held at a time.
 *
 * Shared by the model's files. VM lock held, but for the queue of hints.
 */
#ifndef VIREO_HW_MISC_VIRTIO_BALLOON_H
#define VIREO_HW_MISC_VIRTIO_BALLOON_H

#include <linux/virtio_balloon.h>

#include "backends/iothread.h"
#include "hw/virtio/virtio.h"
#include "util/timer.h"

#define BALLOON_STATS 10

/* The host page, larger than the guest's, of which the guest has given a part. */
typedef struct BalloonPartialPage {
    uint8_t *host;        /* NULL: none */
    unsigned long *given; /* a bit for each of the guest's pages in it */
    unsigned left;        /* bits to go */
} BalloonPartialPage;

/* A queue whose requests are done in rounds. */
typedef struct BalloonQueue {
    VirtioQueue *queue;        /* NULL: it does not exist */
    VirtQueueElement *element; /* taken, not given back */
    size_t done;               /* bytes of it */
} BalloonQueue;

typedef struct VirtioBalloon {
    VirtioDevice dev;
    IoThread *iothread;     /* property */
    BalloonQueue inflate, deflate, stats_queue;
    VirtioQueue *hint, *report; /* NULL: not offered */
    uint32_t num_pages;     /* the host's wish, of 4096 bytes */
    uint32_t actual;        /* as the guest says */
    uint32_t poison;        /* what the guest's free pages are filled with */
    BalloonPartialPage partial;
    /* Statistics. */
    uint64_t stats[BALLOON_STATS]; /* UINT64_MAX: not known */
    int64_t stats_time;     /* when they came, in seconds since 1970; 0: never */
    int64_t poll_interval;  /* property, seconds; 0: do not ask */
    Timer *timer;           /* the next question */
} VirtioBalloon;

/* virtio-balloon-pages.c: what inflate, deflate and report queues are for. */
void balloon_handle_pages(VirtioDevice *dev, VirtioQueue *queue);
void balloon_handle_report(VirtioDevice *dev, VirtioQueue *queue);
void balloon_forget_partial(VirtioBalloon *balloon);
/* The driver's next request of this queue, if there is one. */
bool balloon_take(BalloonQueue *queue);
/* Forget, or put back, what was taken. */
void balloon_release(BalloonQueue *queue);

/* virtio-balloon-stats.c */
extern const PropertyKind balloon_prop_stats;
bool balloon_set_interval(Object *obj, const Property *prop, json_object *value, GError **error);
void balloon_handle_stats(VirtioDevice *dev, VirtioQueue *queue);
void balloon_reset_stats(VirtioBalloon *balloon);
/* The timer's callback. */
void balloon_poll(void *opaque);

#endif
