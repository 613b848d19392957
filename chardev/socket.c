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
#include <string.h>
#include <unistd.h>

#include "chardev/stream.h"
#include "chardev/telnet.h"
#include "crypto/tls-creds.h"
#include "io/channel-socket.h"
#include "io/channel-tls.h"
#include "io/net-listener.h"
#include "io/socket.h"
#include "util/coroutine.h"
#include "util/error.h"
#include "util/log.h"
#include "util/parse.h"
#include "util/timer.h"

/* A peer that takes longer for its TLS handshake is left. */
#define HANDSHAKE_NS (10 * NS_PER_SEC)

typedef struct SocketChardev {
    StreamChardev stream;
    /* options */
    char *host, *port, *path, *fd_text, *tls_creds_id, *tls_authz;
    uint16_t to;
    int ipv4, ipv6, wait;
    bool is_abstract, tight, is_server, telnet, tn3270, nodelay;
    uint32_t reconnect;
    /* state */
    SocketAddress *addr;
    TlsCreds *creds;        /* a reference; NULL: without TLS */
    struct Handshake *handshake; /* on the main loop; NULL: none */
    NetListener *listener;
    bool listening;         /* the listener is watched */
    char *own_name, *peer_name;
    TelnetFilter filter;
    bool telnet_half;       /* under lock: an IAC whose double is due */
    Timer *reconnect_timer; /* on the main loop */
    SocketConnect *attempt; /* on the main loop */
} SocketChardev;

/* The options as an address of the schema. */
static SocketAddress *make_address(const SocketChardev *sock)
{
    SocketAddress *addr = g_new0(SocketAddress, 1);

    if (sock->path) {
        UnixSocketAddress *un = &addr->u.q_unix;

        addr->type = SOCKET_ADDRESS_TYPE_UNIX;
        un->path = g_strdup(sock->path);
        un->has_abstract = un->has_tight = true;
        un->abstract = sock->is_abstract;
        un->tight = sock->tight;
    } else if (sock->fd_text) {
        addr->type = SOCKET_ADDRESS_TYPE_FD;
        addr->u.fd.str = g_strdup(sock->fd_text);
    } else {
        InetSocketAddress *inet = &addr->u.inet;
        const char *host = sock->host ? sock->host : "";

        addr->type = SOCKET_ADDRESS_TYPE_INET;
        inet->host = g_strdup(*host || sock->is_server ? host : "localhost");
        inet->port = g_strdup(sock->port);
        inet->has_to = sock->to;
        inet->to = sock->to;
        inet->has_ipv4 = sock->ipv4 != PROP_AUTO;
        inet->ipv4 = sock->ipv4 == PROP_ON;
        inet->has_ipv6 = sock->ipv6 != PROP_AUTO;
        inet->ipv6 = sock->ipv6 == PROP_ON;
    }
    return addr;
}

/* Description. */

/* NULL for UNIX sockets, which have no name worth showing. Takes addr. */
static char *name_of(SocketAddress *addr)
{
    char *name = addr && addr->type == SOCKET_ADDRESS_TYPE_INET ? socket_address_text(addr) : NULL;

    SocketAddress_free(addr);
    return name;
}

static const char *protocol_name(const SocketChardev *sock)
{
    return sock->tn3270 ? "tn3270" : sock->telnet ? "telnet" : "tcp";
}

static char *socket_filename(Chardev *chr)
{
    SocketChardev *sock = (SocketChardev *)chr;
    const char *prefix = chr->be_open ? "" : "disconnected:";
    const char *suffix = sock->is_server ? ",server=on" : "";
    g_autofree char *listening = NULL;

    if (sock->path) {
        return g_strdup_printf("%sunix:%s%s", prefix, sock->path, suffix);
    }
    if (chr->be_open && sock->own_name && sock->peer_name) {
        return g_strdup_printf("%s:%s%s <-> %s", protocol_name(sock), sock->own_name, suffix,
                               sock->peer_name);
    }
    listening = sock->listener ? name_of(net_listener_address(sock->listener, NULL)) : NULL;
    if (listening) {
        return g_strdup_printf("%s%s:%s%s", prefix, protocol_name(sock), listening, suffix);
    }
    if (sock->fd_text) {
        return g_strdup_printf("%sfd:%s%s", prefix, sock->fd_text, suffix);
    }
    return g_strdup_printf("%s%s:%s:%s%s", prefix, protocol_name(sock),
                           sock->host ? sock->host : "", sock->port ? sock->port : "", suffix);
}

/* Data. */

static void socket_input(StreamChardev *stream, uint8_t *buf, size_t len)
{
    SocketChardev *sock = (SocketChardev *)stream;
    unsigned breaks = 0;

    if (sock->telnet || sock->tn3270) {
        len = telnet_filter(&sock->filter, buf, len, &breaks);
    }
    if (len) {
        chardev_deliver(&stream->parent, buf, len);
    }
    while (breaks-- && stream->channel) {
        chardev_send_event(&stream->parent, CHAR_EVENT_BREAK);
    }
}

static int telnet_write(SocketChardev *sock, const uint8_t *buf, int len)
{
    static const uint8_t iac = TELNET_IAC;
    Chardev *chr = &sock->stream.parent;
    int done = 0;

    while (done < len || sock->telnet_half) {
        const uint8_t *stop;
        int part, n;

        if (sock->telnet_half) {
            n = stream_chardev_write(chr, &iac, 1);
            if (n <= 0) {
                return done ? done : n;
            }
            sock->telnet_half = false;
            continue;
        }
        stop = memchr(buf + done, TELNET_IAC, len - done);
        part = stop ? stop - (buf + done) + 1 : len - done;
        n = stream_chardev_write(chr, buf + done, part);
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

    return sock->telnet || sock->tn3270 ? telnet_write(sock, buf, len)
                                        : stream_chardev_write(chr, buf, len);
}

/* Connections. */

/* A new connection's names, as long as it is a plain socket. */
static void note_peer(SocketChardev *sock, Channel *channel)
{
    channel_socket_set_nodelay(channel, sock->nodelay);
    g_free(sock->peer_name);
    g_free(sock->own_name);
    sock->peer_name = name_of(channel_socket_remote_address(channel, NULL));
    sock->own_name = name_of(channel_socket_local_address(channel, NULL));
}

/* A peer is there. On chr's loop. Takes the channel. */
static void socket_connected(SocketChardev *sock, Channel *channel)
{
    sock->filter = (TelnetFilter){ 0 };
    sock->telnet_half = false;
    stream_chardev_set_channel(&sock->stream, channel);
    if (sock->telnet || sock->tn3270) {
        size_t len;
        const uint8_t *offer = telnet_offer(sock->tn3270, &len);

        /* The buffer of a new connection has room. */
        channel_write(channel, offer, len);
    }
    chardev_send_event(&sock->stream.parent, CHAR_EVENT_OPENED);
}

static void start_handshake(SocketChardev *sock, Channel *channel);

/* As socket_connected(), but with TLS it may yet come to nothing. */
static void greet(SocketChardev *sock, Channel *channel)
{
    note_peer(sock, channel);
    if (sock->creds) {
        start_handshake(sock, channel);
    } else {
        socket_connected(sock, channel);
    }
}

static void on_client(NetListener *listener, Channel *channel, void *opaque)
{
    SocketChardev *sock = opaque;

    if (sock->stream.channel || sock->handshake) {
        channel_unref(channel); /* two came at once, on two addresses */
        return;
    }
    greet(sock, channel);
    /* The next one waits. Not now: the listener is in the middle of its own callback. */
    chardev_schedule_update(&sock->stream.parent);
}

static void listen_for_clients(SocketChardev *sock, bool on)
{
    if (sock->listener && sock->listening != on) {
        net_listener_watch(sock->listener, sock->stream.parent.loop, on ? on_client : NULL, sock);
        sock->listening = on;
    }
}

static void socket_detach_loop(Chardev *chr)
{
    stream_chardev_detach_loop(chr);
    listen_for_clients((SocketChardev *)chr, false);
}

static void socket_update(Chardev *chr)
{
    SocketChardev *sock = (SocketChardev *)chr;

    stream_chardev_update(chr);
    listen_for_clients(sock, !sock->stream.channel && !sock->handshake);
}

static void try_later(SocketChardev *sock)
{
    timer_mod(sock->reconnect_timer,
              vm_clock_ns(VM_CLOCK_REALTIME) + sock->reconnect * NS_PER_SEC);
}

static void socket_hangup(StreamChardev *stream)
{
    SocketChardev *sock = (SocketChardev *)stream;

    stream_chardev_close(stream);
    chardev_send_event(&stream->parent, CHAR_EVENT_CLOSED);
    if (sock->reconnect_timer) {
        try_later(sock);
    }
}

static void socket_disconnect(Chardev *chr)
{
    StreamChardev *stream = (StreamChardev *)chr;

    g_mutex_lock(&chr->lock);
    stream->hung_up = stream->channel != NULL;
    g_mutex_unlock(&chr->lock);
    chardev_schedule_update(chr);
}

/* Going on with a connection on chr's loop. */

typedef struct Adoption {
    SocketChardev *sock;
    Channel *channel;
} Adoption;

/* On chr's loop. */
static void adopt(void *opaque)
{
    Adoption *adoption = opaque;

    socket_connected(adoption->sock, adoption->channel);
    g_free(adoption);
}

/* From the main loop. The chardev cannot go before its loop did what was posted to it. */
static void hand_over(SocketChardev *sock, LoopFn *fn, Channel *channel)
{
    Adoption *adoption = g_new(Adoption, 1);

    *adoption = (Adoption){ .sock = sock, .channel = channel };
    if (sock->stream.parent.loop == loop_main()) {
        fn(adoption);
    } else {
        loop_post(sock->stream.parent.loop, fn, adoption);
    }
}

/* TLS. The handshake is the main loop's; the chardev may go meanwhile. */

typedef struct Handshake {
    SocketChardev *sock; /* NULL: it has gone */
    Channel *plain, *tls;
} Handshake;

static Channel *tls_new(const SocketChardev *sock, Channel *plain, GError **error)
{
    return channel_tls_new(plain, sock->creds, sock->is_server ? NULL : sock->host,
                           sock->tls_authz, error);
}

static void time_is_up(void *opaque)
{
    channel_shutdown(((Handshake *)opaque)->plain, CHANNEL_READ | CHANNEL_WRITE);
}

static bool shake_hands(Handshake *handshake, GError **error)
{
    Timer *timer;
    bool ok;

    handshake->tls = handshake->sock ? tls_new(handshake->sock, handshake->plain, error) : NULL;
    if (!handshake->tls) {
        return false;
    }
    timer = timer_new(loop_main(), VM_CLOCK_REALTIME, time_is_up, handshake);
    timer_mod(timer, vm_clock_ns(VM_CLOCK_REALTIME) + HANDSHAKE_NS);
    ok = channel_tls_handshake(handshake->tls, error);
    timer_free(timer);
    return ok;
}

static void handshake_run(void *opaque)
{
    Handshake *handshake = opaque;
    g_autoptr(GError) error = NULL;
    SocketChardev *sock;
    bool ok;

    coroutine_move(loop_main());
    ok = shake_hands(handshake, &error);
    sock = handshake->sock;
    if (sock) {
        sock->handshake = NULL;
    }
    if (sock && ok) {
        hand_over(sock, adopt, channel_ref(handshake->tls));
    } else if (sock) {
        log_guest_error("chardev '%s': TLS: %s\n", chardev_id(&sock->stream.parent),
                        error->message);
        chardev_schedule_update(&sock->stream.parent);
        if (sock->reconnect_timer) {
            try_later(sock);
        }
    }
    channel_unref(handshake->tls);
    channel_unref(handshake->plain);
    g_free(handshake);
}

/* On chr's loop. Takes the channel. */
static void start_handshake(SocketChardev *sock, Channel *channel)
{
    Handshake *handshake = g_new0(Handshake, 1);

    handshake->sock = sock;
    handshake->plain = channel;
    sock->handshake = handshake;
    coroutine_start(handshake_run, handshake);
}

/* Where there is nothing else to do: block until it is done. Takes the channel; NULL: it failed. */
static Channel *shake_hands_now(SocketChardev *sock, Channel *channel, GError **error)
{
    Channel *tls;

    note_peer(sock, channel);
    if (!sock->creds) {
        return channel;
    }
    tls = tls_new(sock, channel, error);
    channel_unref(channel);
    if (tls && !channel_tls_handshake(tls, error)) {
        channel_unref(tls);
        return NULL;
    }
    return tls;
}

/* Connecting again and again, in the background. */

static void greet_handed_over(void *opaque)
{
    Adoption *adoption = opaque;

    greet(adoption->sock, adoption->channel);
    g_free(adoption);
}

/* On the main loop. */
static void attempt_done(Channel *channel, GError *reason, void *opaque)
{
    SocketChardev *sock = opaque;

    sock->attempt = NULL;
    if (!channel) {
        g_error_free(reason);
        try_later(sock);
        return;
    }
    hand_over(sock, greet_handed_over, channel);
}

static void start_attempt(void *opaque)
{
    SocketChardev *sock = opaque;

    if (!sock->attempt) {
        sock->attempt = socket_connect_start(sock->addr, loop_main(), attempt_done, sock);
    }
}

/* Opening. */

static bool check_options(SocketChardev *sock, GError **error)
{
    int ways = (sock->path != NULL) + (sock->fd_text != NULL) + (sock->host || sock->port);

    if (ways != 1) {
        error_setf(error, "backend 'socket' needs one of path=PATH, host=HOST,port=PORT or fd=FD");
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
        error_setf(error, "option 'reconnect' cannot work with fd=FD");
        return false;
    }
    if (sock->tls_authz && !sock->tls_creds_id) {
        error_setf(error, "option 'tls-authz' needs tls-creds=ID");
        return false;
    }
    return true;
}

static bool wait_for_client(SocketChardev *sock, GError **error)
{
    g_autofree char *name = socket_filename(&sock->stream.parent);
    Channel *channel;

    info_report("waiting for a connection on %s", name);
    for (;;) {
        g_autoptr(GError) refused = NULL;

        channel = net_listener_wait(sock->listener, error);
        if (!channel) {
            return false;
        }
        channel = shake_hands_now(sock, channel, &refused);
        if (channel) {
            socket_connected(sock, channel);
            return true;
        }
        warn_report("a client is sent away: %s", refused->message);
    }
}

/* As often as it takes, if it is to connect again and again. */
static bool connect_now(SocketChardev *sock, GError **error)
{
    bool told = false;

    for (;;) {
        g_autoptr(GError) reason = NULL;
        SocketConnect *attempt = g_steal_pointer(&sock->attempt);
        Channel *channel = attempt ? socket_connect_finish(attempt, &reason)
                                   : socket_connect(sock->addr, &reason);

        channel = channel ? shake_hands_now(sock, channel, &reason) : NULL;
        if (channel) {
            timer_del(sock->reconnect_timer);
            socket_connected(sock, channel);
            return true;
        }
        if (!sock->reconnect) {
            g_propagate_error(error, g_steal_pointer(&reason));
            return false;
        }
        if (!told) {
            info_report("waiting for chardev '%s': %s", chardev_id(&sock->stream.parent),
                        reason->message);
            told = true;
        }
        g_usleep(sock->reconnect * G_USEC_PER_SEC);
    }
}

static bool socket_wait_connected(Chardev *chr, GError **error)
{
    SocketChardev *sock = (SocketChardev *)chr;

    if (!sock->listener) {
        return connect_now(sock, error);
    }
    listen_for_clients(sock, false);
    return wait_for_client(sock, error);
}

static bool open_server(SocketChardev *sock, GError **error)
{
    sock->listener = net_listener_new();
    if (!net_listener_open(sock->listener, sock->addr, 1, error)) {
        return false;
    }
    chardev_schedule_update(&sock->stream.parent);
    return sock->wait == PROP_OFF || wait_for_client(sock, error);
}

static bool open_client(SocketChardev *sock, GError **error)
{
    Channel *channel;

    if (sock->reconnect) {
        sock->reconnect_timer = timer_new(loop_main(), VM_CLOCK_REALTIME, start_attempt, sock);
        start_attempt(sock);
        return true;
    }
    channel = socket_connect(sock->addr, error);
    if (channel) {
        channel = shake_hands_now(sock, channel, error);
    }
    if (!channel) {
        return false;
    }
    socket_connected(sock, channel);
    return true;
}

/* A number that we were given is ours: the channel's copy is to be the only one. */
static void close_given_fd(const SocketChardev *sock)
{
    uint64_t fd;

    if (sock->fd_text && parse_uint64(sock->fd_text, &fd, NULL) && fd <= INT32_MAX) {
        close(fd);
    }
}

static bool socket_open(Chardev *chr, GError **error)
{
    SocketChardev *sock = (SocketChardev *)chr;

    if (!check_options(sock, error)) {
        return false;
    }
    if (sock->tls_creds_id) {
        TlsCreds *creds = tls_creds_find(sock->tls_creds_id,
                                         sock->is_server ? QCRYPTO_TLS_CREDS_ENDPOINT_SERVER
                                                         : QCRYPTO_TLS_CREDS_ENDPOINT_CLIENT,
                                         error);

        if (!creds) {
            return false;
        }
        sock->creds = (TlsCreds *)object_ref((Object *)creds);
    }
    sock->addr = make_address(sock);
    if (!(sock->is_server ? open_server : open_client)(sock, error)) {
        return false;
    }
    close_given_fd(sock);
    return true;
}

static void socket_init(Object *obj)
{
    SocketChardev *sock = (SocketChardev *)obj;

    stream_chardev_init(&sock->stream);
    sock->stream.input = socket_input;
    sock->stream.hangup = socket_hangup;
}

static void socket_finalize(Object *obj)
{
    SocketChardev *sock = (SocketChardev *)obj;

    if (sock->attempt) {
        socket_connect_cancel(sock->attempt);
    }
    if (sock->handshake) {
        sock->handshake->sock = NULL;
        time_is_up(sock->handshake);
    }
    timer_free(sock->reconnect_timer);
    socket_detach_loop(&sock->stream.parent);
    stream_chardev_close(&sock->stream);
    net_listener_free(sock->listener);
    SocketAddress_free(sock->addr);
    object_unref((Object *)sock->creds);
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
    PROP_STRING("fd", SocketChardev, fd_text, NULL, "open socket: a number, or a name from getfd"),
    PROP_BOOL("server", SocketChardev, is_server, false, "listen instead of connecting"),
    PROP_ON_OFF_AUTO("wait", SocketChardev, wait, PROP_AUTO,
                     "server: start only when a client is there; auto: yes"),
    PROP_UINT32("reconnect", SocketChardev, reconnect, 0,
                "client: seconds between attempts to connect; 0: only one"),
    PROP_BOOL("telnet", SocketChardev, telnet, false, "speak telnet"),
    PROP_BOOL("tn3270", SocketChardev, tn3270, false, "speak tn3270"),
    PROP_BOOL("nodelay", SocketChardev, nodelay, false, "set TCP_NODELAY"),
    PROP_STRING("tls-creds", SocketChardev, tls_creds_id, NULL,
                "speak TLS with this object's credentials"),
    PROP_STRING("tls-authz", SocketChardev, tls_authz, NULL,
                "server: this object says who may connect, by the name in the certificate"),
    PROP_END,
};

static int socket_fd(Chardev *chr)
{
    SocketChardev *sock = (SocketChardev *)chr;

    return sock->stream.channel && !sock->creds && !sock->telnet && !sock->tn3270
               ? channel_socket_fd(sock->stream.channel) : -1;
}

static const ChardevOps socket_ops = {
    .backend = "socket",
    .flags = CHARDEV_CAN_BLOCK,
    .open = socket_open,
    .write = socket_write,
    .update = socket_update,
    .detach_loop = socket_detach_loop,
    .disconnect = socket_disconnect,
    .get_fds = stream_chardev_get_fds,
    .wait_connected = socket_wait_connected,
    .socket = socket_fd,
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
