/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A QMP session: bytes become requests, requests become responses, in order.
 *
 * Requests wait in a bounded queue. When it is full, or the client does not read its responses, the
 * session stops reading: a client that sends without end fills its own socket, not our memory. The
 * dispatcher on the main thread takes one request from each session in turn, so that no session can
 * keep another waiting. One request runs at a time; a command that runs the loop inside itself does
 * not start a second one.
 *
 * A session starts on the main loop. When its client has enabled `oob` its frontend moves to the
 * monitor thread: reading and exec-oob requests go on there while the main thread works.
 */
#include <string.h>
#include <unistd.h>

#include "monitor/internal.h"
#include "monitor/json-stream.h"
#include "qapi/qapi-types-control.h"
#include "util/error.h"

/* Requests that may wait, as the protocol's documentation says (8). */
#define MAX_REQUESTS 8
#define MAX_FDS 16
#define READ_CHUNK 16384
/* Requests that one turn of the main loop runs before it looks at devices again. */
#define DISPATCH_BUDGET 16

typedef struct Request {
    json_object *json;
    GError *error; /* the text was no JSON: answered in turn */
    GArray *fds;   /* int; NULL if none came with it */
    unsigned generation;
} Request;

struct QmpSession {
    Monitor mon;
    /* The frontend's loop. */
    JsonStream stream;
    GByteArray *in; /* read but not parsed: the queue was full */
    GArray *fds;    /* came in, and belong to the next request */
    LoopBh *parse_bh;
    bool on_thread;
    /* Main thread. */
    LoopBh *move_bh;
    /* Under mon.lock. */
    GQueue requests;
    unsigned generation; /* counts connections */
    bool negotiated;
    bool oob;
    /* Under dispatcher.lock. */
    bool ready;
    GList ready_link;
};

/* One dispatcher for the process, because one command runs at a time. */
static struct {
    GMutex lock;
    GQueue ready; /* sessions with requests */
    LoopBh *bh;
    bool running; /* main thread */
} dispatcher;

/* The request that runs on this thread. Handlers have no other way to know their session. */
static __thread struct {
    QmpSession *session;
    Request *request;
} current;

QmpSession *qmp_session_current(void)
{
    return current.session;
}

static void close_fds(GArray *fds)
{
    for (guint i = 0; fds && i < fds->len; i++) {
        close(g_array_index(fds, int, i));
    }
    g_clear_pointer(&fds, g_array_unref);
}

static void request_free(void *opaque)
{
    Request *request = opaque;

    json_object_put(request->json);
    g_clear_error(&request->error);
    close_fds(request->fds);
    g_free(request);
}

int qmp_session_take_fd(GError **error)
{
    GArray *fds = current.request ? current.request->fds : NULL;
    int fd;

    if (!fds || !fds->len) {
        error_setf(error, "No file descriptor came with this request (SCM_RIGHTS)");
        return -1;
    }
    fd = g_array_index(fds, int, 0);
    g_array_remove_index(fds, 0);
    return fd;
}

/* Writing. */

/*
 * json-c's plain form with a blank after each ',' and ':' between values, as QMP has always been
 * written: scripts look for `"return": {}`. json-c's own spaced form differs.
 */
static GString *spaced_json(const char *plain, size_t len)
{
    GString *out = g_string_sized_new(len + len / 4);
    bool in_string = false;

    for (size_t i = 0; i < len; i++) {
        char c = plain[i];

        g_string_append_c(out, c);
        if (in_string && c == '\\' && i + 1 < len) {
            g_string_append_c(out, plain[++i]);
        } else if (c == '"') {
            in_string = !in_string;
        } else if (!in_string && (c == ',' || c == ':')) {
            g_string_append_c(out, ' ');
        }
    }
    return out;
}

typedef void WriteFn(Monitor *mon, const char *text, size_t len, const char *end);

static void send_json(QmpSession *session, json_object *json, WriteFn *write_fn)
{
    bool pretty = session->mon.kind == MONITOR_QMP_PRETTY;
    int flags = JSON_C_TO_STRING_NOSLASHESCAPE |
                (pretty ? JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED : 0);
    g_autoptr(GString) spaced = NULL;
    const char *text;
    size_t len;

    text = json_object_to_json_string_length(json, flags, &len);
    if (!pretty) {
        spaced = spaced_json(text, len);
        text = spaced->str;
        len = spaced->len;
    }
    write_fn(&session->mon, text, len, "\r\n");
}

void qmp_session_send_event(Monitor *mon, json_object *event)
{
    QmpSession *session = (QmpSession *)mon;
    bool negotiated;

    g_mutex_lock(&mon->lock);
    negotiated = mon->open && session->negotiated;
    g_mutex_unlock(&mon->lock);
    if (negotiated) {
        send_json(session, event, monitor_write_event);
    }
}

static void send_greeting(QmpSession *session)
{
    static const VersionTriple level = { .major = 7, .minor = 2, .micro = 0 };
    const VersionInfo version = { .qemu = (VersionTriple *)&level,
                                  .package = (char *)monitor_package() };
    json_object *greeting = json_object_new_object();
    json_object *body = json_object_new_object();
    json_object *capabilities = json_object_new_array();

    json_object_array_add(capabilities, json_object_new_string("oob"));
    json_object_object_add(body, "version", VersionInfo_to_json(&version));
    json_object_object_add(body, "capabilities", capabilities);
    json_object_object_add(greeting, "QMP", body);
    send_json(session, greeting, monitor_write);
    json_object_put(greeting);
}

/* Negotiation. */

static void move_to_thread(void *opaque);
static const CharFrontendOps frontend_ops;

bool qmp_session_negotiate(QmpSession *session, bool oob, GError **error)
{
    if (oob && !monitor_thread_loop(error)) {
        return false;
    }
    g_mutex_lock(&session->mon.lock);
    session->negotiated = true;
    session->oob = oob;
    g_mutex_unlock(&session->mon.lock);
    if (oob && !session->on_thread) {
        loop_bh_schedule(session->move_bh);
    }
    return true;
}

static void parse_input(void *opaque);

/* Main thread, outside any callback of the frontend. */
static void move_to_thread(void *opaque)
{
    QmpSession *session = opaque;
    Loop *loop = monitor_thread_loop(NULL);

    session->on_thread = true;
    loop_bh_free(session->parse_bh);
    session->parse_bh = loop_bh_new(loop, parse_input, session);
    char_frontend_set_handlers(&session->mon.fe, &frontend_ops, session, loop);
    loop_bh_schedule(session->parse_bh);
}

/* Is this command allowed in the session's state? */
static bool check_state(QmpSession *session, json_object *json, GError **error)
{
    json_object *name;
    bool is_capabilities, negotiated, oob;

    g_mutex_lock(&session->mon.lock);
    negotiated = session->negotiated;
    oob = session->oob;
    g_mutex_unlock(&session->mon.lock);
    if (json_object_is_type(json, json_type_object) &&
        json_object_object_get_ex(json, "exec-oob", NULL) && !oob) {
        error_setf(error, "Member 'exec-oob' needs capability 'oob', which is not enabled");
        return false;
    }
    if (!json_object_is_type(json, json_type_object) ||
        !json_object_object_get_ex(json, "execute", &name) ||
        !json_object_is_type(name, json_type_string)) {
        return true; /* qmp_dispatch() says what is wrong */
    }
    is_capabilities = !strcmp(json_object_get_string(name), "qmp_capabilities");
    if (is_capabilities == negotiated) {
        error_set_code(error, VIREO_ERROR_COMMAND_NOT_FOUND,
                       negotiated ? "Capabilities are negotiated already; 'qmp_capabilities' is "
                                    "the first command of a session only"
                                  : "Capabilities come first: send 'qmp_capabilities'");
        return false;
    }
    return true;
}

/* Running. */

static json_object *answer(QmpSession *session, Request *request, bool oob)
{
    g_autoptr(GError) error = NULL;

    if (request->error) {
        return qmp_error_response(request->error, NULL);
    }
    if (!check_state(session, request->json, &error)) {
        return qmp_error_response(error, request->json);
    }
    return qmp_dispatch(monitor_commands(), request->json, oob);
}

/* Run a request and send its response, unless its client is gone meanwhile. Takes the request. */
static void run_request(QmpSession *session, Request *request, bool oob)
{
    json_object *response;
    bool same_client;

    current.session = session;
    current.request = request;
    response = answer(session, request, oob);
    current.session = NULL;
    current.request = NULL;
    g_mutex_lock(&session->mon.lock);
    same_client = session->generation == request->generation;
    g_mutex_unlock(&session->mon.lock);
    if (response && same_client) {
        send_json(session, response, monitor_write);
    }
    json_object_put(response);
    request_free(request);
}

static void dispatcher_add(QmpSession *session)
{
    g_mutex_lock(&dispatcher.lock);
    if (!session->ready) {
        session->ready = true;
        g_queue_push_tail_link(&dispatcher.ready, &session->ready_link);
    }
    g_mutex_unlock(&dispatcher.lock);
}

static QmpSession *dispatcher_next(void)
{
    QmpSession *session = NULL;
    GList *link;

    g_mutex_lock(&dispatcher.lock);
    link = g_queue_pop_head_link(&dispatcher.ready);
    if (link) {
        session = link->data;
        session->ready = false;
    }
    g_mutex_unlock(&dispatcher.lock);
    return session;
}

/* The session's next request; *more: others wait; *was_full: reading had stopped. */
static Request *next_request(QmpSession *session, bool *more, bool *was_full)
{
    Request *request;

    g_mutex_lock(&session->mon.lock);
    *was_full = session->requests.length >= MAX_REQUESTS;
    request = session->mon.choked ? NULL : g_queue_pop_head(&session->requests);
    *more = request && session->requests.length;
    g_mutex_unlock(&session->mon.lock);
    return request;
}

/* Main thread. */
static void dispatch(void *opaque)
{
    QmpSession *session;
    int budget = DISPATCH_BUDGET;

    if (dispatcher.running) {
        return;
    }
    dispatcher.running = true;
    while (budget-- > 0 && (session = dispatcher_next())) {
        bool more, was_full;
        Request *request = next_request(session, &more, &was_full);

        if (more) {
            dispatcher_add(session);
        }
        if (request) {
            run_request(session, request, false);
            if (was_full) {
                loop_bh_schedule(session->parse_bh);
            }
        }
    }
    dispatcher.running = false;
    if (budget < 0) {
        loop_bh_schedule(dispatcher.bh);
    }
}

/* Reading: on the frontend's loop. */

static bool wants_oob(QmpSession *session, json_object *json)
{
    bool oob;

    g_mutex_lock(&session->mon.lock);
    oob = session->oob;
    g_mutex_unlock(&session->mon.lock);
    return oob && json_object_is_type(json, json_type_object) &&
           json_object_object_get_ex(json, "exec-oob", NULL);
}

/* Takes json and parse_error; one of them may be NULL, and both are for JSON's null. */
static void accept_request(QmpSession *session, json_object *json, GError *parse_error)
{
    Request *request = g_new0(Request, 1);

    request->json = json;
    request->error = parse_error;
    if (session->fds->len) {
        request->fds = session->fds;
        session->fds = g_array_new(false, false, sizeof(int));
    }
    if (wants_oob(session, json)) {
        request->generation = session->generation;
        run_request(session, request, true);
        return;
    }
    g_mutex_lock(&session->mon.lock);
    request->generation = session->generation;
    g_queue_push_tail(&session->requests, request);
    g_mutex_unlock(&session->mon.lock);
    dispatcher_add(session);
}

static bool may_take(QmpSession *session)
{
    bool may;

    g_mutex_lock(&session->mon.lock);
    may = session->mon.open && session->requests.length < MAX_REQUESTS && !session->mon.choked;
    g_mutex_unlock(&session->mon.lock);
    return may;
}

/* Parse as much of buf as there is room for; returns the number of bytes used. */
static size_t parse_some(QmpSession *session, const uint8_t *buf, size_t len)
{
    size_t done = 0;

    while (done < len && may_take(session)) {
        json_object *json = NULL;
        GError *error = NULL;
        size_t used;

        if (json_stream_feed(&session->stream, buf + done, len - done, &used, &json, &error) !=
            JSON_STREAM_MORE) {
            accept_request(session, json, error);
        }
        done += used;
    }
    return done;
}

static void run_dispatcher(void)
{
    if (loop_in_main_thread()) {
        dispatch(NULL);
    } else {
        loop_bh_schedule(dispatcher.bh);
    }
}

/* The queue has room again. */
static void parse_input(void *opaque)
{
    QmpSession *session = opaque;
    size_t used = parse_some(session, session->in->data, session->in->len);

    /* The client may have gone meanwhile, and its input with it. */
    g_byte_array_remove_range(session->in, 0, MIN((guint)used, session->in->len));
    if (session->in->len == 0) {
        char_frontend_accept_input(&session->mon.fe);
    }
    run_dispatcher();
}

static int session_can_read(void *opaque)
{
    QmpSession *session = opaque;

    return session->in->len == 0 && may_take(session) ? READ_CHUNK : 0;
}

static void take_fds(QmpSession *session)
{
    int fds[MAX_FDS];
    int n = char_frontend_get_fds(&session->mon.fe, fds, MAX_FDS);

    for (int i = 0; i < n; i++) {
        if (session->fds->len < MAX_FDS) {
            g_array_append_val(session->fds, fds[i]);
        } else {
            close(fds[i]);
        }
    }
}

static bool session_is_open(QmpSession *session)
{
    bool open;

    g_mutex_lock(&session->mon.lock);
    open = session->mon.open;
    g_mutex_unlock(&session->mon.lock);
    return open;
}

static void session_read(void *opaque, const uint8_t *buf, int size)
{
    QmpSession *session = opaque;
    size_t used = 0;

    take_fds(session);
    if (session->in->len == 0) {
        used = parse_some(session, buf, (size_t)size);
    }
    if (session_is_open(session)) {
        g_byte_array_append(session->in, buf + used, (guint)((size_t)size - used));
    }
    run_dispatcher();
}

/* Forget everything about the last client. */
static void reset_session(QmpSession *session)
{
    GQueue old = G_QUEUE_INIT;

    json_stream_reset(&session->stream);
    g_byte_array_set_size(session->in, 0);
    close_fds(session->fds);
    session->fds = g_array_new(false, false, sizeof(int));
    g_mutex_lock(&session->mon.lock);
    while (session->requests.length) {
        g_queue_push_tail(&old, g_queue_pop_head(&session->requests));
    }
    session->generation++;
    session->negotiated = false;
    session->oob = false;
    g_mutex_unlock(&session->mon.lock);
    g_queue_clear_full(&old, request_free);
    monitor_drop_output(&session->mon);
}

static void session_event(void *opaque, CharEvent event)
{
    QmpSession *session = opaque;

    if (event == CHAR_EVENT_CLOSED) {
        monitor_set_open(&session->mon, false);
        reset_session(session);
    } else if (event == CHAR_EVENT_OPENED && !session_is_open(session)) {
        reset_session(session);
        monitor_set_open(&session->mon, true);
        send_greeting(session);
    }
}

static bool session_backend_changed(void *opaque)
{
    QmpSession *session = opaque;

    char_frontend_set_handlers(&session->mon.fe, &frontend_ops, session,
                               session->on_thread ? monitor_thread_loop(NULL) : NULL);
    return true;
}

static const CharFrontendOps frontend_ops = {
    .can_read = session_can_read,
    .read = session_read,
    .event = session_event,
    .backend_changed = session_backend_changed,
};

static void session_resume(Monitor *mon)
{
    QmpSession *session = (QmpSession *)mon;

    dispatcher_add(session);
    loop_bh_schedule(session->parse_bh);
}

static void session_free(Monitor *mon)
{
    QmpSession *session = (QmpSession *)mon;

    reset_session(session);
    g_mutex_lock(&dispatcher.lock);
    if (session->ready) {
        g_queue_unlink(&dispatcher.ready, &session->ready_link);
    }
    g_mutex_unlock(&dispatcher.lock);
    loop_bh_free(session->parse_bh);
    loop_bh_free(session->move_bh);
    monitor_teardown(mon);
    json_stream_clear(&session->stream);
    g_byte_array_unref(session->in);
    close_fds(session->fds);
    g_free(session);
}

static const MonitorOps session_ops = {
    .resume = session_resume,
    .free = session_free,
};

Monitor *qmp_session_new(Chardev *chr, bool pretty, GError **error)
{
    QmpSession *session = g_new0(QmpSession, 1);

    if (!monitor_setup(&session->mon, pretty ? MONITOR_QMP_PRETTY : MONITOR_QMP, &session_ops, chr,
                       error)) {
        g_free(session);
        return NULL;
    }
    if (!dispatcher.bh) {
        dispatcher.bh = loop_bh_new(loop_main(), dispatch, NULL);
    }
    json_stream_init(&session->stream);
    session->in = g_byte_array_new();
    session->fds = g_array_new(false, false, sizeof(int));
    session->ready_link.data = session;
    session->parse_bh = loop_bh_new(loop_main(), parse_input, session);
    session->move_bh = loop_bh_new(loop_main(), move_to_thread, session);
    char_frontend_set_handlers(&session->mon.fe, &frontend_ops, session, NULL);
    return &session->mon;
}
