/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The socket backend: a TCP or UNIX stream, as server or client, optionally speaking telnet or
 * tn3270.
 *
 * A server serves one peer at a time; the next waits in the listen queue. A client whose connection
 * fails or breaks tries again every `reconnect` seconds, if that is set; name look-up and
 * connecting then happen on a thread, so that a dead host never blocks the machine. A peer that
 * does not read is disconnected once CHARDEV_MAX_PENDING bytes wait for it.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "chardev/fd.h"
#include "chardev/sockaddr.h"
#include "chardev/telnet.h"
#include "util/error.h"
#include "util/parse.h"
#include "util/thread.h"
#include "util/timer.h"

#define MAX_FDS 16

typedef struct ConnectTask ConnectTask;

typedef struct SocketChardev {
    FdChardev fd;
    /* options */
    char *host, *port, *path, *fd_text;
    uint16_t to;
    int ipv4, ipv6, wait;
    bool is_abstract, tight, is_server, telnet, tn3270, nodelay;
    uint32_t reconnect;
    /* state */
    int listen_fd;
    int watched_listen;
    dev_t unix_dev; /* which socket file is ours, to remove it and no other */
    ino_t unix_ino;
    char *own_name, *peer_name;
    TelnetFilter filter;
    uint8_t telnet_half; /* under lock: an IAC whose double is due */
    int fds[MAX_FDS];
    int n_fds;
    Timer *reconnect_timer; /* on the main loop */
    ConnectTask *task;
} SocketChardev;

/*
 * A connection attempt on its own thread. Belongs to the main loop, which may outlive the
 * chardev.
 */
struct ConnectTask {
    SocketChardev *sock; /* NULL: nobody waits any more */
    CharSockAddr addr;
    char *host, *port, *path;
    int fd;
    GError *error;
};

static CharSockAddr address_of(const SocketChardev *sock)
{
    return (CharSockAddr){
        .path = sock->path, .is_abstract = sock->is_abstract, .tight = sock->tight,
        .host = sock->host, .port = sock->port, .to = sock->to, .ipv4 = sock->ipv4,
        .ipv6 = sock->ipv6,
    };
}

/* Description. */

static const char *protocol_name(const SocketChardev *sock)
{
    return sock->tn3270 ? "tn3270" : sock->telnet ? "telnet" : "tcp";
}

static char *socket_filename(Chardev *chr)
{
    SocketChardev *sock = (SocketChardev *)chr;
    const char *prefix = chr->be_open ? "" : "disconnected:";
    const char *suffix = sock->is_server ? ",server=on" : "";

    if (sock->path) {
        return g_strdup_printf("%sunix:%s%s", prefix, sock->path, suffix);
    }
    if (!sock->host && !sock->port) {
        return g_strdup_printf("%sfd:%s%s", prefix, sock->fd_text, suffix);
    }
    if (chr->be_open && sock->own_name && sock->peer_name) {
        return g_strdup_printf("%s:%s%s <-> %s", protocol_name(sock), sock->own_name, suffix,
                               sock->peer_name);
    }
    if (sock->is_server && sock->own_name) {
        return g_strdup_printf("%s%s:%s%s", prefix, protocol_name(sock), sock->own_name, suffix);
    }
    return g_strdup_printf("%s%s:%s:%s%s", prefix, protocol_name(sock),
                           sock->host ? sock->host : "", sock->port ? sock->port : "", suffix);
}

/* Data. */

static void drop_fds(SocketChardev *sock)
{
    for (int i = 0; i < sock->n_fds; i++) {
        close(sock->fds[i]);
    }
    sock->n_fds = 0;
}

static void keep_fds(SocketChardev *sock, struct msghdr *msg)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
        int count, *received = (int *)CMSG_DATA(c);

        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS) {
            continue;
        }
        count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (int i = 0; i < count; i++) {
            if (sock->n_fds < MAX_FDS) {
                sock->fds[sock->n_fds++] = received[i];
            } else {
                close(received[i]);
            }
        }
    }
}

static ssize_t socket_read(FdChardev *fd, uint8_t *buf, size_t len)
{
    SocketChardev *sock = (SocketChardev *)fd;
    struct iovec iov = { .iov_base = buf, .iov_len = len };
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(int) * MAX_FDS)];
    } control;
    struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control,
                          .msg_controllen = sizeof(control) };
    ssize_t n = recvmsg(fd->in_fd, &msg, MSG_CMSG_CLOEXEC);

    if (n < 0) {
        return -errno;
    }
    if (msg.msg_controllen) {
        drop_fds(sock);
        keep_fds(sock, &msg);
    }
    return n;
}

static int socket_get_fds(Chardev *chr, int *fds, int max)
{
    SocketChardev *sock = (SocketChardev *)chr;
    int count = MIN(max, sock->n_fds);

    memcpy(fds, sock->fds, count * sizeof(int));
    for (int i = count; i < sock->n_fds; i++) {
        close(sock->fds[i]);
    }
    sock->n_fds = 0;
    return count;
}

static void socket_input(FdChardev *fd, uint8_t *buf, size_t len)
{
    SocketChardev *sock = (SocketChardev *)fd;
    unsigned breaks = 0;

    if (sock->telnet || sock->tn3270) {
        len = telnet_filter(&sock->filter, buf, len, &breaks);
    }
    if (len) {
        chardev_deliver(&fd->parent, buf, len);
    }
    while (breaks-- && fd->in_fd >= 0) {
        chardev_send_event(&fd->parent, CHAR_EVENT_BREAK);
    }
}

static int send_bytes(FdChardev *fd, const uint8_t *buf, int len)
{
    ssize_t n = send(fd->out_fd, buf, len, MSG_NOSIGNAL | MSG_DONTWAIT);

    if (n >= 0) {
        return n;
    }
    if (errno == EAGAIN || errno == EINTR) {
        return 0;
    }
    n = -errno;
    fd->hung_up = true;
    chardev_schedule_update(&fd->parent);
    return n;
}

static int telnet_write(SocketChardev *sock, const uint8_t *buf, int len)
{
    static const uint8_t iac = TELNET_IAC;
    int done = 0;

    while (done < len || sock->telnet_half) {
        const uint8_t *stop;
        int part, n;

        if (sock->telnet_half) {
            n = send_bytes(&sock->fd, &iac, 1);
            if (n <= 0) {
                return done ? done : n;
            }
            sock->telnet_half = 0;
            continue;
        }
        stop = memchr(buf + done, TELNET_IAC, len - done);
        part = stop ? stop - (buf + done) + 1 : len - done;
        n = send_bytes(&sock->fd, buf + done, part);
        if (n <= 0) {
            return done ? done : n;
        }
        done += n;
        sock->telnet_half = stop && n == part;
        if (n < part) {
            break;
        }
    }
    return done;
}

static int socket_write(Chardev *chr, const uint8_t *buf, int len)
{
    SocketChardev *sock = (SocketChardev *)chr;

    if (sock->fd.out_fd < 0) {
        return len;
    }
    return sock->telnet || sock->tn3270 ? telnet_write(sock, buf, len)
                                        : send_bytes(&sock->fd, buf, len);
}

/* Connections. */

/* A peer is there. On chr's loop. */
static void socket_connected(SocketChardev *sock, int fd)
{
    Chardev *chr = &sock->fd.parent;
    int on = 1;

    if (sock->nodelay && !sock->path) {
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    }
    g_free(sock->peer_name);
    sock->peer_name = char_sockaddr_peer_name(fd);
    if (!sock->is_server || !sock->own_name) {
        g_free(sock->own_name);
        sock->own_name = char_sockaddr_local_name(fd);
    }
    sock->filter = (TelnetFilter){ 0 };
    sock->telnet_half = 0;
    fd_chardev_set_fds(&sock->fd, fd, fd);
    if (sock->telnet || sock->tn3270) {
        size_t len;
        const uint8_t *offer = telnet_offer(sock->tn3270, &len);

        /* The buffer of a new connection has room. */
        send(fd, offer, len, MSG_NOSIGNAL | MSG_DONTWAIT);
    }
    chardev_send_event(chr, CHAR_EVENT_OPENED);
}

static void on_acceptable(void *opaque)
{
    SocketChardev *sock = opaque;
    int fd = accept4(sock->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

    if (fd >= 0) {
        socket_connected(sock, fd);
        sock->fd.parent.ops->update(&sock->fd.parent);
    }
}

static void socket_detach_loop(Chardev *chr)
{
    SocketChardev *sock = (SocketChardev *)chr;

    fd_chardev_detach_loop(chr);
    if (sock->watched_listen >= 0) {
        loop_set_fd(chr->loop, sock->watched_listen, NULL, NULL, NULL);
        sock->watched_listen = -1;
    }
}

static void socket_update(Chardev *chr)
{
    SocketChardev *sock = (SocketChardev *)chr;
    int want;

    fd_chardev_update(chr);
    want = sock->fd.in_fd < 0 ? sock->listen_fd : -1;
    if (want == sock->watched_listen) {
        return;
    }
    if (sock->watched_listen >= 0) {
        loop_set_fd(chr->loop, sock->watched_listen, NULL, NULL, NULL);
    }
    if (want >= 0) {
        loop_set_fd(chr->loop, want, on_acceptable, NULL, sock);
    }
    sock->watched_listen = want;
}

static void socket_hangup(FdChardev *fd)
{
    SocketChardev *sock = (SocketChardev *)fd;

    fd_chardev_close(fd);
    drop_fds(sock);
    chardev_send_event(&fd->parent, CHAR_EVENT_CLOSED);
    if (!sock->is_server && sock->reconnect) {
        timer_mod(sock->reconnect_timer,
                  vm_clock_ns(VM_CLOCK_REALTIME) + sock->reconnect * NS_PER_SEC);
    }
}

static void socket_disconnect(Chardev *chr)
{
    FdChardev *fd = (FdChardev *)chr;

    g_mutex_lock(&chr->lock);
    fd->hung_up = fd->out_fd >= 0;
    g_mutex_unlock(&chr->lock);
    chardev_schedule_update(chr);
}

/* Connecting again and again, on a thread. */

static void task_free(ConnectTask *task)
{
    g_clear_error(&task->error);
    g_free(task->host);
    g_free(task->port);
    g_free(task->path);
    g_free(task);
}

/* On chr's loop. */
static void adopt_connection(void *opaque)
{
    ConnectTask *task = opaque;

    socket_connected(task->sock, task->fd);
    task_free(task);
}

static void connect_done(void *opaque)
{
    ConnectTask *task = opaque;
    SocketChardev *sock = task->sock;

    if (!sock) {
        if (task->fd >= 0) {
            close(task->fd);
        }
        task_free(task);
        return;
    }
    sock->task = NULL;
    if (task->fd >= 0) {
        if (sock->fd.parent.loop == loop_main()) {
            adopt_connection(task);
        } else {
            loop_post(sock->fd.parent.loop, adopt_connection, task);
        }
        return;
    }
    task_free(task);
    timer_mod(sock->reconnect_timer,
              vm_clock_ns(VM_CLOCK_REALTIME) + sock->reconnect * NS_PER_SEC);
}

static void *connect_thread(void *opaque)
{
    ConnectTask *task = opaque;

    task->fd = char_sockaddr_connect(&task->addr, &task->error);
    loop_post(loop_main(), connect_done, task);
    return NULL;
}

static void start_connecting(void *opaque)
{
    SocketChardev *sock = opaque;
    g_autoptr(GError) error = NULL;
    ConnectTask *task;
    pthread_t thread;

    if (sock->task) {
        return;
    }
    task = g_new0(ConnectTask, 1);
    task->sock = sock;
    task->addr = address_of(sock);
    task->addr.host = task->host = g_strdup(sock->host);
    task->addr.port = task->port = g_strdup(sock->port);
    task->addr.path = task->path = g_strdup(sock->path);
    task->fd = -1;
    if (!thread_create(&thread, "chr-connect", connect_thread, task, &error)) {
        warn_report("chardev '%s': %s", chardev_id(&sock->fd.parent), error->message);
        task_free(task);
        return;
    }
    pthread_detach(thread);
    sock->task = task;
}

/* Opening. */

static bool check_options(SocketChardev *sock, GError **error)
{
    int ways = (sock->path != NULL) + (sock->fd_text != NULL) + (sock->host || sock->port);

    if (ways != 1) {
        error_setf(error, "backend 'socket' needs one of path=PATH, host=HOST,port=PORT or fd=N");
        return false;
    }
    if (!sock->path && !sock->fd_text && (!sock->port || !*sock->port)) {
        error_setf(error, "backend 'socket': port is missing");
        return false;
    }
    if (sock->is_abstract && !sock->path) {
        error_setf(error, "option 'abstract' belongs to path=PATH");
        return false;
    }
    if (sock->is_server && sock->reconnect) {
        error_setf(error, "option 'reconnect' is for clients, not for server=on");
        return false;
    }
    if (!sock->is_server && sock->wait == PROP_ON) {
        error_setf(error, "option 'wait' is for server=on");
        return false;
    }
    if (sock->fd_text && sock->reconnect) {
        error_setf(error, "option 'reconnect' cannot work with fd=N");
        return false;
    }
    return true;
}

static int take_fd(SocketChardev *sock, GError **error)
{
    int listening = 0;
    socklen_t len = sizeof(listening);
    uint64_t fd;

    if (!parse_uint64(sock->fd_text, &fd, error) || fd > INT32_MAX) {
        g_prefix_error(error, "option 'fd': ");
        return -1;
    }
    if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &len) < 0) {
        error_set_errno(error, errno, "option 'fd': descriptor %" PRIu64, fd);
        return -1;
    }
    if (!!listening != sock->is_server) {
        error_setf(error, "option 'fd': descriptor %" PRIu64 " is %s", fd,
                   listening ? "a listening socket, and server=on is missing"
                             : "not a listening socket, as server=on needs");
        return -1;
    }
    return fd;
}

static void wait_for_peer(SocketChardev *sock)
{
    g_autofree char *name = socket_filename(&sock->fd.parent);
    int fd = -1;

    info_report("waiting for a connection on %s", name);
    while (fd < 0) {
        struct pollfd pfd = { .fd = sock->listen_fd, .events = POLLIN };

        if (poll(&pfd, 1, -1) > 0) {
            fd = accept4(sock->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        }
    }
    socket_connected(sock, fd);
}

static bool open_server(SocketChardev *sock, GError **error)
{
    CharSockAddr addr = address_of(sock);
    struct stat st;

    sock->listen_fd = sock->fd_text ? take_fd(sock, error) : char_sockaddr_listen(&addr, error);
    if (sock->listen_fd < 0) {
        return false;
    }
    sock->own_name = char_sockaddr_local_name(sock->listen_fd);
    if (sock->path && !sock->is_abstract && stat(sock->path, &st) == 0) {
        sock->unix_dev = st.st_dev;
        sock->unix_ino = st.st_ino;
    }
    if (sock->wait != PROP_OFF) {
        wait_for_peer(sock);
    }
    chardev_schedule_update(&sock->fd.parent);
    return true;
}

static bool socket_open(Chardev *chr, GError **error)
{
    SocketChardev *sock = (SocketChardev *)chr;
    CharSockAddr addr = address_of(sock);
    int fd;

    if (!check_options(sock, error)) {
        return false;
    }
    if (sock->is_server) {
        return open_server(sock, error);
    }
    if (sock->reconnect) {
        sock->reconnect_timer = timer_new(loop_main(), VM_CLOCK_REALTIME, start_connecting, sock);
        start_connecting(sock);
        return true;
    }
    fd = sock->fd_text ? take_fd(sock, error) : char_sockaddr_connect(&addr, error);
    if (fd < 0) {
        return false;
    }
    socket_connected(sock, fd);
    return true;
}

static void socket_init(Object *obj)
{
    SocketChardev *sock = (SocketChardev *)obj;

    fd_chardev_init(&sock->fd);
    sock->fd.read = socket_read;
    sock->fd.input = socket_input;
    sock->fd.hangup = socket_hangup;
    sock->listen_fd = sock->watched_listen = -1;
}

static void socket_finalize(Object *obj)
{
    SocketChardev *sock = (SocketChardev *)obj;
    struct stat st;

    socket_detach_loop(&sock->fd.parent);
    fd_chardev_close(&sock->fd);
    drop_fds(sock);
    timer_free(sock->reconnect_timer);
    if (sock->task) {
        sock->task->sock = NULL;
    }
    if (sock->listen_fd >= 0) {
        close(sock->listen_fd);
    }
    if (sock->unix_ino && stat(sock->path, &st) == 0 && st.st_ino == sock->unix_ino &&
        st.st_dev == sock->unix_dev) {
        unlink(sock->path);
    }
    g_free(sock->own_name);
    g_free(sock->peer_name);
}

static const Property socket_properties[] = {
    PROP_STRING("path", SocketChardev, path, NULL, "UNIX socket's file name"),
    PROP_BOOL("abstract", SocketChardev, is_abstract, false, "path is an abstract name"),
    PROP_BOOL("tight", SocketChardev, tight, true, "the abstract name is not padded with zeros"),
    PROP_STRING("host", SocketChardev, host, NULL, "host name or address"),
    PROP_STRING("port", SocketChardev, port, NULL, "port number or service name"),
    PROP_UINT16("to", SocketChardev, to, 0, "server: try ports up to this one"),
    PROP_ON_OFF_AUTO("ipv4", SocketChardev, ipv4, PROP_AUTO, "use IPv4"),
    PROP_ON_OFF_AUTO("ipv6", SocketChardev, ipv6, PROP_AUTO, "use IPv6"),
    PROP_STRING("fd", SocketChardev, fd_text, NULL, "number of an open socket"),
    PROP_BOOL("server", SocketChardev, is_server, false, "listen instead of connecting"),
    PROP_ON_OFF_AUTO("wait", SocketChardev, wait, PROP_AUTO,
                     "server: start only when a client is there (default on)"),
    PROP_UINT32("reconnect", SocketChardev, reconnect, 0,
                "client: seconds between attempts to connect; 0: only one"),
    PROP_BOOL("telnet", SocketChardev, telnet, false, "speak telnet"),
    PROP_BOOL("tn3270", SocketChardev, tn3270, false, "speak tn3270"),
    PROP_BOOL("nodelay", SocketChardev, nodelay, false, "set TCP_NODELAY"),
    PROP_END,
};

static const ChardevOps socket_ops = {
    .backend = "socket",
    .flags = CHARDEV_CAN_BLOCK,
    .open = socket_open,
    .write = socket_write,
    .update = socket_update,
    .detach_loop = socket_detach_loop,
    .disconnect = socket_disconnect,
    .get_fds = socket_get_fds,
    .filename = socket_filename,
};

static const TypeInfo socket_type = {
    .name = "chardev-socket",
    .parent = TYPE_CHARDEV,
    .description = "a TCP or UNIX stream socket",
    .instance_size = sizeof(SocketChardev),
    .properties = socket_properties,
    .instance_init = socket_init,
    .instance_finalize = socket_finalize,
    .ops = &socket_ops,
};
QOM_TYPE(socket_type);
