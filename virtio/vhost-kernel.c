/* SPDX-License-Identifier: Apache-2.0 */
#include "virtio/vhost-kernel.h"

#include <errno.h>
#include <linux/vhost.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "util/error.h"

/* As many as Linux's module takes by default. */
#define MAX_REGIONS 64

static int system_ioctl(int fd, unsigned long request, void *argument)
{
    return ioctl(fd, request, argument);
}

static bool call(VhostKernel *kernel, unsigned long request, void *argument, const char *name,
                 GError **error)
{
    int ret;

    do {
        ret = kernel->ioctl(kernel->fd, request, argument);
    } while (ret < 0 && errno == EINTR);
    if (ret < 0) {
        error_set_errno(error, errno, "vhost-net: %s failed", name);
    }
    return ret >= 0;
}

static bool kernel_set_features(Vhost *vhost, uint64_t features, GError **error)
{
    return call((VhostKernel *)vhost, VHOST_SET_FEATURES, &features, "VHOST_SET_FEATURES", error);
}

static bool kernel_set_memory(Vhost *vhost, const VhostRegion *regions, unsigned n, GError **error)
{
    g_autofree struct vhost_memory *memory =
        g_malloc0(sizeof(*memory) + n * sizeof(memory->regions[0]));

    memory->nregions = n;
    for (unsigned i = 0; i < n; i++) {
        memory->regions[i] = (struct vhost_memory_region) {
            .guest_phys_addr = regions[i].guest_addr, .memory_size = regions[i].size,
            .userspace_addr = (uintptr_t)regions[i].host,
        };
    }
    return call((VhostKernel *)vhost, VHOST_SET_MEM_TABLE, memory, "VHOST_SET_MEM_TABLE", error);
}

static bool set_backend(VhostKernel *kernel, unsigned queue, int fd, GError **error)
{
    struct vhost_vring_file file = { .index = queue, .fd = fd };

    return call(kernel, VHOST_NET_SET_BACKEND, &file, "VHOST_NET_SET_BACKEND", error);
}

static bool set_poll(VhostKernel *kernel, unsigned queue, GError **error)
{
    struct vhost_vring_state state = { .index = queue, .num = kernel->poll_us };

    return !kernel->poll_us ||
           call(kernel, VHOST_SET_VRING_BUSYLOOP_TIMEOUT, &state,
                "VHOST_SET_VRING_BUSYLOOP_TIMEOUT", error);
}

static bool kernel_start_ring(Vhost *vhost, unsigned queue, const VhostRing *ring, GError **error)
{
    VhostKernel *kernel = (VhostKernel *)vhost;
    struct vhost_vring_state size = { .index = queue, .num = ring->size };
    struct vhost_vring_state base = { .index = queue, .num = ring->base };
    struct vhost_vring_file kick = { .index = queue, .fd = ring->kick };
    struct vhost_vring_file interrupt = { .index = queue, .fd = ring->call };
    struct vhost_vring_addr addr = {
        .index = queue, .desc_user_addr = (uintptr_t)ring->desc,
        .used_user_addr = (uintptr_t)ring->used, .avail_user_addr = (uintptr_t)ring->avail,
    };

    return call(kernel, VHOST_SET_VRING_NUM, &size, "VHOST_SET_VRING_NUM", error) &&
           call(kernel, VHOST_SET_VRING_BASE, &base, "VHOST_SET_VRING_BASE", error) &&
           call(kernel, VHOST_SET_VRING_ADDR, &addr, "VHOST_SET_VRING_ADDR", error) &&
           call(kernel, VHOST_SET_VRING_KICK, &kick, "VHOST_SET_VRING_KICK", error) &&
           call(kernel, VHOST_SET_VRING_CALL, &interrupt, "VHOST_SET_VRING_CALL", error) &&
           set_poll(kernel, queue, error) && set_backend(kernel, queue, kernel->tap, error);
}

static bool kernel_stop_ring(Vhost *vhost, unsigned queue, uint16_t *base, GError **error)
{
    VhostKernel *kernel = (VhostKernel *)vhost;
    struct vhost_vring_state state = { .index = queue };

    if (!set_backend(kernel, queue, -1, error) ||
        !call(kernel, VHOST_GET_VRING_BASE, &state, "VHOST_GET_VRING_BASE", error)) {
        return false;
    }
    *base = (uint16_t)state.num;
    return true;
}

static const VhostOps kernel_ops = {
    .set_features = kernel_set_features,
    .set_memory = kernel_set_memory,
    .start_ring = kernel_start_ring,
    .stop_ring = kernel_stop_ring,
};

VhostKernel *vhost_kernel_new(int fd, int tap, uint32_t poll_us, VhostIoctlFn *ioctl_fn,
                              GError **error)
{
    VhostKernel *kernel = g_new0(VhostKernel, 1);

    kernel->vhost.ops = &kernel_ops;
    kernel->vhost.max_regions = MAX_REGIONS;
    kernel->fd = fd;
    kernel->tap = tap;
    kernel->poll_us = poll_us;
    kernel->ioctl = ioctl_fn ? ioctl_fn : system_ioctl;
    if (!call(kernel, VHOST_SET_OWNER, NULL, "VHOST_SET_OWNER", error) ||
        !call(kernel, VHOST_GET_FEATURES, &kernel->vhost.features, "VHOST_GET_FEATURES", error)) {
        vhost_kernel_free(kernel);
        return NULL;
    }
    return kernel;
}

void vhost_kernel_free(VhostKernel *kernel)
{
    if (kernel) {
        close(kernel->fd);
        g_free(kernel);
    }
}
