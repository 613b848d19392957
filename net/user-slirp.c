/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The module "net-user": libslirp beside the main loop. libslirp says before each round which
 * descriptors it waits for and how long; a GSource of its own asks it.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <libslirp.h>
#include <string.h>

#include "chardev/chardev.h"
#include "net/user.h"
#include "util/error.h"
#include "util/log.h"
#include "util/loop.h"
#include "util/sanitizer.h"
#include "util/timer.h"

typedef struct SlirpSource SlirpSource;

typedef struct SlirpNet {
    Slirp *slirp;
    NetClient *nc;
    SlirpSource *source;
    GPtrArray *forwards; /* GuestForward * */
} SlirpNet;

typedef struct GuestForward {
    SlirpNet *net;
    struct in_addr addr;
    int port;
    char *chardev;       /* id of the one that was made for it */
    CharFrontend fe;
} GuestForward;

struct SlirpSource {
    GSource source;
    SlirpNet *net;
    GPtrArray *polls;    /* GPollFD *; the first `used` are registered */
    unsigned used, wanted;
    int64_t deadline_us; /* -1: none */
};

/* ---- The source ---- */

static int add_poll(int fd, int events, void *opaque)
{
    SlirpSource *source = opaque;
    gushort wanted = (events & SLIRP_POLL_IN ? G_IO_IN : 0) |
                     (events & SLIRP_POLL_OUT ? G_IO_OUT : 0) |
                     (events & SLIRP_POLL_PRI ? G_IO_PRI : 0) |
                     (events & SLIRP_POLL_ERR ? G_IO_ERR : 0) |
                     (events & SLIRP_POLL_HUP ? G_IO_HUP : 0);
    GPollFD *poll;

    if (source->wanted == source->polls->len) {
        g_ptr_array_add(source->polls, g_new0(GPollFD, 1));
    }
    poll = g_ptr_array_index(source->polls, source->wanted);
    if (source->wanted >= source->used || poll->fd != fd) {
        if (source->wanted < source->used) {
            g_source_remove_poll(&source->source, poll);
        }
        poll->fd = fd;
        g_source_add_poll(&source->source, poll);
        source->used = MAX(source->used, source->wanted + 1);
    }
    poll->events = wanted;
    poll->revents = 0;
    return source->wanted++;
}

static int get_events(int index, void *opaque)
{
    SlirpSource *source = opaque;
    const GPollFD *poll = g_ptr_array_index(source->polls, index);

    return (poll->revents & G_IO_IN ? SLIRP_POLL_IN : 0) |
           (poll->revents & G_IO_OUT ? SLIRP_POLL_OUT : 0) |
           (poll->revents & G_IO_PRI ? SLIRP_POLL_PRI : 0) |
           (poll->revents & G_IO_ERR ? SLIRP_POLL_ERR : 0) |
           (poll->revents & G_IO_HUP ? SLIRP_POLL_HUP : 0);
}

static gboolean source_prepare(GSource *base, gint *timeout)
{
    SlirpSource *source = (SlirpSource *)base;
    uint32_t wait_ms = UINT32_MAX;

    source->wanted = 0;
    slirp_pollfds_fill(source->net->slirp, &wait_ms, add_poll, source);
    while (source->used > source->wanted) {
        g_source_remove_poll(base, g_ptr_array_index(source->polls, --source->used));
    }
    *timeout = wait_ms > INT32_MAX ? -1 : (int)wait_ms;
    source->deadline_us = *timeout < 0 ? -1 : g_source_get_time(base) + *timeout * 1000LL;
    return FALSE;
}

static gboolean source_check(GSource *base)
{
    SlirpSource *source = (SlirpSource *)base;

    for (unsigned i = 0; i < source->wanted; i++) {
        if (((GPollFD *)g_ptr_array_index(source->polls, i))->revents) {
            return TRUE;
        }
    }
    return source->deadline_us >= 0 && g_source_get_time(base) >= source->deadline_us;
}

static gboolean source_dispatch(GSource *base, GSourceFunc fn, gpointer data)
{
    SlirpSource *source = (SlirpSource *)base;

    slirp_pollfds_poll(source->net->slirp, 0, get_events, source);
    return G_SOURCE_CONTINUE;
}

static SlirpSource *source_new(SlirpNet *net)
{
    static GSourceFuncs funcs = {
        .prepare = source_prepare,
        .check = source_check,
        .dispatch = source_dispatch,
    };
    SlirpSource *source = (SlirpSource *)g_source_new(&funcs, sizeof(*source));

    source->net = net;
    source->polls = g_ptr_array_new_with_free_func(g_free);
    g_source_set_name(&source->source, "slirp");
    g_source_attach(&source->source, NULL);
    return source;
}

static void source_free(SlirpSource *source)
{
    GPtrArray *polls = source->polls;

    g_source_destroy(&source->source);
    g_source_unref(&source->source);
    g_ptr_array_unref(polls);
}

/* ---- What libslirp asks of us ---- */

static ssize_t send_packet(const void *buf, size_t len, void *opaque)
{
    SlirpNet *net = opaque;

    net_send_buf(net->nc, buf, len);
    return len;
}

static void guest_error(const char *message, void *opaque)
{
    log_guest_error("user network: %s", message);
}

static int64_t get_clock(void *opaque)
{
    return vm_clock_ns(VM_CLOCK_VIRTUAL);
}

typedef struct SlirpTimer {
    SlirpNet *net;
    SlirpTimerId id;
    void *opaque;
    Timer *timer;
} SlirpTimer;

static void timer_fired(void *opaque)
{
    SlirpTimer *timer = opaque;

    slirp_handle_timer(timer->net->slirp, timer->id, timer->opaque);
}

static void *new_timer(SlirpTimerId id, void *timer_opaque, void *opaque)
{
    SlirpTimer *timer = g_new0(SlirpTimer, 1);

    timer->net = opaque;
    timer->id = id;
    timer->opaque = timer_opaque;
    timer->timer = timer_new_virtual(timer_fired, timer);
    return timer;
}

static void free_timer(void *data, void *opaque)
{
    SlirpTimer *timer = data;

    timer_free(timer->timer);
    g_free(timer);
}

static void arm_timer(void *data, int64_t expire_ms, void *opaque)
{
    timer_mod(((SlirpTimer *)data)->timer, expire_ms * NS_PER_MS);
}

static void ignore_fd(int fd, void *opaque)
{
}

/* A connection may have come, or have room: libslirp tells of the second only. */
static void resume_forwards(SlirpNet *net)
{
    for (guint i = 0; i < net->forwards->len; i++) {
        GuestForward *forward = g_ptr_array_index(net->forwards, i);

        char_frontend_accept_input(&forward->fe);
    }
}

static void notify(void *opaque)
{
    resume_forwards(opaque);
    loop_kick(loop_main());
}

static void init_completed(Slirp *slirp, void *opaque)
{
    ((SlirpNet *)opaque)->slirp = slirp;
}

static const SlirpCb callbacks = {
    .send_packet = send_packet,
    .guest_error = guest_error,
    .clock_get_ns = get_clock,
    .timer_new_opaque = new_timer,
    .timer_free = free_timer,
    .timer_mod = arm_timer,
    .register_poll_fd = ignore_fd,
    .unregister_poll_fd = ignore_fd,
    .notify = notify,
    .init_completed = init_completed,
};

/* ---- Life ---- */

static void forward_free(void *data)
{
    GuestForward *forward = data;

    char_frontend_detach(&forward->fe);
    if (forward->chardev) {
        chardev_remove(forward->chardev, NULL);
    }
    g_free(forward->chardev);
    g_free(forward);
}

static void *user_start(NetClient *nc, const NetUserConfig *config, GError **error)
{
    const SlirpConfig slirp = {
        .version = 4,
        .restricted = config->restricted,
        .in_enabled = config->ipv4,
        .vnetwork = config->net,
        .vnetmask = config->mask,
        .vhost = config->host,
        .in6_enabled = config->ipv6,
        .vprefix_addr6 = config->prefix6,
        .vprefix_len = config->prefix6_len,
        .vhost6 = config->host6,
        .vhostname = config->hostname,
        .tftp_server_name = config->tftp_server,
        .tftp_path = config->tftp,
        .bootfile = config->bootfile,
        .vdhcp_start = config->dhcp,
        .vnameserver = config->dns,
        .vnameserver6 = config->dns6,
        .vdnssearch = (const char **)config->search,
        .vdomainname = config->domain,
    };
    SlirpNet *net = g_new0(SlirpNet, 1);

    net->nc = nc;
    net->forwards = g_ptr_array_new_with_free_func(forward_free);
    /* libslirp 4.7 copies the name of the TFTP server and never frees it. */
    sanitizer_expect_leaks(true);
    net->slirp = slirp_new(&slirp, &callbacks, net);
    sanitizer_expect_leaks(false);
    if (!net->slirp) {
        error_setf(error, "libslirp refuses these settings");
        g_ptr_array_unref(net->forwards);
        g_free(net);
        return NULL;
    }
    net->source = source_new(net);
    return net;
}

static void user_stop(void *state)
{
    SlirpNet *net = state;

    source_free(net->source);
    g_ptr_array_unref(net->forwards);
    slirp_cleanup(net->slirp);
    g_free(net);
}

static void user_input(void *state, const uint8_t *frame, size_t size)
{
    SlirpNet *net = state;

    slirp_input(net->slirp, frame, size);
    resume_forwards(net);
    /* The main loop may sleep without the descriptors that are new now. */
    if (!loop_in_main_thread()) {
        loop_kick(loop_main());
    }
}

/* ---- Forwarding ---- */

static bool add_host_forward(void *state, const NetHostForward *forward, GError **error)
{
    SlirpNet *net = state;

    if (slirp_add_hostfwd(net->slirp, forward->udp, forward->host, forward->host_port,
                          forward->guest, forward->guest_port) < 0) {
        g_autofree char *host = g_strdup(inet_ntoa(forward->host));

        error_setf(error, "Could not set up host forwarding rule '%s:%s:%u-%s:%u': %s",
                   forward->udp ? "udp" : "tcp", host, forward->host_port,
                   inet_ntoa(forward->guest), forward->guest_port, g_strerror(errno));
        return false;
    }
    loop_kick(loop_main());
    return true;
}

static bool remove_host_forward(void *state, const NetHostForward *forward)
{
    SlirpNet *net = state;

    return slirp_remove_hostfwd(net->slirp, forward->udp, forward->host, forward->host_port) == 0;
}

static int forward_can_read(void *opaque)
{
    GuestForward *forward = opaque;

    return slirp_socket_can_recv(forward->net->slirp, forward->addr, forward->port);
}

static void forward_read(void *opaque, const uint8_t *buf, int size)
{
    GuestForward *forward = opaque;

    slirp_socket_recv(forward->net->slirp, forward->addr, forward->port, buf, size);
}

static ssize_t forward_write(const void *buf, size_t len, void *opaque)
{
    return char_frontend_write_all(&((GuestForward *)opaque)->fe, buf, MIN(len, INT32_MAX));
}

static const CharFrontendOps forward_ops = {
    .can_read = forward_can_read,
    .read = forward_read,
};

static bool cannot_forward(const NetGuestForward *rule, GError **error)
{
    error_setf(error, "Conflicting/invalid host:port in guest forwarding rule (%s:%u)",
               inet_ntoa(rule->addr), rule->port);
    return false;
}

static bool add_guest_forward(void *state, const NetGuestForward *rule, GError **error)
{
    SlirpNet *net = state;
    struct in_addr addr = rule->addr;
    g_autofree char *id = g_strdup_printf("guestfwd.tcp.%s.%u", inet_ntoa(addr), rule->port);
    GuestForward *forward;
    Chardev *chr;

    if (rule->command) {
        return slirp_add_exec(net->slirp, rule->command, &addr, rule->port) == 0 ||
               cannot_forward(rule, error);
    }
    chr = chardev_new_from_short(id, rule->target, error);
    if (!chr) {
        if (error && !*error) {
            error_setf(error, "'%s' is no character device to forward to", rule->target);
        }
        return false;
    }
    forward = g_new0(GuestForward, 1);
    forward->net = net;
    forward->chardev = g_str_equal(chardev_id(chr), id) ? g_steal_pointer(&id) : NULL;
    if (!char_frontend_attach(&forward->fe, chr, error)) {
        forward_free(forward);
        return false;
    }
    if (slirp_add_guestfwd(net->slirp, forward_write, forward, &addr, rule->port) < 0) {
        forward_free(forward);
        return cannot_forward(rule, error);
    }
    forward->addr = addr;
    forward->port = rule->port;
    g_ptr_array_add(net->forwards, forward);
    char_frontend_set_handlers(&forward->fe, &forward_ops, forward, NULL);
    return true;
}

static char *user_describe(void *state)
{
    return slirp_connection_info(((SlirpNet *)state)->slirp);
}

extern const NetUserModule net_user_module;
const NetUserModule net_user_module = {
    .start = user_start,
    .stop = user_stop,
    .input = user_input,
    .add_host_forward = add_host_forward,
    .remove_host_forward = remove_host_forward,
    .add_guest_forward = add_guest_forward,
    .describe = user_describe,
};
