/* SPDX-License-Identifier: Apache-2.0 */
/* -netdev tap and -netdev bridge: where the interface comes from, and scripts around it. */
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "net/backend.h"
#include "net/tap.h"
#include "util/error.h"
#include "util/fd-store.h"
#include "virtio/vhost-kernel.h"

#define DEFAULT_BRIDGE "br0"
#define DEFAULT_SCRIPT "/etc/qemu-ifup"
#define DEFAULT_DOWN_SCRIPT "/etc/qemu-ifdown"

/* ---- The helper ---- */

static const char *find_helper(void)
{
    static const char *const places[] = { "/usr/lib/vireo/vireo-bridge-helper",
                                          "/usr/local/lib/vireo/vireo-bridge-helper",
                                          "/usr/lib/qemu/qemu-bridge-helper",
                                          "/usr/libexec/qemu-bridge-helper" };

    for (size_t i = 0; i < G_N_ELEMENTS(places); i++) {
        if (access(places[i], X_OK) == 0) {
            return places[i];
        }
    }
    return NULL;
}

/* The descriptor that came over a socket; -1 if none did. */
static int receive_fd(int socket)
{
    union {
        struct cmsghdr header;
        char room[CMSG_SPACE(sizeof(int))];
    } control;
    char byte;
    struct iovec iov = { &byte, 1 };
    struct msghdr message = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control,
                              .msg_controllen = sizeof(control) };
    struct cmsghdr *cmsg;
    ssize_t n;
    int fd = -1;

    do {
        n = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
    } while (n < 0 && errno == EINTR);
    cmsg = n > 0 ? CMSG_FIRSTHDR(&message) : NULL;
    if (cmsg && cmsg->cmsg_level == SOL_SOCKET && cmsg->cmsg_type == SCM_RIGHTS &&
        cmsg->cmsg_len == CMSG_LEN(sizeof(int))) {
        memcpy(&fd, CMSG_DATA(cmsg), sizeof(fd));
    }
    return fd;
}

/* As words, or through the shell where the person wrote arguments of his own. */
static char **helper_command(const char *helper, const char *bridge, int fd)
{
    g_autofree char *line = NULL;
    char *argv[] = { (char *)helper, (char *)"--use-vnet", NULL, NULL, NULL };
    char *shell[] = { (char *)"/bin/sh", (char *)"-c", NULL, NULL };
    g_autofree char *fd_word = g_strdup_printf("--fd=%d", fd);
    g_autofree char *bridge_word = g_strdup_printf("--br=%s", bridge);

    if (!strpbrk(helper, " \t")) {
        argv[2] = fd_word;
        argv[3] = bridge_word;
        return g_strdupv(argv);
    }
    line = strstr(helper, "--br=") ? g_strdup_printf("%s %s", helper, fd_word)
                                   : g_strdup_printf("%s --use-vnet %s %s", helper, fd_word,
                                                     bridge_word);
    shell[2] = line;
    return g_strdupv(shell);
}

int net_bridge_helper(const char *helper, const char *bridge, GError **error)
{
    g_auto(GStrv) argv = NULL;
    int sockets[2], fd, keep;
    GPid pid;

    helper = helper ? helper : find_helper();
    if (!helper) {
        error_setf(error, "no bridge helper is installed; name one by helper=");
        return -1;
    }
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets) < 0) {
        error_set_errno(error, errno, "cannot make a socket for the bridge helper");
        return -1;
    }
    argv = helper_command(helper, bridge, sockets[1]);
    keep = sockets[1];
    if (!g_spawn_async_with_pipes_and_fds(NULL, (const char *const *)argv, NULL,
                                          G_SPAWN_DO_NOT_REAP_CHILD, NULL, NULL, -1, -1, -1, &keep,
                                          &keep, 1, &pid, NULL, NULL, NULL, error)) {
        close(sockets[0]);
        close(sockets[1]);
        return -1;
    }
    close(sockets[1]);
    fd = receive_fd(sockets[0]);
    close(sockets[0]);
    waitpid(pid, NULL, 0);
    g_spawn_close_pid(pid);
    if (fd < 0) {
        error_setf(error, "the bridge helper '%s' failed for bridge '%s'", helper, bridge);
    }
    return fd;
}

/* ---- Scripts ---- */

/* The script to run, or NULL. Without one of the user's it is the system's, if there is one. */
static const char *script_of(const char *script, const char *usual)
{
    if (!script) {
        return access(usual, X_OK) == 0 ? usual : NULL;
    }
    return *script && !g_str_equal(script, "no") ? script : NULL;
}

/* ---- tap ---- */

static bool wants_vhost(const NetdevTapOptions *tap)
{
    return tap->has_vhost ? tap->vhost
                          : tap->vhostfd || tap->vhostfds ||
                            (tap->has_vhostforce && tap->vhostforce);
}

static bool check_vhost(const NetdevTapOptions *tap, GError **error)
{
    if (!wants_vhost(tap) && (tap->vhostfd || tap->vhostfds)) {
        error_setf(error, "vhostfd(s)= is not valid without vhost");
        return false;
    }
    if (tap->vhostfd && tap->vhostfds) {
        error_setf(error, "vhostfd= and vhostfds= are invalid with each other");
        return false;
    }
    return true;
}

/* -1 without the error set: it goes without. */
static int open_vhost(const NetdevTapOptions *tap, unsigned queue, GError **error)
{
    const char *list = tap->vhostfds ? tap->vhostfds : tap->vhostfd;
    g_auto(GStrv) words = list ? g_strsplit(list, ":", NET_MAX_QUEUES + 1) : NULL;
    int fd;

    if (words) {
        if (queue >= g_strv_length(words)) {
            error_setf(error, "there are fewer vhostfds than queues");
            return -1;
        }
        return fd_store_parse(words[queue], error);
    }
    fd = open(VHOST_NET_DEVICE, O_RDWR | O_CLOEXEC);
    if (fd < 0 && tap->has_vhostforce && tap->vhostforce) {
        error_set_errno(error, errno, "Could not open '%s'", VHOST_NET_DEVICE);
    } else if (fd < 0) {
        warn_report("tap: open vhost char device failed: %s", g_strerror(errno));
    }
    return fd;
}

static bool add_vhost(NetClient *first, const NetdevTapOptions *tap, GError **error)
{
    unsigned queues = wants_vhost(tap) ? net_client_queues(first) : 0;

    for (unsigned i = 0; i < queues; i++) {
        g_autoptr(GError) failure = NULL;
        int fd = open_vhost(tap, i, &failure);

        if (fd >= 0 && net_tap_set_vhost(net_client_queue(first, i), fd,
                                         tap->has_poll_us ? tap->poll_us : 0, &failure)) {
            continue;
        }
        if (failure) {
            g_propagate_error(error, g_steal_pointer(&failure));
            return false;
        }
        break;
    }
    return true;
}

static void remove_queues(const char *name)
{
    NetClient *first = net_client_find(name);

    for (unsigned i = first ? net_client_queues(first) : 0; i > 0; i--) {
        net_client_free(net_client_queue(first, i - 1));
    }
}

static NetClient *open_fds(const char *name, const char *list, int vnet_header, GError **error)
{
    g_auto(GStrv) words = g_strsplit(list, ":", NET_MAX_QUEUES + 1);

    if (g_strv_length(words) > NET_MAX_QUEUES) {
        error_setf(error, "a backend has at most %d queues", NET_MAX_QUEUES);
        return NULL;
    }
    for (unsigned i = 0; words[i]; i++) {
        int fd = fd_store_parse(words[i], error);
        NetClient *nc = fd < 0 ? NULL
                               : net_tap_new(NET_CLIENT_DRIVER_TAP, name, i, fd, vnet_header,
                                             error);

        if (!nc) {
            remove_queues(name);
            return NULL;
        }
        net_client_set_info(nc, "fd=%s", words[i]);
    }
    return net_client_find(name);
}

static bool set_send_buffer(int fd, const NetdevTapOptions *tap, GError **error)
{
    int size = tap->has_sndbuf && tap->sndbuf && tap->sndbuf < INT32_MAX ? (int)tap->sndbuf
                                                                         : INT32_MAX;

    if (ioctl(fd, TUNSETSNDBUF, &size) < 0 && tap->has_sndbuf) {
        error_set_errno(error, errno, "TUNSETSNDBUF ioctl failed");
        return false;
    }
    return true;
}

/* Queue 0 makes the interface and runs the script; the others join it. */
static NetClient *open_queue(const char *name, const NetdevTapOptions *tap, unsigned index,
                             unsigned queues, char *ifname, GError **error)
{
    bool vnet_header = !tap->has_vnet_hdr || tap->vnet_hdr;
    const char *up = script_of(tap->script, DEFAULT_SCRIPT);
    const char *down = script_of(tap->downscript, DEFAULT_DOWN_SCRIPT);
    int fd = net_tap_open(ifname, &vnet_header, queues > 1, error);
    NetClient *nc;

    if (fd < 0) {
        return NULL;
    }
    if (tap->has_vnet_hdr && tap->vnet_hdr && !vnet_header) {
        error_setf(error, "vnet_hdr=1 requested, but no kernel support for IFF_VNET_HDR "
                   "available");
        close(fd);
        return NULL;
    }
    if ((index == 0 && up && !net_run_script(up, ifname, error)) ||
        !set_send_buffer(fd, tap, error)) {
        close(fd);
        return NULL;
    }
    nc = net_tap_new(NET_CLIENT_DRIVER_TAP, name, index, fd, vnet_header, error);
    if (nc) {
        net_client_set_info(nc, "ifname=%s,script=%s,downscript=%s", ifname, up ? up : "no",
                            down ? down : "no");
        if (index == 0 && down) {
            net_tap_set_down_script(nc, down, ifname);
        }
    }
    return nc;
}

static NetClient *open_interface(const char *name, const NetdevTapOptions *tap, GError **error)
{
    unsigned queues = tap->has_queues ? tap->queues : 1;
    char ifname[IFNAMSIZ] = "";

    if (queues < 1 || queues > NET_MAX_QUEUES) {
        error_setf(error, "a backend has 1 to %d queues", NET_MAX_QUEUES);
        return NULL;
    }
    if (tap->ifname && strlen(tap->ifname) >= IFNAMSIZ) {
        error_setf(error, "the name '%s' is too long for an interface", tap->ifname);
        return NULL;
    }
    g_strlcpy(ifname, tap->ifname ? tap->ifname : "", sizeof(ifname));
    for (unsigned i = 0; i < queues; i++) {
        if (!open_queue(name, tap, i, queues, ifname, error)) {
            remove_queues(name);
            return NULL;
        }
    }
    return net_client_find(name);
}

static NetClient *open_by_helper(const char *name, NetClientDriver kind, const char *helper,
                                 const char *bridge, int vnet_header, GError **error)
{
    int fd;
    NetClient *nc;

    bridge = bridge ? bridge : DEFAULT_BRIDGE;
    fd = net_bridge_helper(helper, bridge, error);
    nc = fd < 0 ? NULL : net_tap_new(kind, name, 0, fd, vnet_header, error);
    if (nc) {
        net_client_set_info(nc, "helper=%s,br=%s", helper ? helper : find_helper(), bridge);
    }
    return nc;
}

static NetClient *open_somehow(const Netdev *netdev, GError **error)
{
    const NetdevTapOptions *tap = &netdev->u.tap;
    const char *fds = tap->fds ? tap->fds : tap->fd;
    int vnet_header = tap->has_vnet_hdr ? tap->vnet_hdr : -1;

    if (!check_vhost(tap, error)) {
        return NULL;
    }
    if (fds && (tap->ifname || tap->script || tap->downscript || tap->helper ||
                tap->has_queues || (tap->fd && tap->fds))) {
        error_setf(error, "ifname=, script=, downscript=, helper= and queues= are invalid with "
                   "fd= and fds=, and these with each other");
        return NULL;
    }
    if (tap->helper && (tap->ifname || tap->script || tap->downscript || tap->has_queues)) {
        error_setf(error, "ifname=, script=, downscript= and queues= are invalid with helper=");
        return NULL;
    }
    if (fds) {
        return open_fds(netdev->id, fds, vnet_header, error);
    }
    if (tap->helper || tap->br) {
        return open_by_helper(netdev->id, NET_CLIENT_DRIVER_TAP, tap->helper, tap->br, vnet_header,
                              error);
    }
    return open_interface(netdev->id, tap, error);
}

static NetClient *tap_open(const Netdev *netdev, bool default_net, GError **error)
{
    NetClient *nc = open_somehow(netdev, error);

    if (nc && !add_vhost(nc, &netdev->u.tap, error)) {
        remove_queues(netdev->id);
        return NULL;
    }
    return nc;
}

const NetBackend net_backend_tap = {
    .kind = NET_CLIENT_DRIVER_TAP,
    .description = "an interface of the host's kernel",
    .open = tap_open,
};

static NetClient *bridge_open(const Netdev *netdev, bool default_net, GError **error)
{
    const NetdevBridgeOptions *bridge = &netdev->u.bridge;

    return open_by_helper(netdev->id, NET_CLIENT_DRIVER_BRIDGE, bridge->helper, bridge->br, -1,
                          error);
}

const NetBackend net_backend_bridge = {
    .kind = NET_CLIENT_DRIVER_BRIDGE,
    .description = "an interface that a helper joins to a bridge of the host",
    .open = bridge_open,
};
