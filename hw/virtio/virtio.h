/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Virtio devices (VIRTIO 1.2): what a device model gives, and what the core and the transports make
 * of it.
 *
 * A model is a struct whose first member is VirtioDevice, and a table VirtioDeviceOps. It is
 * embedded in the object that the user plugs: a PCI function (virtio-pci.h) or an occupant of an
 * MMIO window (virtio-mmio.h). So one model makes several types with the same properties:
 *
 *   typedef struct VirtioFoo { VirtioDevice dev; uint32_t knob; } VirtioFoo;
 *   #define FOO_PROPERTIES(S, f) VIRTIO_COMMON_PROPERTIES(S, f.dev), PROP_UINT32(..., f.knob, ...)
 *   VIRTIO_PCI_TYPES(virtio_foo, "virtio-foo", VirtioFoo, FOO_PROPERTIES, ...)
 *   VIRTIO_MMIO_TYPE(virtio_foo, "virtio-foo", VirtioFoo, FOO_PROPERTIES, ...)
 *
 * Life: realize (the model adds its queues); then any number of rounds of
 *   features negotiated -> set_features; DRIVER_OK -> start; kicks -> each queue's handle; reset.
 *
 * Threads. Everything is under the VM lock, except that a queue given to an iothread
 * (virtio_queue_set_loop) is handled there, without the lock: then `handle` and all calls for that
 * queue are made on the iothread. Queues of the main loop are handled on the main loop, or on a
 * vCPU's thread with the VM lock held.
 *
 * Elements (virtio/virtqueue.h) may be given back after a reset: they are then only unmapped. So a
 * model needs no bookkeeping of what is in flight across resets, but its requests must not write to
 * memory of a guest that thinks that the reset is over: `drain` waits for them, where that is
 * possible.
 */
#ifndef VIREO_HW_VIRTIO_VIRTIO_H
#define VIREO_HW_VIRTIO_VIRTIO_H

#include <linux/virtio_config.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_ring.h>

#include "hw/core/device.h"
#include "memory/memory.h"
#include "util/event-notifier.h"
#include "util/loop.h"
#include "virtio/virtqueue.h"

#define VIRTIO_MAX_QUEUES 1024
#define VIRTIO_MAX_QUEUE_SIZE 1024
#define VIRTIO_NO_VECTOR 0xffff
/* Interrupt status (4.1.4.5). */
#define VIRTIO_ISR_QUEUE 1u
#define VIRTIO_ISR_CONFIG 2u
/* A legacy device offers it so that a driver that accepts what it does not know is found out. */
#define VIRTIO_F_BAD_FEATURE 30

typedef struct VirtioDevice VirtioDevice;
typedef struct VirtioQueue VirtioQueue;

typedef struct VirtioDeviceOps {
    const char *name;      /* for messages and saved state: "virtio-blk" */
    uint16_t id;           /* VIRTIO_ID_*; section 5 */
    size_t config_size;    /* of the whole configuration space */
    bool (*realize)(VirtioDevice *dev, GError **error);
    /* No queue runs and nothing is in flight. May be NULL. */
    void (*unrealize)(VirtioDevice *dev);
    /* Device-specific features that are offered; asked once, after realize. NULL: none. */
    uint64_t (*features)(VirtioDevice *dev);
    /* What is offered of config_size, given the features; NULL: all. For legacy BAR sizes. */
    size_t (*config_len)(VirtioDevice *dev, uint64_t features);
    /* dev->features is what the driver accepted. May be NULL. */
    void (*set_features)(VirtioDevice *dev);
    /* Fill config_size bytes, zero at first. NULL if config_size is 0. */
    void (*get_config)(VirtioDevice *dev, uint8_t *config);
    /* The driver wrote bytes inside the space; config has the whole of it. NULL: read-only. */
    void (*set_config)(VirtioDevice *dev, const uint8_t *config, size_t offset, size_t len);
    /* DRIVER_OK: queues run. May be NULL. */
    void (*start)(VirtioDevice *dev);
    /* Queues have been stopped: by reset, by unplug. May be NULL. */
    void (*stop)(VirtioDevice *dev);
    /* Power-on values of the model's own. Queues do not run. May be NULL. */
    void (*reset)(VirtioDevice *dev);
    /* One queue was stopped (VIRTIO_F_RING_RESET): forget what waits in it. May be NULL. */
    void (*queue_reset)(VirtioDevice *dev, VirtioQueue *queue);
    /* Main thread: wait until no element is out. NULL: none ever is, when handle has returned. */
    void (*drain)(VirtioDevice *dev);
    /*
     * Queues whose `external` is set are mapped, and their doorbells and interrupts connected: have
     * them run elsewhere; or (not run) take them back. The driver is ready and the VM runs. NULL:
     * there are no such queues.
     */
    void (*run_external)(VirtioDevice *dev, bool run);
    /* The model's own state, opaque = VirtioDevice. NULL: none. */
    const VmState *vmstate;
    /* What can be booted from, as part of a firmware path ("/disk@0,0"); NULL: nothing. */
    const char *boot_unit;
} VirtioDeviceOps;

/* What a transport does for the core. All with the VM lock held, but can_dma. */
typedef struct VirtioTransportOps {
    /* Interrupt for a queue (its vector) or the configuration; isr: the bit that says which. */
    void (*interrupt)(VirtioDevice *dev, uint16_t vector, uint8_t isr);
    /* The interrupt line, if any, goes down: reset. */
    void (*clear_interrupt)(VirtioDevice *dev);
    /* Any thread. NULL: always. */
    bool (*can_dma)(const VirtioDevice *dev);
    /*
     * The queue starts or stops to take kicks: let writes to its doorbell set queue->kick, and
     * queue->call be an interrupt (queue->irqfd), where possible. NULL: nothing to be done.
     */
    void (*queue_running)(VirtioDevice *dev, VirtioQueue *queue, bool running);
} VirtioTransportOps;

typedef void VirtioQueueFn(VirtioDevice *dev, VirtioQueue *queue);

struct VirtioQueue {
    VirtQueue vq;           /* first */
    VirtioDevice *dev;
    unsigned index;
    VirtioQueueFn *handle;
    uint16_t max_size;      /* what the device offers; 0: no such queue */
    uint16_t vector;
    bool enabled;           /* by the driver */
    bool external;          /* set by the model before start: not handled in this process */
    bool watched;           /* kicks are taken */
    EventNotifier kick, call;
    bool irqfd;             /* atomic: `call` interrupts the guest by itself */
    bool call_watched;      /* by the main loop */
    Loop *loop;
    LoopBh *again;
    MemoryRegion *ring_region; /* where the part of the ring is that the device writes */
    uint64_t ring_offset;
};

struct VirtioDevice {
    const VirtioDeviceOps *ops;
    const VirtioTransportOps *transport;
    Device *owner;          /* the object that the model is embedded in */
    AddressSpace *dma_as;
    uint64_t host_features; /* common features as properties say; then all that are offered */
    uint64_t withheld;      /* never offered: set by realize for what an external backend lacks */
    uint64_t features;      /* accepted by the driver */
    bool legacy;            /* the driver came by the legacy interface */
    bool bad_features;      /* it asked for some that are not offered */
    uint8_t status;
    uint8_t isr;            /* atomic */
    uint8_t config_generation;
    uint16_t config_vector;
    VirtioQueue **queues;   /* n_queues of them */
    unsigned n_queues;
    bool broken;            /* atomic: needs reset */
    bool vm_running;
    bool external_runs;     /* run_external(true) was called */
    bool use_ioeventfd;     /* property */
    uint8_t *config;        /* scratch, config_size bytes */
    LoopBh *error_bh;
    Notifier run_state;
    /* saved state */
    uint8_t *saved;
    uint32_t saved_len;
};

#define VIRTIO_COMMON_PROPERTIES(S, v)                                                             \
    PROP_BIT64("indirect_desc", S, v.host_features, VIRTIO_RING_F_INDIRECT_DESC, true,             \
               "indirect descriptors"),                                                            \
    PROP_BIT64("event_idx", S, v.host_features, VIRTIO_RING_F_EVENT_IDX, true,                     \
               "event indices against needless kicks and interrupts"),                             \
    PROP_BIT64("notify_on_empty", S, v.host_features, VIRTIO_F_NOTIFY_ON_EMPTY, true,        \
               "interrupt when a queue runs empty (legacy drivers)"),                              \
    PROP_BIT64("any_layout", S, v.host_features, VIRTIO_F_ANY_LAYOUT, true,                  \
               "requests may be cut into any descriptors (legacy drivers)"),                       \
    PROP_BIT64("iommu_platform", S, v.host_features, VIRTIO_F_ACCESS_PLATFORM, false,              \
               "addresses are what the platform makes of them"),                                   \
    PROP_BIT64("packed", S, v.host_features, VIRTIO_F_RING_PACKED, false, "packed rings"),         \
    PROP_BIT64("in_order", S, v.host_features, VIRTIO_F_IN_ORDER, false,                     \
               "use buffers in the order in which they came"),                                     \
    PROP_BIT64("queue_reset", S, v.host_features, VIRTIO_F_RING_RESET, true,                 \
               "single queues can be reset")

/* ---- For models ---- */

/* In realize. size: a power of two, at most VIRTIO_MAX_QUEUE_SIZE. Owned by the core. */
VirtioQueue *virtio_add_queue(VirtioDevice *dev, uint16_t size, VirtioQueueFn *handle);
/*
 * Handle the queue on this loop (an iothread's); NULL: the main loop. In realize or start's
 * absence: while the queue does not run.
 */
void virtio_queue_set_loop(VirtioQueue *queue, Loop *loop);
/* Does the queue run: DRIVER_OK, enabled, the VM running, not broken? On the queue's thread. */
bool virtio_queue_is_running(const VirtioQueue *queue);
/* Interrupt the driver, if it wants to hear of what was pushed. On the queue's thread. */
void virtio_queue_notify(VirtioQueue *queue);
/* Call handle again soon without a kick: there is more than one round should do. Any thread. */
void virtio_queue_schedule(VirtioQueue *queue);
/* The driver broke a rule: the device needs a reset. On the queue's thread. why: a constant. */
void virtio_queue_error(VirtioQueue *queue, const char *why);
/* The configuration space has changed by itself. VM lock held. */
void virtio_notify_config(VirtioDevice *dev);
static inline bool virtio_has_feature(const VirtioDevice *dev, unsigned bit)
{
    return dev->features >> bit & 1;
}
/*
 * Saved state of requests that wait for the VM to go on. A model has a VirtioSaved, in its table as
 * VMSTATE_STRUCT(..., virtio_saved_vmstate); its pre_save empties and fills it, post_load reads it.
 */
typedef struct VirtioSaved {
    uint8_t *data;
    uint32_t len, at;
} VirtioSaved;
extern const VmState virtio_saved_vmstate;
#define VIRTIO_SAVED_MAX (16u << 20)
void virtio_saved_clear(VirtioSaved *saved);
/* When there is no more room, the device needs a reset, also where it is loaded. */
void virtio_saved_add(VirtioSaved *saved, VirtioQueue *queue, const void *element);
/* Is there one more? */
bool virtio_saved_more(const VirtioSaved *saved);
/* The next, as virtqueue_pop() gives it; NULL with error set. */
void *virtio_saved_take(VirtioSaved *saved, VirtioDevice *dev, size_t size, VirtioQueue **queue,
                        GError **error);

/* DRIVER_OK, and not broken. */
bool virtio_is_started(const VirtioDevice *dev);

/* ---- For transports. VM lock held ---- */

/*
 * The owner's realize: ops->realize, and the offered features. modern: VERSION_1 can be offered.
 * dev is zero but for its properties.
 */
bool virtio_device_realize(VirtioDevice *dev, const VirtioDeviceOps *ops,
                           const VirtioTransportOps *transport, Device *owner, bool modern,
                           GError **error);
void virtio_device_unrealize(VirtioDevice *dev);
/* Status 0 and machine reset. */
void virtio_reset(VirtioDevice *dev);
/*
 * What a modern driver reads: not 0 while requests from before the last reset are still at work in
 * its memory, for then the reset is not over.
 */
uint8_t virtio_visible_status(const VirtioDevice *dev);
void virtio_set_status(VirtioDevice *dev, uint8_t status);
/* What is offered to a driver that knows VIRTIO 1.0. */
uint64_t virtio_modern_features(const VirtioDevice *dev);
/* The driver's choice of features; refused when it comes too late. */
void virtio_set_features(VirtioDevice *dev, uint64_t features);
/* Bytes beyond the end read as all ones and ignore writes. size 1, 2, 4 (or 8: reads only). */
uint64_t virtio_config_read(VirtioDevice *dev, uint64_t offset, unsigned size);
void virtio_config_write(VirtioDevice *dev, uint64_t offset, unsigned size, uint64_t value);
/* Queues that nobody handles any more, or somebody else: a backend came or went. VM lock held. */
void virtio_restart(VirtioDevice *dev);
/* NULL: there is no such queue. */
VirtioQueue *virtio_queue(VirtioDevice *dev, unsigned index);
/* A power of two up to max_size (packed: any number); else refused. */
void virtio_queue_set_size(VirtioQueue *queue, uint16_t size);
/* Addresses are set. Starts it, if the driver is ready. */
void virtio_queue_enable(VirtioQueue *queue);
/* Legacy: the page of the ring's beginning; 0: no ring. align: of the used part. */
void virtio_queue_set_legacy_page(VirtioQueue *queue, uint64_t address, uint32_t align);
/* VIRTIO_F_RING_RESET. */
void virtio_queue_reset(VirtioQueue *queue);
/* `call` interrupts the guest by itself now, or no more. */
void virtio_queue_set_irqfd(VirtioQueue *queue, bool on);
/* The driver rang the doorbell. */
void virtio_queue_kick(VirtioDevice *dev, unsigned index);
/* Bus mastering may have been switched on: look at the queues again. */
void virtio_kick_all(VirtioDevice *dev);
/* The longest that a legacy or MMIO register window shows of the configuration. */
size_t virtio_config_len(VirtioDevice *dev);
/* The core's and the model's state; opaque = VirtioDevice. */
extern const VmState virtio_vmstate;

#endif
