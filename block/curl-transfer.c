/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libcurl and the loop. libcurl asks for watches and for one timer; both lead back into it, and
 * afterwards whoever waits for a transfer that has ended is woken. A coroutine never runs inside
 * one of libcurl's callbacks, because waking only makes it ready.
 */
#include "block/curl-transfer.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Of one transfer, redirections included: an honest server's headers are a few KiB. */
#define MAX_HEADERS (1024 * 1024)

typedef struct Watch {
    CurlHub *hub;
    int fd;
} Watch;

/* ---- Events ---- */

static void wake_waiter(CurlTransfer *transfer, CURLcode code)
{
    Coroutine *co = transfer->waiter;

    if (co) {
        transfer->waiter = NULL;
        transfer->code = code;
        coroutine_wake(co);
    }
}

static void take_ended(CurlHub *hub)
{
    CURLMsg *message;
    int left;

    while ((message = curl_multi_info_read(hub->multi, &left))) {
        CURL *easy = message->easy_handle;
        CURLcode code = message->data.result;
        char *transfer = NULL;

        if (message->msg == CURLMSG_DONE) {
            curl_easy_getinfo(easy, CURLINFO_PRIVATE, &transfer);
            curl_multi_remove_handle(hub->multi, easy);
            wake_waiter((CurlTransfer *)(void *)transfer, code);
        }
    }
}

static void act(CurlHub *hub, curl_socket_t fd, int events)
{
    int running;

    curl_multi_socket_action(hub->multi, fd, events, &running);
    take_ended(hub);
}

static void on_readable(void *opaque)
{
    Watch *watch = opaque;

    act(watch->hub, watch->fd, CURL_CSELECT_IN);
}

static void on_writable(void *opaque)
{
    Watch *watch = opaque;

    act(watch->hub, watch->fd, CURL_CSELECT_OUT);
}

static void on_timer(void *opaque)
{
    act(opaque, CURL_SOCKET_TIMEOUT, 0);
}

/* ---- What libcurl asks for ---- */

static int set_watch(CURL *easy, curl_socket_t fd, int what, void *opaque, void *of_socket)
{
    CurlHub *hub = opaque;
    Watch *watch = of_socket;

    if (what == CURL_POLL_REMOVE) {
        loop_set_fd(hub->loop, fd, NULL, NULL, NULL);
        curl_multi_assign(hub->multi, fd, NULL);
        g_free(watch);
        return 0;
    }
    if (!watch) {
        watch = g_new(Watch, 1);
        *watch = (Watch) { hub, fd };
        curl_multi_assign(hub->multi, fd, watch);
    }
    loop_set_fd(hub->loop, fd, what & CURL_POLL_IN ? on_readable : NULL,
                what & CURL_POLL_OUT ? on_writable : NULL, watch);
    return 0;
}

static int set_timer(CURLM *multi, long ms, void *opaque)
{
    CurlHub *hub = opaque;

    if (ms < 0) {
        timer_del(hub->timer);
    } else {
        timer_mod(hub->timer, vm_clock_ns(VM_CLOCK_REALTIME) + ms * NS_PER_MS);
    }
    return 0;
}

/* ---- Sockets ---- */

static curl_socket_t open_socket(void *opaque, curlsocktype purpose, struct curl_sockaddr *address)
{
    CurlHub *hub = opaque;
    int fd = socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);

    if (fd >= 0) {
        g_array_append_val(hub->sockets, fd);
    }
    return fd >= 0 ? fd : CURL_SOCKET_BAD;
}

static int close_socket(void *opaque, curl_socket_t fd)
{
    CurlHub *hub = opaque;

    for (guint i = 0; i < hub->sockets->len; i++) {
        if (g_array_index(hub->sockets, int, i) == fd) {
            g_array_remove_index_fast(hub->sockets, i);
            break;
        }
    }
    return close(fd);
}

bool curl_hub_init(CurlHub *hub, Loop *loop)
{
    hub->loop = loop;
    hub->multi = curl_multi_init();
    if (!hub->multi) {
        return false;
    }
    hub->sockets = g_array_new(FALSE, FALSE, sizeof(int));
    hub->timer = timer_new(loop, VM_CLOCK_REALTIME, on_timer, hub);
    curl_multi_setopt(hub->multi, CURLMOPT_SOCKETFUNCTION, set_watch);
    curl_multi_setopt(hub->multi, CURLMOPT_SOCKETDATA, hub);
    curl_multi_setopt(hub->multi, CURLMOPT_TIMERFUNCTION, set_timer);
    curl_multi_setopt(hub->multi, CURLMOPT_TIMERDATA, hub);
    return true;
}

void curl_hub_cleanup(CurlHub *hub)
{
    if (!hub->multi) {
        return;
    }
    /* Else libcurl says goodbye to idle FTP servers, and waits for them to answer. */
    for (guint i = 0; i < hub->sockets->len; i++) {
        shutdown(g_array_index(hub->sockets, int, i), SHUT_RDWR);
    }
    curl_multi_cleanup(hub->multi);
    timer_free(hub->timer);
    g_array_unref(hub->sockets);
}

void curl_hub_set_loop(CurlHub *hub, Loop *loop)
{
    timer_free(hub->timer);
    hub->timer = timer_new(loop, VM_CLOCK_REALTIME, on_timer, hub);
    hub->loop = loop;
}

/* ---- Headers and bodies ---- */

static bool take_number(const char **at, int64_t *value)
{
    char *end;
    guint64 number;

    if (!g_ascii_isdigit(**at)) {
        return false;
    }
    number = g_ascii_strtoull(*at, &end, 10);
    if (number > INT64_MAX) { /* what does not fit at all is G_MAXUINT64 */
        return false;
    }
    *at = end;
    *value = (int64_t)number;
    return true;
}

/* RFC 9110, 14.4: "bytes 0-499/1234"; an asterisk stands for a length that is not known. */
static void take_content_range(CurlReply *reply, const char *at)
{
    int64_t start, end, total = -1;

    if (g_ascii_strncasecmp(at, "bytes", 5) != 0) {
        return;
    }
    at += 5 + strspn(at + 5, " \t");
    if (!take_number(&at, &start) || *at++ != '-' || !take_number(&at, &end) || *at++ != '/' ||
        (*at != '*' && !take_number(&at, &total))) {
        return;
    }
    reply->range_start = start;
    reply->range_end = end;
    reply->total = total;
}

static const char *value_of(const char *line, const char *name)
{
    size_t len = strlen(name);

    if (g_ascii_strncasecmp(line, name, len) != 0 || line[len] != ':') {
        return NULL;
    }
    return line + len + 1 + strspn(line + len + 1, " \t");
}

static void forget_reply(CurlReply *reply)
{
    *reply = (CurlReply) { .range_start = -1, .range_end = -1, .total = -1 };
}

static void progress(CurlTransfer *transfer)
{
    if (transfer->stalled) {
        timer_mod(transfer->stalled,
                  vm_clock_ns(VM_CLOCK_REALTIME) + transfer->hub->patience_ns);
    }
}

static size_t take_header(char *data, size_t one, size_t len, void *opaque)
{
    CurlTransfer *transfer = opaque;
    g_autofree char *line = g_strchomp(g_strndup(data, MIN(len, 1024)));
    const char *value;

    progress(transfer);
    transfer->header_bytes += len;
    if (transfer->header_bytes > MAX_HEADERS) {
        transfer->refusal = "the server's headers do not end";
        return 0;
    }
    if (g_str_has_prefix(line, "HTTP/")) {
        forget_reply(&transfer->reply);
    } else if ((value = value_of(line, "Accept-Ranges"))) {
        transfer->reply.accepts_ranges = !g_ascii_strcasecmp(value, "bytes");
    } else if ((value = value_of(line, "Content-Range"))) {
        take_content_range(&transfer->reply, value);
    }
    return len;
}

static size_t take_body(char *data, size_t one, size_t len, void *opaque)
{
    CurlTransfer *transfer = opaque;

    progress(transfer);
    return transfer->take && transfer->take(transfer, data, len) ? len : 0;
}

/* ---- Transfers ---- */

bool curl_transfer_init(CurlHub *hub, CurlTransfer *transfer)
{
    CURL *easy = transfer->easy = curl_easy_init();

    transfer->hub = hub;
    if (!easy) {
        return false;
    }
    curl_easy_setopt(easy, CURLOPT_PRIVATE, transfer);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, transfer->text);
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, open_socket);
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, hub);
    curl_easy_setopt(easy, CURLOPT_CLOSESOCKETFUNCTION, close_socket);
    curl_easy_setopt(easy, CURLOPT_CLOSESOCKETDATA, hub);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, take_header);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, transfer);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, transfer);
    return true;
}

void curl_transfer_cleanup(CurlTransfer *transfer)
{
    if (transfer->easy) {
        curl_easy_cleanup(transfer->easy);
        transfer->easy = NULL;
    }
}

static void end_early(CurlTransfer *transfer, CURLcode code)
{
    if (transfer->waiter) {
        curl_multi_remove_handle(transfer->hub->multi, transfer->easy);
        wake_waiter(transfer, code);
    }
}

static void on_stalled(void *opaque)
{
    CurlTransfer *transfer = opaque;

    transfer->refusal = "the server did not answer in time";
    end_early(transfer, CURLE_OPERATION_TIMEDOUT);
}

void curl_transfer_abort(CurlTransfer *transfer)
{
    end_early(transfer, CURLE_ABORTED_BY_CALLBACK);
}

CURLcode curl_transfer_run(CurlTransfer *transfer)
{
    CurlHub *hub = transfer->hub;

    forget_reply(&transfer->reply);
    transfer->refusal = NULL;
    transfer->header_bytes = 0;
    transfer->text[0] = '\0';
    if (curl_multi_add_handle(hub->multi, transfer->easy) != CURLM_OK) {
        return transfer->code = CURLE_OUT_OF_MEMORY;
    }
    if (hub->patience_ns) {
        transfer->stalled = timer_new(hub->loop, VM_CLOCK_REALTIME, on_stalled, transfer);
        progress(transfer);
    }
    transfer->waiter = coroutine_current();
    coroutine_yield();
    g_clear_pointer(&transfer->stalled, timer_free);
    return transfer->code;
}

const char *curl_transfer_why(const CurlTransfer *transfer)
{
    return transfer->refusal ? transfer->refusal
           : transfer->text[0] ? transfer->text : curl_easy_strerror(transfer->code);
}

long curl_transfer_status(const CurlTransfer *transfer)
{
    long status = 0;

    curl_easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE, &status);
    return status;
}
