/* SPDX-License-Identifier: Apache-2.0 */
/*
 * QMP sessions over a socket: protocol, order, out of band, events, descriptors, hostile clients.
 */
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "monitor/tests/harness.h"
#include "qapi/keyval.h"
#include "qapi/qapi-events-misc.h"
#include "qapi/qapi-events-run-state.h"
#include "util/fd-store.h"
#include "util/timer.h"
#include "util/vm-lock.h"

static void test_greeting(void)
{
    Client *client = client_new(MONITOR_QMP);
    json_object *greeting = client_json(client), *qmp, *version, *level;

    g_assert_true(json_object_object_get_ex(greeting, "QMP", &qmp));
    g_assert_true(json_object_object_get_ex(qmp, "version", &version));
    level = json_object_object_get(version, "qemu");
    g_assert_cmpint(json_object_get_int(json_object_object_get(level, "major")), ==, 7);
    g_assert_cmpint(json_object_get_int(json_object_object_get(level, "minor")), ==, 2);
    g_assert_cmpstr(json_object_to_json_string_ext(json_object_object_get(qmp, "capabilities"),
                                                   JSON_C_TO_STRING_PLAIN), ==, "[\"oob\"]");
    json_object_put(greeting);
    client_send(client, "{\"execute\": \"query-version\"}");
    client_expect(client, "*CommandNotFound*qmp_capabilities*");
    client_send(client, "{\"execute\": \"qmp_capabilities\", \"id\": 1}");
    client_expect(client, "{\"return\":{},\"id\":1}");
    client_send(client, "{\"execute\": \"qmp_capabilities\"}");
    client_expect(client, "*CommandNotFound*");
    client_send(client, "{\"execute\": \"query-version\"}");
    client_expect(client, "{\"return\":{\"qemu\":{\"major\":7,*");
    client_send(client, "{\"exec-oob\": \"query-version\"}");
    client_expect(client, "*exec-oob*not enabled*");
    client_free(client);
}

static void test_capabilities(void)
{
    Client *client = client_new(MONITOR_QMP);

    client_expect(client, "*QMP*");
    client_send(client, "{'execute': 'qmp_capabilities', 'arguments': {'enable': ['x']}}");
    client_expect(client, "*'x'*'oob'*");
    client_send(client, "{'execute': 'qmp_capabilities', 'arguments': {'enabel': []}}");
    client_expect(client, "*enabel*did you mean 'enable'*");
    client_send(client, "{'execute': 'qmp_capabilities', 'arguments': {'enable': []}}");
    client_expect(client, "{\"return\":{}}");
    client_free(client);
}

/* Many requests in one write, more than the queue holds: all answered, in order. */
static void test_pipelining(void)
{
    Client *client = client_new(MONITOR_QMP);
    g_autoptr(GString) text = g_string_new(NULL);

    client_negotiate(client, false);
    for (int i = 0; i < 1000; i++) {
        g_string_append_printf(text, "{'execute': 'test-echo', 'arguments': {'n': %d}, 'id': %d}",
                               i, i);
    }
    client_send(client, text->str);
    for (int i = 0; i < 1000; i++) {
        g_autofree char *expected = g_strdup_printf("{\"return\":{\"n\":%d},\"id\":%d}", i, i);

        client_expect(client, expected);
    }
    client_free(client);
}

/* A byte at a time. */
static void test_dribble(void)
{
    static const char request[] =
        "{\"execute\": \"test-echo\", \"arguments\": {\"\\u00fc\": -1.5e3}}";
    Client *client = client_new(MONITOR_QMP);

    client_negotiate(client, false);
    for (size_t i = 0; i + 1 < sizeof(request); i++) {
        client_send_bytes(client, request + i, 1);
        loop_iterate(loop_main(), false);
    }
    client_expect(client, "{\"return\":{\"*\":-1*");
    client_free(client);
}

static void test_several(void)
{
    Client *a = client_new(MONITOR_QMP), *b = client_new(MONITOR_QMP_PRETTY);
    Client *c = client_new(MONITOR_QMP);
    g_autofree char *pretty = client_until(b, "}\r\n");

    client_negotiate(a, false);
    g_assert_nonnull(strchr(strchr(pretty, '\n') + 1, '\n'));
    client_send(b, "{'execute': 'qmp_capabilities'}");
    g_free(g_steal_pointer(&pretty));
    pretty = client_until(b, "}\r\n");
    client_expect(c, "*QMP*");
    client_send(a, "{'execute': 'test-event'}");
    client_expect(a, "{\"timestamp\":{\"seconds\":*,\"microseconds\":*},\"event\":\"STOP\"}");
    client_expect(a, "{\"return\":{}}");
    g_free(g_steal_pointer(&pretty));
    pretty = client_until(b, "}\r\n");
    g_assert_nonnull(strstr(pretty, "STOP"));
    client_expect_silence(c); /* has not negotiated */
    client_free(a);
    client_free(b);
    client_free(c);
}

/* A command that turns the loop does not let a second one start. */
static void test_no_reentry(void)
{
    Client *a = client_new(MONITOR_QMP), *b = client_new(MONITOR_QMP);

    client_negotiate(a, false);
    client_negotiate(b, false);
    client_send(a, "{'execute': 'test-slow'}{'execute': 'test-echo', 'id': 1}");
    client_send(b, "{'execute': 'test-echo', 'id': 2}");
    client_expect(a, "{\"return\":{}}");
    client_expect(a, "*\"id\":1}");
    client_expect(b, "*\"id\":2}");
    client_free(a);
    client_free(b);
}

/* exec-oob overtakes what blocks the main thread. */
static void test_oob(void)
{
    Client *client = client_new(MONITOR_QMP);

    client_negotiate(client, true);
    client_send(client, "{'exec-oob': 'query-version', 'id': 1}");
    client_expect(client, "*\"package\":\"vireo-*\"id\":1}");
    for (int i = 0; i < 20; i++) {
        loop_iterate(loop_main(), false); /* the session moves to the monitor thread */
    }
    client_send(client, "{'execute': 'test-block', 'id': 'b'}{'execute': 'test-echo', 'id': 'e'}"
                        "{'exec-oob': 'test-wake', 'id': 'w'}");
    client_expect(client, "{\"return\":{},\"id\":\"w\"}");
    client_expect(client, "{\"return\":{},\"id\":\"b\"}");
    client_expect(client, "{\"return\":{},\"id\":\"e\"}");
    client_send(client, "{'exec-oob': 'test-echo', 'id': 1}");
    client_expect(client, "*does not support OOB*");
    client_send(client, "{'exec-oob': 'nonsense', 'id': 1}");
    client_expect(client, "*CommandNotFound*");
    client_free(client);
}

static void test_errors(void)
{
    static const struct {
        const char *text, *expected;
    } cases[] = {
        { "{'execute': 'test-fail'}", "*DeviceNotActive*as asked*" },
        { "{'execute': 'test-ehco'}", "*CommandNotFound*did you mean 'test-echo'*" },
        { "{'execute': 'test-echo', 'arguments': 1}", "*'arguments' must be an object*" },
        { "[]", "*must be a JSON object*" },
        { "5 ", "*must be a JSON object*" },
        { "null ", "*must be a JSON object*" },
        { "}\n", "*JSON parse error*" },
        { "hello\n", "*JSON parse error*" },
        { "{'a' 'b'}\n", "*JSON parse error*" },
        { "{\"execute\": \"\xc3\x28\"}\n", "*invalid*" },
        { "{\"execute\": \"\xed\xa0\x80\"}\n", "*invalid UTF-8*" },
        { "{\"execute\": \"x\xff\n", "*0xff*" },
        { "{\"forgotten\n", "*control character*" },
        { "{'a\\\n", "*control character*" },
    };
    Client *client = client_new(MONITOR_QMP);

    client_negotiate(client, false);
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        client_send(client, cases[i].text);
        client_expect(client, cases[i].expected);
        client_send(client, "{'execute': 'test-echo', 'id': 'alive'}");
        client_expect(client, "*alive*");
    }
    client_send_bytes(client, "{\"a\0b\": 1}\n", 11);
    client_expect(client, "*NUL byte*");
    client_send(client, "{'execute': 'test-echo', 'id': 'alive'}");
    client_expect(client, "*alive*");
    client_free(client);
}

static void test_huge(void)
{
    static const size_t ten_mib = 10 << 20;
    g_autofree char *filler = g_strnfill(ten_mib, 'x');
    Client *client = client_new(MONITOR_QMP);

    client_negotiate(client, false);
    client_send(client, "{\"execute\": \"");
    client_send_bytes(client, filler, ten_mib);
    client_send(client, "\"}\n{'execute': 'test-echo', 'id': 1}");
    client_expect(client, "*too long*");
    client_expect(client, "*\"id\":1}");
    memset(filler, '[', ten_mib);
    client_send_bytes(client, filler, ten_mib);
    client_send(client, "\n{'execute': 'test-echo', 'id': 2}");
    client_expect(client, "*nesting*");
    client_expect(client, "*\"id\":2}");
    memset(filler, ' ', ten_mib);
    client_send_bytes(client, filler, ten_mib);
    client_send(client, "{'execute': 'test-echo', 'id': 3}");
    client_expect(client, "*\"id\":3}");
    client_free(client);
}

/* Half a message, then gone; the next client on the same socket starts afresh. */
static void test_half_message(void)
{
    Client *client = client_new(MONITOR_QMP);

    client_negotiate(client, false);
    client_send(client, "{\"execute\": \"test-ec");
    client_free(client);
    for (int i = 0; i < 20; i++) {
        loop_iterate(loop_main(), false);
    }
}

/* A client that asks and does not read is not served without end. */
static void test_flow_control(void)
{
    Client *client = client_new(MONITOR_QMP);
    int before = test_runs, n = 40;

    client_negotiate(client, false);
    for (int i = 0; i < n; i++) {
        send(client->fd, "{'execute': 'test-big'}", 23, MSG_NOSIGNAL);
    }
    for (int i = 0; i < 2000; i++) {
        loop_iterate(loop_main(), false);
    }
    g_assert_cmpint(test_runs - before, <, 8);
    for (int i = 0; i < n; i++) {
        g_autofree char *line = client_line(client);

        g_assert_cmpint(strlen(line), >, 1 << 20);
    }
    g_assert_cmpint(test_runs - before, ==, n);
    client_free(client);
}

/* Events for a client that does not read: it is dropped before they fill memory. */
static void test_event_flood(void)
{
    Client *client = client_new(MONITOR_QMP);

    client_negotiate(client, false);
    for (int i = 0; i < 150000; i++) {
        qapi_event_send_stop();
    }
    for (int i = 0; i < 1000 && !client->closed; i++) {
        char buf[65536];

        loop_iterate(loop_main(), false);
        client->closed = recv(client->fd, buf, sizeof(buf), 0) == 0;
    }
    g_assert_true(client->closed);
    client_free(client);
}

static void test_rate_limit(void)
{
    Client *client = client_new(MONITOR_QMP);
    int64_t start;

    client_negotiate(client, false);
    start = vm_clock_ns(VM_CLOCK_REALTIME);
    for (int i = 0; i < 1000; i++) {
        qapi_event_send_rtc_change(i, "/machine/rtc");
        qapi_event_send_vserport_change("a", i & 1);
        qapi_event_send_vserport_change("b", i & 1);
    }
    client_expect(client, "*RTC_CHANGE*\"offset\":0,*");
    client_expect(client, "*VSERPORT_CHANGE*\"id\":\"a\",\"open\":false*");
    client_expect(client, "*VSERPORT_CHANGE*\"id\":\"b\",\"open\":false*");
    client_expect_silence(client);
    for (int i = 0; i < 3; i++) {
        json_object *event = client_json(client);
        const char *text = json_object_to_json_string_ext(event, JSON_C_TO_STRING_PLAIN);

        g_assert_true(strstr(text, "\"offset\":999") || strstr(text, "\"open\":true"));
        json_object_put(event);
    }
    g_assert_cmpint(vm_clock_ns(VM_CLOCK_REALTIME) - start, >=, NS_PER_SEC * 9 / 10);
    client_free(client);
}

static void test_fds(void)
{
    Client *client = client_new(MONITOR_QMP);
    g_autoptr(GError) error = NULL;
    int fds[2], fd;
    char byte = 0;

    client_negotiate(client, false);
    g_assert_cmpint(pipe2(fds, O_CLOEXEC), ==, 0);
    client_send(client, "{'execute': 'getfd', 'arguments': {'fdname': 'f'}}");
    client_expect(client, "*SCM_RIGHTS*");
    client_send_fd(client, "{'execute': 'getfd', 'arguments': {'fdname': '1f'}}", fds[1]);
    client_expect(client, "*digit*");
    client_send_fd(client, "{'execute': 'getfd', 'arguments': {'fdname': 'f'}}", fds[1]);
    client_expect(client, "{\"return\":{}}");
    fd = fd_store_take("f", &error);
    g_assert_no_error(error);
    g_assert_cmpint(write(fd, "x", 1), ==, 1);
    close(fd);
    g_assert_cmpint(read(fds[0], &byte, 1), ==, 1);
    client_send(client, "{'execute': 'closefd', 'arguments': {'fdname': 'f'}}");
    client_expect(client, "*no file descriptor named 'f'*");

    client_send_fd(client, "{'execute': 'add-fd', 'arguments': {'fdset-id': 7, 'opaque': 'o'}}",
                   fds[0]);
    client_expect(client, "{\"return\":{\"fdset-id\":7,\"fd\":*}}");
    client_send_fd(client, "{'execute': 'add-fd'}", fds[1]);
    client_expect(client, "{\"return\":{\"fdset-id\":0,\"fd\":*}}");
    client_send(client, "{'execute': 'query-fdsets'}");
    client_expect(client, "{\"return\":[{\"fdset-id\":0,\"fds\":[{\"fd\":*}]},"
                          "{\"fdset-id\":7,\"fds\":[{\"fd\":*,\"opaque\":\"o\"}]}]}");
    fd = fdset_open("/dev/fdset/7", O_RDONLY, &error);
    g_assert_no_error(error);
    close(fd);
    g_assert_cmpint(fdset_open("/dev/fdset/7", O_RDWR, &error), ==, -1);
    g_clear_error(&error);
    client_send(client, "{'execute': 'remove-fd', 'arguments': {'fdset-id': 7}}");
    client_expect(client, "{\"return\":{}}");
    client_send(client, "{'execute': 'remove-fd', 'arguments': {'fdset-id': 7}}");
    client_expect(client, "*no file descriptor set 7*");
    client_send(client, "{'execute': 'remove-fd', 'arguments': {'fdset-id': 0, 'fd': 999}}");
    client_expect(client, "*has no descriptor 999*");
    close(fds[0]);
    close(fds[1]);
    client_free(client);
}

static void test_schema(void)
{
    Client *client = client_new(MONITOR_QMP);

    client_negotiate(client, false);
    client_send(client, "{'execute': 'query-qmp-schema'}");
    client_expect(client, "{\"return\":[{\"name\":\"test-echo\",\"meta-type\":\"command\"}]}");
    client_send(client, "{'execute': 'query-commands'}");
    client_expect(client, "{\"return\":[{\"name\":\"add-fd\"},*");
    client_free(client);
}

int main(int argc, char **argv)
{
    int status;

    g_test_init(&argc, &argv, NULL);
    vm_lock();
    monitor_init(&test_commands);
    g_test_add_func("/monitor/qmp/greeting", test_greeting);
    g_test_add_func("/monitor/qmp/capabilities", test_capabilities);
    g_test_add_func("/monitor/qmp/pipelining", test_pipelining);
    g_test_add_func("/monitor/qmp/dribble", test_dribble);
    g_test_add_func("/monitor/qmp/several", test_several);
    g_test_add_func("/monitor/qmp/no-reentry", test_no_reentry);
    g_test_add_func("/monitor/qmp/oob", test_oob);
    g_test_add_func("/monitor/qmp/errors", test_errors);
    g_test_add_func("/monitor/qmp/huge", test_huge);
    g_test_add_func("/monitor/qmp/half-message", test_half_message);
    g_test_add_func("/monitor/qmp/flow-control", test_flow_control);
    g_test_add_func("/monitor/qmp/event-flood", test_event_flood);
    g_test_add_func("/monitor/qmp/rate-limit", test_rate_limit);
    g_test_add_func("/monitor/qmp/fds", test_fds);
    g_test_add_func("/monitor/qmp/schema", test_schema);
    status = g_test_run();
    monitor_cleanup();
    return status;
}
