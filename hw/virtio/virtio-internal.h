/* SPDX-License-Identifier: Apache-2.0 */
/* Between the core's files. VM lock held. */
#ifndef VIREO_HW_VIRTIO_VIRTIO_INTERNAL_H
#define VIREO_HW_VIRTIO_VIRTIO_INTERNAL_H

#include "hw/virtio/virtio.h"

/* The driver is ready: map the ring and take kicks. */
void virtio_queue_start(VirtioQueue *queue);
void virtio_queue_stop(VirtioQueue *queue);
/* Take kicks, or not: the VM runs or stops. */
void virtio_queue_watch(VirtioQueue *queue, bool on);
/* Power-on values. */
void virtio_queue_clear(VirtioQueue *queue);
void virtio_queue_free(VirtioQueue *queue);
/* Needs reset, for this reason. Any thread. queue may be NULL. */
void virtio_device_break(VirtioDevice *dev, const VirtioQueue *queue, const char *why);

#endif
