/* SPDX-License-Identifier: Apache-2.0 */
/* A client over an interface of the kernel: frames by read(2) and write(2). */
#include "net/tap.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "io/channel-fd.h"
#include "net/frame.h"
#include "util/error.h"
#include "util/loop.h"
#include "virtio/vhost-kernel.h"

#define TUN_DEVICE "/dev/net/tun"
/* Frames in one turn of the loop, so that a flood leaves others their turn. */
#define READS_PER_TURN 64

typedef struct TapNet {
    NetClient *nc;
    int fd;
    bool vnet_header;
    bool paused, full;
    VhostKernel *vhost; /* NULL: there is none, or it failed */
    bool vhost_runs;    /* frames go between the kernel and the device */
    uint32_t offloads; /* as the kernel was told last */
    char *down_script, *ifname;
} TapNet;

static void set_watch(TapNet *tap);

static void deliver(TapNet *tap, uint8_t *buf, size_t size)
{
    unsigned skip = tap->vnet_header ? NET_VNET_HEADER : 0;
    struct iovec iov = { buf + skip, size - skip };
    NetPacket packet = { .iov = &iov, .n = 1, .size = size - skip };

    if (skip) {
        net_vnet_header_read(buf, &packet.offload);
    }
    tap->paused = !net_send(tap->nc, &packet);
}

static void readable(void *opaque)
{
    TapNet *tap = opaque;
    size_t room = NET_VNET_HEADER + NET_MAX_FRAME;
    g_autofree uint8_t *buf = g_malloc(room);

    for (unsigned i = 0; i < READS_PER_TURN && !tap->paused; i++) {
        ssize_t n = read(tap->fd, buf, room);

        if (n <= (tap->vnet_header ? NET_VNET_HEADER : 0)) {
            break;
        }
        deliver(tap, buf, n);
    }
    if (tap->paused) {
        set_watch(tap);
    }
}

static void writable(void *opaque)
{
    TapNet *tap = opaque;

    tap->full = false;
    set_watch(tap);
    net_ready(tap->nc);
}

static void set_watch(TapNet *tap)
{
    loop_set_fd(loop_main(), tap->fd, tap->paused || tap->vhost_runs ? NULL : readable,
                tap->full ? writable : NULL, tap);
}

static int tap_receive(NetClient *nc, const NetPacket *packet)
{
    TapNet *tap = nc->opaque;
    uint8_t header[NET_VNET_HEADER];
    g_autofree struct iovec *iov = NULL;
    ssize_t n;

    if (tap->full) {
        return -EAGAIN;
    }
    if (!tap->vnet_header) {
        n = writev(tap->fd, packet->iov, packet->n);
    } else {
        net_vnet_header_write(header, &packet->offload);
        iov = g_new(struct iovec, packet->n + 1);
        iov[0] = (struct iovec){ header, sizeof(header) };
        memcpy(iov + 1, packet->iov, packet->n * sizeof(*iov));
        n = writev(tap->fd, iov, packet->n + 1);
    }
    if (n < 0 && errno == EAGAIN) {
        tap->full = true;
        set_watch(tap);
        return -EAGAIN;
    }
    return 0;
}

static void tap_peer_ready(NetClient *nc)
{
    TapNet *tap = nc->opaque;

    if (tap->paused) {
        tap->paused = false;
        set_watch(tap);
    }
}

static uint32_t tap_features(NetClient *nc)
{
    return ((TapNet *)nc->opaque)->vnet_header
               ? NET_FEATURE_CSUM | NET_FEATURE_TSO4 | NET_FEATURE_TSO6 | NET_FEATURE_ECN : 0;
}

/* The kernel leaves undone what the guest takes undone. */
static void tap_peer_changed(NetClient *nc)
{
    TapNet *tap = nc->opaque;
    uint32_t features = net_peer_features(nc), offloads = 0;

    if (!tap->vnet_header) {
        return;
    }
    if (features & NET_FEATURE_CSUM) {
        offloads = TUN_F_CSUM | (features & NET_FEATURE_TSO4 ? TUN_F_TSO4 : 0) |
                   (features & NET_FEATURE_TSO6 ? TUN_F_TSO6 : 0) |
                   (features & NET_FEATURE_ECN ? TUN_F_TSO_ECN : 0);
    }
    if (offloads != tap->offloads && ioctl(tap->fd, TUNSETOFFLOAD, offloads) == 0) {
        tap->offloads = offloads;
    }
}

/* ---- vhost-net ---- */

static bool tap_vhost(NetClient *nc, NetVhost *vhost)
{
    TapNet *tap = nc->opaque;

    *vhost = (NetVhost){ .vhost = tap->vhost ? &tap->vhost->vhost : NULL };
    return tap->vhost;
}

static void tap_vhost_running(NetClient *nc, unsigned header_len)
{
    TapNet *tap = nc->opaque;
    int size = header_len ? (int)header_len : NET_VNET_HEADER;

    tap->vhost_runs = header_len > 0;
    if (ioctl(tap->fd, TUNSETVNETHDRSZ, &size) < 0) {
        warn_report("netdev '%s': cannot set the length of the vnet header: %s", nc->name,
                    g_strerror(errno));
    }
    set_watch(tap);
}

/* Frames go through this program from now on. */
static void tap_vhost_failed(NetClient *nc, GError *error)
{
    TapNet *tap = nc->opaque;
    VhostKernel *vhost = g_steal_pointer(&tap->vhost);

    warn_report("netdev '%s': %s; it goes on without vhost", nc->name, error->message);
    g_error_free(error);
    net_features_changed(nc);
    vhost_kernel_free(vhost);
}

bool net_tap_set_vhost(NetClient *nc, int vhost_fd, uint32_t poll_us, GError **error)
{
    TapNet *tap = nc->opaque;

    if (!tap->vnet_header) {
        error_setf(error, "vhost needs an interface with vnet_hdr=on");
        close(vhost_fd);
        return false;
    }
    tap->vhost = vhost_kernel_new(vhost_fd, tap->fd, poll_us, NULL, error);
    return tap->vhost;
}

bool net_run_script(const char *script, const char *ifname, GError **error)
{
    char *argv[] = { (char *)script, (char *)ifname, NULL };
    int status;

    if (!g_spawn_sync(NULL, argv, NULL, G_SPAWN_CHILD_INHERITS_STDIN, NULL, NULL, NULL, NULL,
                      &status, error)) {
        return false;
    }
    if (status != 0) {
        error_setf(error, "network script %s failed with status %d", script,
                   WIFEXITED(status) ? WEXITSTATUS(status) : status);
        return false;
    }
    return true;
}

void net_tap_set_down_script(NetClient *nc, const char *script, const char *ifname)
{
    TapNet *tap = nc->opaque;

    tap->down_script = g_strdup(script);
    tap->ifname = g_strdup(ifname);
}

static void tap_cleanup(NetClient *nc)
{
    TapNet *tap = nc->opaque;
    g_autoptr(GError) error = NULL;

    if (tap->down_script && !net_run_script(tap->down_script, tap->ifname, &error)) {
        warn_report("netdev '%s': %s", nc->name, error->message);
    }
    loop_set_fd(loop_main(), tap->fd, NULL, NULL, NULL);
    vhost_kernel_free(tap->vhost);
    close(tap->fd);
    g_free(tap->down_script);
    g_free(tap->ifname);
    g_free(tap);
}

#define TAP_OPS                                                                                    \
    .features = tap_features, .receive = tap_receive, .peer_ready = tap_peer_ready,                \
    .peer_changed = tap_peer_changed, .vhost = tap_vhost, .vhost_running = tap_vhost_running,      \
    .vhost_failed = tap_vhost_failed, .cleanup = tap_cleanup

static const NetClientOps tap_ops = { .kind = NET_CLIENT_DRIVER_TAP, TAP_OPS };
static const NetClientOps bridge_ops = { .kind = NET_CLIENT_DRIVER_BRIDGE, TAP_OPS };

/* What the interface has, or -1 with the error set. */
static int probe_vnet_header(int fd, GError **error)
{
    struct ifreq request = { 0 };

    if (ioctl(fd, TUNGETIFF, &request) < 0) {
        error_set_errno(error, errno, "the descriptor is no tap interface");
        return -1;
    }
    return !!(request.ifr_flags & IFF_VNET_HDR);
}

NetClient *net_tap_new(NetClientDriver kind, const char *name, unsigned queue_index, int fd,
                       int vnet_header, GError **error)
{
    bool bridge = kind == NET_CLIENT_DRIVER_BRIDGE;
    int has_header = probe_vnet_header(fd, error), size = NET_VNET_HEADER;
    TapNet *tap;

    if (has_header >= 0 && vnet_header >= 0 && has_header != vnet_header) {
        error_setf(error, "vnet_hdr=%s requested, but the interface was made %s vnet header",
                   vnet_header ? "on" : "off", has_header ? "with" : "without");
        has_header = -1;
    }
    if (has_header > 0 && ioctl(fd, TUNSETVNETHDRSZ, &size) < 0) {
        error_set_errno(error, errno, "cannot set the length of the vnet header");
        has_header = -1;
    }
    if (has_header < 0) {
        close(fd);
        return NULL;
    }
    tap = g_new0(TapNet, 1);
    tap->fd = fd;
    tap->vnet_header = has_header;
    tap->offloads = UINT32_MAX;
    tap->nc = net_client_new(bridge ? &bridge_ops : &tap_ops, bridge ? "bridge" : "tap", name,
                             queue_index, tap);
    fd_set_blocking(fd, false);
    tap_peer_changed(tap->nc);
    set_watch(tap);
    return tap->nc;
}

int net_tap_open(char *ifname, bool *vnet_header, bool multi_queue, GError **error)
{
    struct ifreq request = { .ifr_flags = IFF_TAP | IFF_NO_PI };
    unsigned features = 0;
    int fd = open(TUN_DEVICE, O_RDWR | O_CLOEXEC);

    if (fd < 0) {
        error_set_errno(error, errno, "could not open " TUN_DEVICE);
        return -1;
    }
    if (ioctl(fd, TUNGETFEATURES, &features) < 0) {
        features = 0;
    }
    *vnet_header = *vnet_header && (features & IFF_VNET_HDR);
    request.ifr_flags |= *vnet_header ? IFF_VNET_HDR : 0;
    if (multi_queue) {
        if (!(features & IFF_MULTI_QUEUE)) {
            error_setf(error, "multiqueue required, but no kernel support for it");
            close(fd);
            return -1;
        }
        request.ifr_flags |= IFF_MULTI_QUEUE;
    }
    g_strlcpy(request.ifr_name, *ifname ? ifname : "tap%d", IFNAMSIZ);
    if (ioctl(fd, TUNSETIFF, &request) < 0) {
        error_set_errno(error, errno, "could not configure " TUN_DEVICE " (%s)",
                        request.ifr_name);
        close(fd);
        return -1;
    }
    g_strlcpy(ifname, request.ifr_name, IFNAMSIZ);
    return fd;
}
