/* SPDX-License-Identifier: Apache-2.0 */
/* vhost-net: the host's kernel runs a pair of queues (<linux/vhost.h>; Linux's drivers/vhost). */
#ifndef VIREO_VIRTIO_VHOST_KERNEL_H
#define VIREO_VIRTIO_VHOST_KERNEL_H

#include "virtio/vhost-backend.h"

#define VHOST_NET_DEVICE "/dev/vhost-net"

/* Calls on the device; for tests another than the system's. As ioctl(2), with errno set. */
typedef int VhostIoctlFn(int fd, unsigned long request, void *argument);

typedef struct VhostKernel {
    Vhost vhost;        /* first */
    int fd;             /* of the device; owned */
    int tap;            /* where frames go; borrowed */
    uint32_t poll_us;
    VhostIoctlFn *ioctl;
} VhostKernel;

/*
 * fd: an open vhost-net device, which is taken, also on failure. poll_us: how long the kernel looks
 * for frames before it sleeps. ioctl_fn NULL: the system's.
 */
VhostKernel *vhost_kernel_new(int fd, int tap, uint32_t poll_us, VhostIoctlFn *ioctl_fn,
                              GError **error);
void vhost_kernel_free(VhostKernel *kernel);

#endif
