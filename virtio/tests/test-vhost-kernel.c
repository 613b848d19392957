/* SPDX-License-Identifier: Apache-2.0 */
/* What vhost-net is told, against a kernel that only takes notes. */
#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <linux/vhost.h>
#include <string.h>
#include <unistd.h>

#include "virtio/vhost-kernel.h"

#define FEATURES 0x130008000ull
#define TAP 77

/* The calls so far, as text; and the one that is to fail. */
typedef struct Notes {
    GString *text;
    unsigned long fails;
    bool interrupted; /* once, before the next one is taken */
} Notes;

/* A call has no place for a pointer of ours. */
static Notes notes;

static int take_note(int fd, unsigned long request, void *argument)
{
    const struct vhost_vring_state *state = argument;
    const struct vhost_vring_file *file = argument;
    const struct vhost_vring_addr *addr = argument;
    const struct vhost_memory *memory = argument;

    if (notes.interrupted) {
        notes.interrupted = false;
        errno = EINTR;
        return -1;
    }
    if (request == notes.fails) {
        errno = EBADFD;
        return -1;
    }
    switch (request) {
    case VHOST_SET_OWNER:
        g_string_append(notes.text, "owner;");
        break;
    case VHOST_GET_FEATURES:
        *(uint64_t *)argument = FEATURES;
        break;
    case VHOST_SET_FEATURES:
        g_string_append_printf(notes.text, "features %" G_GINT64_MODIFIER "x;",
                               *(uint64_t *)argument);
        break;
    case VHOST_SET_MEM_TABLE:
        for (uint32_t i = 0; i < memory->nregions; i++) {
            g_string_append_printf(notes.text, "memory %llx+%llx at %llx;",
                                   memory->regions[i].guest_phys_addr,
                                   memory->regions[i].memory_size,
                                   memory->regions[i].userspace_addr);
        }
        break;
    case VHOST_SET_VRING_NUM:
        g_string_append_printf(notes.text, "%u: size %u;", state->index, state->num);
        break;
    case VHOST_SET_VRING_BASE:
        g_string_append_printf(notes.text, "%u: base %u;", state->index, state->num);
        break;
    case VHOST_GET_VRING_BASE:
        ((struct vhost_vring_state *)argument)->num = 4321;
        break;
    case VHOST_SET_VRING_ADDR:
        g_string_append_printf(notes.text, "%u: %llx %llx %llx;", addr->index, addr->desc_user_addr,
                               addr->avail_user_addr, addr->used_user_addr);
        break;
    case VHOST_SET_VRING_KICK:
        g_string_append_printf(notes.text, "%u: kick %d;", file->index, file->fd);
        break;
    case VHOST_SET_VRING_CALL:
        g_string_append_printf(notes.text, "%u: call %d;", file->index, file->fd);
        break;
    case VHOST_SET_VRING_BUSYLOOP_TIMEOUT:
        g_string_append_printf(notes.text, "%u: poll %u;", state->index, state->num);
        break;
    case VHOST_NET_SET_BACKEND:
        g_string_append_printf(notes.text, "%u: tap %d;", file->index, file->fd);
        break;
    default:
        g_assert_not_reached();
    }
    return 0;
}

static int some_fd(void)
{
    int fd = open("/dev/null", O_RDWR | O_CLOEXEC);

    g_assert_cmpint(fd, >=, 0);
    return fd;
}

static VhostKernel *start_kernel(uint32_t poll_us)
{
    notes = (Notes){ .text = g_string_new(NULL) };
    return vhost_kernel_new(some_fd(), TAP, poll_us, take_note, NULL);
}

static void stop_kernel(VhostKernel *kernel)
{
    vhost_kernel_free(kernel);
    g_string_free(notes.text, true);
}

static void expect(const char *text)
{
    g_assert_cmpstr(notes.text->str, ==, text);
    g_string_truncate(notes.text, 0);
}

static const VhostRing ring = {
    .size = 256, .base = 17, .desc = (void *)0x1000, .avail = (void *)0x2000,
    .used = (void *)0x3000, .kick = 5, .call = 6,
};

static void test_calls(void)
{
    const VhostRegion regions[] = {
        { 0, 0x80000000, (void *)0x7000000000, -1, 0 },
        { 0x100000000, 0x1000, (void *)0x7080000000, -1, 0 },
    };
    VhostKernel *kernel = start_kernel(0);
    Vhost *vhost = &kernel->vhost;
    uint16_t base = 0;

    expect("owner;");
    g_assert_cmphex(vhost->features, ==, FEATURES);
    g_assert_false(vhost->needs_fds);
    g_assert_true(vhost->ops->set_features(vhost, 0x100000000, NULL));
    expect("features 100000000;");
    g_assert_true(vhost->ops->set_memory(vhost, regions, G_N_ELEMENTS(regions), NULL));
    expect("memory 0+80000000 at 7000000000;memory 100000000+1000 at 7080000000;");
    notes.interrupted = true;
    g_assert_true(vhost->ops->start_ring(vhost, 1, &ring, NULL));
    expect("1: size 256;1: base 17;1: 1000 2000 3000;1: kick 5;1: call 6;1: tap 77;");
    g_assert_true(vhost->ops->stop_ring(vhost, 1, &base, NULL));
    expect("1: tap -1;");
    g_assert_cmpuint(base, ==, 4321);
    stop_kernel(kernel);
    kernel = start_kernel(50);
    expect("owner;");
    g_assert_true(kernel->vhost.ops->start_ring(&kernel->vhost, 0, &ring, NULL));
    expect("0: size 256;0: base 17;0: 1000 2000 3000;0: kick 5;0: call 6;0: poll 50;0: tap 77;");
    stop_kernel(kernel);
}

static void test_failures(void)
{
    static const unsigned long requests[] = {
        VHOST_SET_VRING_NUM, VHOST_SET_VRING_BASE, VHOST_SET_VRING_ADDR, VHOST_SET_VRING_KICK,
        VHOST_SET_VRING_CALL, VHOST_NET_SET_BACKEND,
    };
    g_autoptr(GError) refused = NULL;
    VhostKernel *kernel = start_kernel(0);
    uint16_t base;

    for (size_t i = 0; i < G_N_ELEMENTS(requests); i++) {
        g_autoptr(GError) error = NULL;

        notes.fails = requests[i];
        g_assert_false(kernel->vhost.ops->start_ring(&kernel->vhost, 0, &ring, &error));
        g_assert_nonnull(strstr(error->message, "vhost-net: VHOST_"));
    }
    notes.fails = VHOST_GET_VRING_BASE;
    g_assert_false(kernel->vhost.ops->stop_ring(&kernel->vhost, 0, &base, NULL));
    stop_kernel(kernel);
    /* What is no vhost device says so; the descriptor is closed. */
    g_assert_null(vhost_kernel_new(some_fd(), TAP, 0, NULL, &refused));
    g_assert_nonnull(strstr(refused->message, "VHOST_SET_OWNER failed"));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/vhost-kernel/calls", test_calls);
    g_test_add_func("/vhost-kernel/failures", test_failures);
    return g_test_run();
}
