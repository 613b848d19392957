/* SPDX-License-Identifier: Apache-2.0 */
/* The other end of a monitor, for tests. */
#include "monitor/tests/harness.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "chardev/chardev.h"
#include "qapi/keyval.h"
#include "qapi/qapi-commands.h"
#include "qapi/qapi-commands-control.h"
#include "qapi/qapi-events-run-state.h"
#include "util/error.h"
#include "util/timer.h"

#define PATIENCE_NS (10 * NS_PER_SEC)

int test_runs;

/* What the generated marshalling refers to and no test calls. */
bool qmp_quit(GError **error)
{
    return true;
}

static bool test_echo(json_object *args, json_object **ret, GError **error)
{
    test_runs++;
    *ret = json_object_get(args);
    return true;
}

/* Turns the loop inside itself until an out-of-band request ran: must not start another command. */
static bool test_slow(json_object *args, json_object **ret, GError **error)
{
    int before = test_runs;

    for (int i = 0; i < 20; i++) {
        loop_iterate(loop_main(), false);
        g_usleep(1000);
    }
    g_assert_cmpint(test_runs, ==, before);
    return true;
}

/* Blocks the main thread until test-wake ran elsewhere. */
static int woken;

static bool test_block(json_object *args, json_object **ret, GError **error)
{
    int64_t end = vm_clock_ns(VM_CLOCK_REALTIME) + PATIENCE_NS;

    while (!g_atomic_int_get(&woken)) {
        g_assert_cmpint(vm_clock_ns(VM_CLOCK_REALTIME), <, end);
        g_usleep(500);
    }
    g_atomic_int_set(&woken, 0);
    return true;
}

static bool test_wake(json_object *args, json_object **ret, GError **error)
{
    if (loop_in_main_thread()) {
        error_setf(error, "only out of band, from a session with oob");
        return false;
    }
    g_atomic_int_set(&woken, 1);
    return true;
}

static bool test_fail(json_object *args, json_object **ret, GError **error)
{
    error_set_code(error, VIREO_ERROR_DEVICE_NOT_ACTIVE, "as asked");
    return false;
}

static bool test_event(json_object *args, json_object **ret, GError **error)
{
    qapi_event_send_stop();
    return true;
}

static bool test_big(json_object *args, json_object **ret, GError **error)
{
    g_autofree char *text = g_strnfill(1 << 20, 'x');

    test_runs++;
    *ret = json_object_new_string(text);
    return true;
}

static const QapiCommand commands[] = {
    { "add-fd", qmp_marshal_add_fd, 0 },
    { "closefd", qmp_marshal_closefd, 0 },
    { "getfd", qmp_marshal_getfd, 0 },
    { "human-monitor-command", qmp_marshal_human_monitor_command, 0 },
    { "qmp_capabilities", qmp_marshal_qmp_capabilities, 0 },
    { "query-commands", qmp_marshal_query_commands, QAPI_COMMAND_OOB },
    { "query-fdsets", qmp_marshal_query_fdsets, 0 },
    { "query-qmp-schema", qmp_marshal_query_qmp_schema, 0 },
    { "query-version", qmp_marshal_query_version, QAPI_COMMAND_OOB },
    { "remove-fd", qmp_marshal_remove_fd, 0 },
    { "test-big", test_big, 0 },
    { "test-block", test_block, 0 },
    { "test-echo", test_echo, 0 },
    { "test-event", test_event, 0 },
    { "test-fail", test_fail, 0 },
    { "test-slow", test_slow, 0 },
    { "test-wake", test_wake, QAPI_COMMAND_OOB },
};

const QapiCommandTable test_commands = {
    .commands = commands,
    .n_commands = G_N_ELEMENTS(commands),
    .schema_json = "[{\"name\":\"test-echo\",\"meta-type\":\"command\"}]",
};

Client *client_new(MonitorKind kind)
{
    static int serial;
    g_autofree char *options = NULL;
    g_autoptr(GError) error = NULL;
    Client *client = g_new0(Client, 1);
    json_object *parsed;
    Chardev *chr;
    int fds[2];

    g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), ==, 0);
    options = g_strdup_printf("socket,id=c%d,fd=%d", serial++, fds[0]);
    parsed = chardev_parse_options(options, NULL, &error);
    g_assert_no_error(error);
    chr = chardev_new_from_options(parsed, &error);
    g_assert_no_error(error);
    json_object_put(parsed);
    client->fd = fds[1];
    client->in = g_string_new(NULL);
    fcntl(client->fd, F_SETFL, O_NONBLOCK);
    g_assert_true(monitor_new(kind, chr, &error));
    g_assert_no_error(error);
    return client;
}

void client_free(Client *client)
{
    close(client->fd);
    g_string_free(client->in, true);
    g_free(client);
}

static void turn(void)
{
    if (!loop_iterate(loop_main(), false)) {
        g_usleep(200);
    }
}

/* True if something came. */
static bool receive(Client *client)
{
    char buf[65536];
    ssize_t n = read(client->fd, buf, sizeof(buf));

    if (n > 0) {
        g_string_append_len(client->in, buf, n);
    } else if (n == 0 || (n < 0 && errno != EAGAIN)) {
        client->closed = true;
    }
    return n > 0;
}

void client_send_bytes(Client *client, const void *bytes, size_t len)
{
    int64_t end = vm_clock_ns(VM_CLOCK_REALTIME) + PATIENCE_NS;
    size_t done = 0;

    while (done < len && !client->closed) {
        ssize_t n = send(client->fd, (const char *)bytes + done, len - done, MSG_NOSIGNAL);

        g_assert_cmpint(vm_clock_ns(VM_CLOCK_REALTIME), <, end);
        if (n > 0) {
            done += (size_t)n;
        } else if (errno != EAGAIN) {
            client->closed = true;
        } else {
            turn();
        }
    }
}

void client_send(Client *client, const char *text)
{
    client_send_bytes(client, text, strlen(text));
}

void client_send_fd(Client *client, const char *text, int fd)
{
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(sizeof(int))];
    } control = { 0 };
    struct iovec iov = { .iov_base = (void *)text, .iov_len = strlen(text) };
    struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control,
                          .msg_controllen = sizeof(control.space) };
    struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);

    cmsg->cmsg_level = SOL_SOCKET;
    cmsg->cmsg_type = SCM_RIGHTS;
    cmsg->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(cmsg), &fd, sizeof(fd));
    g_assert_cmpint(sendmsg(client->fd, &msg, 0), ==, strlen(text));
}

char *client_until(Client *client, const char *text)
{
    int64_t end = vm_clock_ns(VM_CLOCK_REALTIME) + PATIENCE_NS;
    const char *found;
    char *result;

    while (!(found = strstr(client->in->str, text))) {
        if (client->closed) {
            return NULL;
        }
        if (vm_clock_ns(VM_CLOCK_REALTIME) > end) {
            g_error("waiting for '%s' in '%s'", text, client->in->str);
        }
        if (!receive(client)) {
            turn();
        }
    }
    found += strlen(text);
    result = g_strndup(client->in->str, (gsize)(found - client->in->str));
    g_string_erase(client->in, 0, found - client->in->str);
    return result;
}

char *client_line(Client *client)
{
    return client_until(client, "\r\n");
}

json_object *client_json(Client *client)
{
    g_autofree char *line = client_line(client);
    g_autoptr(GError) error = NULL;
    json_object *json;

    g_assert_nonnull(line);
    json = json_parse_text(g_strstrip(line), &error);
    g_assert_no_error(error);
    return json;
}

void client_expect(Client *client, const char *pattern)
{
    json_object *json = client_json(client);
    const char *text = json_object_to_json_string_ext(json, JSON_C_TO_STRING_PLAIN |
                                                      JSON_C_TO_STRING_NOSLASHESCAPE);

    if (!g_pattern_match_simple(pattern, text)) {
        g_error("'%.500s' is not like '%s'", text, pattern);
    }
    json_object_put(json);
}

void client_expect_silence(Client *client)
{
    for (int i = 0; i < 50; i++) {
        turn();
        receive(client);
    }
    g_assert_cmpstr(client->in->str, ==, "");
}

void client_negotiate(Client *client, bool oob)
{
    client_expect(client, "{\"QMP\":*");
    client_send(client, oob ? "{'execute': 'qmp_capabilities', 'arguments': {'enable': ['oob']}}\n"
                            : "{'execute': 'qmp_capabilities'}\n");
    client_expect(client, "{\"return\":{}}");
}
