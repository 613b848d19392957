/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The test's end of the qtest protocol and of QMP: both are stream sockets on which the child
 * connects to us. Everything is blocking with a time limit, so that a hung device fails a test
 * instead of stalling it.
 */
#include "tests/qtest/libqtest.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define TIMEOUT_MS 60000
#define EVENT_TIMEOUT_MS 10000
#define STOP_TIMEOUT_MS 20000
#define MAX_IRQS 1024
#define CHUNK 65536
#define BASE_ARGUMENTS "-accel qtest -display none -nodefaults"

typedef struct Stream {
    int fd;
    GString *input;
} Stream;

struct QTest {
    pid_t pid;
    Stream qtest, qmp;
    GQueue events; /* json_object * */
    bool level[MAX_IRQS];
    unsigned rises[MAX_IRQS];
};

/* ---- streams ---- */

static void stream_write(Stream *stream, const char *data, size_t size)
{
    while (size) {
        ssize_t n = send(stream->fd, data, size, MSG_NOSIGNAL);

        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            g_error("the machine does not listen: %s", g_strerror(errno));
        }
        data += n;
        size -= n;
    }
}

/* The next line, without its end; NULL if none came in time. The caller's. */
static char *stream_read_line(Stream *stream, int timeout_ms)
{
    for (;;) {
        char *newline = memchr(stream->input->str, '\n', stream->input->len);
        struct pollfd poll_fd = { .fd = stream->fd, .events = POLLIN };
        char buf[16384];
        ssize_t n;
        int ready;

        if (newline) {
            size_t len = newline - stream->input->str;
            char *line = g_strndup(stream->input->str, len);

            g_string_erase(stream->input, 0, len + 1);
            g_strchomp(line);
            return line;
        }
        ready = poll(&poll_fd, 1, timeout_ms);
        if (ready == 0) {
            return NULL;
        }
        n = ready < 0 ? -1 : recv(stream->fd, buf, sizeof(buf), 0);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            g_error("the machine closed the connection%s%s", n < 0 ? ": " : "",
                    n < 0 ? g_strerror(errno) : "");
        }
        g_string_append_len(stream->input, buf, n);
    }
}

static void stream_close(Stream *stream)
{
    close(stream->fd);
    g_string_free(stream->input, TRUE);
}

/* ---- start and stop ---- */

static int listen_on(const char *path)
{
    struct sockaddr_un addr = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    g_strlcpy(addr.sun_path, path, sizeof(addr.sun_path));
    g_assert_cmpint(fd, >=, 0);
    g_assert_cmpint(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), ==, 0);
    g_assert_cmpint(listen(fd, 1), ==, 0);
    return fd;
}

/* -1 if the child did not come (it has exited, or time is over). */
static int accept_from(int listener, pid_t pid)
{
    for (int waited = 0; waited < TIMEOUT_MS; waited += 100) {
        struct pollfd poll_fd = { .fd = listener, .events = POLLIN };

        if (poll(&poll_fd, 1, 100) > 0) {
            return accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        }
        if (waitid(P_PID, pid, &(siginfo_t) { 0 }, WEXITED | WNOHANG | WNOWAIT) == 0) {
            siginfo_t info = { 0 };

            waitid(P_PID, pid, &info, WEXITED | WNOHANG | WNOWAIT);
            if (info.si_pid == pid) {
                return -1;
            }
        }
    }
    return -1;
}

static const char *program(void)
{
    const char *path = g_getenv("VIREO");

    if (!path) {
        g_error("set VIREO to the program to test");
    }
    return path;
}

static pid_t spawn(const char *arguments, int stderr_fd)
{
    g_auto(GStrv) argv = NULL;
    g_autoptr(GError) error = NULL;
    g_autofree char *command = g_strdup_printf("vireo %s", arguments);
    pid_t pid;

    if (!g_shell_parse_argv(command, NULL, &argv, &error)) {
        g_error("%s: %s", command, error->message);
    }
    g_free(argv[0]);
    argv[0] = g_strdup(program());
    fflush(NULL);
    pid = fork();
    g_assert_cmpint(pid, >=, 0);
    if (pid == 0) {
        /* The child goes when the test goes, however that ends. stdout carries TAP. */
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        dup2(stderr_fd >= 0 ? stderr_fd : STDERR_FILENO, STDOUT_FILENO);
        if (stderr_fd >= 0) {
            dup2(stderr_fd, STDERR_FILENO);
        }
        execv(argv[0], argv);
        perror(argv[0]);
        _exit(127);
    }
    return pid;
}

static void greet_qmp(QTest *qts)
{
    g_autofree char *greeting = stream_read_line(&qts->qmp, TIMEOUT_MS);

    if (!greeting || !strstr(greeting, "QMP")) {
        g_error("no QMP greeting: %s", greeting ? greeting : "silence");
    }
    json_object_put(qtest_qmp(qts, "{\"execute\": \"qmp_capabilities\"}"));
}

QTest *qtest_start(const char *fmt, ...)
{
    g_autofree char *dir = g_dir_make_tmp("vireo-qtest-XXXXXX", NULL);
    g_autofree char *qtest_path = g_build_filename(dir, "qtest", NULL);
    g_autofree char *qmp_path = g_build_filename(dir, "qmp", NULL);
    g_autofree char *more = NULL;
    g_autofree char *arguments = NULL;
    QTest *qts = g_new0(QTest, 1);
    int qtest_listener = listen_on(qtest_path), qmp_listener = listen_on(qmp_path);
    va_list args;

    va_start(args, fmt);
    more = g_strdup_vprintf(fmt, args);
    va_end(args);
    arguments = g_strdup_printf(BASE_ARGUMENTS " -qtest unix:%s -qmp unix:%s %s", qtest_path,
                                qmp_path, more);
    qts->pid = spawn(arguments, -1);
    qts->qtest = (Stream) { accept_from(qtest_listener, qts->pid), g_string_new(NULL) };
    qts->qmp = (Stream) { accept_from(qmp_listener, qts->pid), g_string_new(NULL) };
    close(qtest_listener);
    close(qmp_listener);
    unlink(qtest_path);
    unlink(qmp_path);
    rmdir(dir);
    if (qts->qtest.fd < 0 || qts->qmp.fd < 0) {
        g_error("the machine did not start: %s %s", program(), arguments);
    }
    greet_qmp(qts);
    return qts;
}

char *qtest_start_refused(const char *fmt, ...)
{
    g_autofree char *more = NULL;
    g_autofree char *arguments = NULL;
    GString *output = g_string_new(NULL);
    int pipe_fds[2], status;
    char buf[4096];
    va_list args;
    ssize_t n;
    pid_t pid;

    va_start(args, fmt);
    more = g_strdup_vprintf(fmt, args);
    va_end(args);
    arguments = g_strdup_printf(BASE_ARGUMENTS " %s", more);
    g_assert_cmpint(pipe(pipe_fds), ==, 0);
    pid = spawn(arguments, pipe_fds[1]);
    close(pipe_fds[1]);
    while ((n = read(pipe_fds[0], buf, sizeof(buf))) > 0) {
        g_string_append_len(output, buf, n);
    }
    close(pipe_fds[0]);
    g_assert_cmpint(waitpid(pid, &status, 0), ==, pid);
    g_test_message("%s", output->str);
    g_assert_true(WIFEXITED(status));
    g_assert_cmpint(WEXITSTATUS(status), ==, 1);
    return g_string_free(output, FALSE);
}

static void qtest_free(QTest *qts)
{
    json_object *event;

    stream_close(&qts->qtest);
    stream_close(&qts->qmp);
    while ((event = g_queue_pop_head(&qts->events))) {
        json_object_put(event);
    }
    g_free(qts);
}

int qtest_wait_exit(QTest *qts)
{
    pid_t pid = qts->pid;
    int status = 0;

    for (int waited = 0; waitpid(pid, &status, WNOHANG) == 0; waited += 10) {
        if (waited >= STOP_TIMEOUT_MS) {
            kill(pid, SIGKILL);
            waitpid(pid, &status, 0);
            g_error("the machine did not exit");
        }
        g_usleep(10000);
    }
    qtest_free(qts);
    if (!WIFEXITED(status)) {
        g_error("the machine died of signal %d", WTERMSIG(status));
    }
    return WEXITSTATUS(status);
}

void qtest_stop(QTest *qts)
{
    int status;

    if (!qts) {
        return;
    }
    kill(qts->pid, SIGTERM);
    status = qtest_wait_exit(qts);
    if (status != 0) {
        g_error("the machine exited with status %d", status);
    }
}

/* ---- the qtest protocol ---- */

static void note_irq(QTest *qts, const char *line)
{
    bool raise = g_str_has_prefix(line, "IRQ raise ");
    unsigned n = strtoul(strrchr(line, ' ') + 1, NULL, 10);

    g_assert_cmpuint(n, <, MAX_IRQS);
    qts->rises[n] += raise && !qts->level[n];
    qts->level[n] = raise;
}

static char *read_reply(QTest *qts)
{
    for (;;) {
        char *line = stream_read_line(&qts->qtest, TIMEOUT_MS);

        if (!line) {
            g_error("the machine does not answer");
        }
        if (!g_str_has_prefix(line, "IRQ ")) {
            return line;
        }
        note_irq(qts, line);
        g_free(line);
    }
}

static char *raw_va(QTest *qts, const char *fmt, va_list args)
{
    g_autofree char *text = g_strdup_vprintf(fmt, args);
    g_autofree char *line = g_strconcat(text, "\n", NULL);

    stream_write(&qts->qtest, line, strlen(line));
    return read_reply(qts);
}

char *qtest_raw(QTest *qts, const char *fmt, ...)
{
    va_list args;
    char *reply;

    va_start(args, fmt);
    reply = raw_va(qts, fmt, args);
    va_end(args);
    return reply;
}

/* A command that must succeed: what follows "OK ". The caller's. */
static char *command(QTest *qts, const char *fmt, ...) G_GNUC_PRINTF(2, 3);
static char *command(QTest *qts, const char *fmt, ...)
{
    g_autofree char *reply = NULL;
    va_list args;

    va_start(args, fmt);
    reply = raw_va(qts, fmt, args);
    va_end(args);
    if (!g_str_has_prefix(reply, "OK")) {
        g_error("'%s' was answered by: %s", fmt, reply);
    }
    return g_strdup(reply[2] ? reply + 3 : "");
}

static uint64_t command_value(QTest *qts, const char *name, uint64_t addr)
{
    g_autofree char *value = command(qts, "%s 0x%" PRIx64, name, addr);

    return g_ascii_strtoull(value, NULL, 0);
}

static void command_store(QTest *qts, const char *name, uint64_t addr, uint64_t value)
{
    g_free(command(qts, "%s 0x%" PRIx64 " 0x%" PRIx64, name, addr, value));
}

uint8_t qtest_inb(QTest *qts, uint16_t port)
{
    return command_value(qts, "inb", port);
}

uint16_t qtest_inw(QTest *qts, uint16_t port)
{
    return command_value(qts, "inw", port);
}

uint32_t qtest_inl(QTest *qts, uint16_t port)
{
    return command_value(qts, "inl", port);
}

void qtest_outb(QTest *qts, uint16_t port, uint8_t value)
{
    command_store(qts, "outb", port, value);
}

void qtest_outw(QTest *qts, uint16_t port, uint16_t value)
{
    command_store(qts, "outw", port, value);
}

void qtest_outl(QTest *qts, uint16_t port, uint32_t value)
{
    command_store(qts, "outl", port, value);
}

uint8_t qtest_readb(QTest *qts, uint64_t addr)
{
    return command_value(qts, "readb", addr);
}

uint16_t qtest_readw(QTest *qts, uint64_t addr)
{
    return command_value(qts, "readw", addr);
}

uint32_t qtest_readl(QTest *qts, uint64_t addr)
{
    return command_value(qts, "readl", addr);
}

uint64_t qtest_readq(QTest *qts, uint64_t addr)
{
    return command_value(qts, "readq", addr);
}

void qtest_writeb(QTest *qts, uint64_t addr, uint8_t value)
{
    command_store(qts, "writeb", addr, value);
}

void qtest_writew(QTest *qts, uint64_t addr, uint16_t value)
{
    command_store(qts, "writew", addr, value);
}

void qtest_writel(QTest *qts, uint64_t addr, uint32_t value)
{
    command_store(qts, "writel", addr, value);
}

void qtest_writeq(QTest *qts, uint64_t addr, uint64_t value)
{
    command_store(qts, "writeq", addr, value);
}

void qtest_memread(QTest *qts, uint64_t addr, void *data, size_t size)
{
    for (size_t done = 0; done < size; done += MIN(CHUNK, size - done)) {
        size_t part = MIN(CHUNK, size - done);
        g_autofree char *text = command(qts, "b64read 0x%" PRIx64 " 0x%zx", addr + done, part);
        g_autofree uint8_t *bytes = NULL;
        gsize len;

        bytes = g_base64_decode(text, &len);
        g_assert_cmpuint(len, ==, part);
        memcpy((uint8_t *)data + done, bytes, part);
    }
}

void qtest_memwrite(QTest *qts, uint64_t addr, const void *data, size_t size)
{
    for (size_t done = 0; done < size; done += MIN(CHUNK, size - done)) {
        size_t part = MIN(CHUNK, size - done);
        g_autofree char *text = g_base64_encode((const uint8_t *)data + done, part);

        g_free(command(qts, "b64write 0x%" PRIx64 " 0x%zx %s", addr + done, part, text));
    }
}

void qtest_memset(QTest *qts, uint64_t addr, uint8_t byte, size_t size)
{
    g_free(command(qts, "memset 0x%" PRIx64 " 0x%zx 0x%x", addr, size, byte));
}

int64_t qtest_clock_step(QTest *qts, int64_t ns)
{
    g_autofree char *now = command(qts, "clock_step %" PRId64, ns);

    return g_ascii_strtoll(now, NULL, 0);
}

int64_t qtest_clock_step_next(QTest *qts)
{
    g_autofree char *now = command(qts, "clock_step");

    return g_ascii_strtoll(now, NULL, 0);
}

int64_t qtest_clock_set(QTest *qts, int64_t ns)
{
    g_autofree char *now = command(qts, "clock_set %" PRId64, ns);

    return g_ascii_strtoll(now, NULL, 0);
}

void qtest_irq_intercept_in(QTest *qts, const char *path)
{
    g_free(command(qts, "irq_intercept_in %s", path));
}

void qtest_irq_intercept_out(QTest *qts, const char *path, const char *group)
{
    g_free(command(qts, "irq_intercept_out %s%s%s", path, group ? " " : "", group ? group : ""));
}

/* Interrupt messages come before the reply of what caused them; a reply brings us up to date. */
static void catch_up(QTest *qts)
{
    g_free(command(qts, "endianness"));
}

bool qtest_get_irq(QTest *qts, unsigned line)
{
    g_assert_cmpuint(line, <, MAX_IRQS);
    catch_up(qts);
    return qts->level[line];
}

unsigned qtest_irq_rises(QTest *qts, unsigned line)
{
    unsigned rises;

    g_assert_cmpuint(line, <, MAX_IRQS);
    catch_up(qts);
    rises = qts->rises[line];
    qts->rises[line] = 0;
    return rises;
}

void qtest_set_irq_in(QTest *qts, const char *path, const char *group, unsigned line, bool level)
{
    g_free(command(qts, "set_irq_in %s %s %u %d", path, group ? group : "(null)", line, level));
}

static void select_config(QTest *qts, uint8_t bus, uint8_t devfn, uint8_t offset)
{
    qtest_outl(qts, 0xcf8, 0x80000000u | bus << 16 | devfn << 8 | (offset & 0xfc));
}

uint32_t qtest_pci_read(QTest *qts, uint8_t bus, uint8_t devfn, uint8_t offset, unsigned size)
{
    uint16_t port = 0xcfc + (offset & 3);

    select_config(qts, bus, devfn, offset);
    return size == 1 ? qtest_inb(qts, port) : size == 2 ? qtest_inw(qts, port) :
                                                          qtest_inl(qts, port);
}

void qtest_pci_write(QTest *qts, uint8_t bus, uint8_t devfn, uint8_t offset, unsigned size,
                     uint32_t value)
{
    uint16_t port = 0xcfc + (offset & 3);

    select_config(qts, bus, devfn, offset);
    if (size == 1) {
        qtest_outb(qts, port, value);
    } else if (size == 2) {
        qtest_outw(qts, port, value);
    } else {
        qtest_outl(qts, port, value);
    }
}

/* ---- QMP ---- */

/* The next message, an event or a reply; NULL if none came in time. */
static json_object *read_message(QTest *qts, int timeout_ms)
{
    g_autofree char *line = stream_read_line(&qts->qmp, timeout_ms);
    json_object *message;

    if (!line) {
        return NULL;
    }
    message = json_tokener_parse(line);
    if (!message) {
        g_error("QMP says what is no JSON: %s", line);
    }
    return message;
}

static json_object *response_va(QTest *qts, const char *fmt, va_list args)
{
    g_autofree char *text = g_strdup_vprintf(fmt, args);

    stream_write(&qts->qmp, text, strlen(text));
    stream_write(&qts->qmp, "\n", 1);
    for (;;) {
        json_object *message = read_message(qts, TIMEOUT_MS);

        if (!message) {
            g_error("QMP does not answer: %s", text);
        }
        if (!json_object_object_get_ex(message, "event", NULL)) {
            return message;
        }
        g_queue_push_tail(&qts->events, message);
    }
}

json_object *qtest_qmp_response(QTest *qts, const char *fmt, ...)
{
    json_object *response;
    va_list args;

    va_start(args, fmt);
    response = response_va(qts, fmt, args);
    va_end(args);
    return response;
}

json_object *qtest_qmp(QTest *qts, const char *fmt, ...)
{
    json_object *response, *value = NULL;
    va_list args;

    va_start(args, fmt);
    response = response_va(qts, fmt, args);
    va_end(args);
    if (!json_object_object_get_ex(response, "return", &value)) {
        g_error("%s was answered by: %s", fmt, json_object_to_json_string(response));
    }
    json_object_get(value);
    json_object_put(response);
    return value;
}

char *qtest_qmp_error(QTest *qts, const char *fmt, ...)
{
    json_object *response, *error = NULL, *text = NULL;
    va_list args;
    char *result;

    va_start(args, fmt);
    response = response_va(qts, fmt, args);
    va_end(args);
    if (!json_object_object_get_ex(response, "error", &error) ||
        !json_object_object_get_ex(error, "desc", &text)) {
        g_error("%s was answered by: %s", fmt, json_object_to_json_string(response));
    }
    result = g_strdup(json_object_get_string(text));
    json_object_put(response);
    return result;
}

char *qtest_hmp(QTest *qts, const char *text)
{
    json_object *request = json_object_new_object();
    json_object *arguments = json_object_new_object();
    json_object *output;
    char *result;

    json_object_object_add(arguments, "command-line", json_object_new_string(text));
    json_object_object_add(request, "execute", json_object_new_string("human-monitor-command"));
    json_object_object_add(request, "arguments", arguments);
    output = qtest_qmp(qts, "%s", json_object_to_json_string(request));
    result = g_strdup(json_object_get_string(output));
    json_object_put(output);
    json_object_put(request);
    return result;
}

static bool is_event(json_object *message, const char *name)
{
    json_object *event = NULL;

    return json_object_object_get_ex(message, "event", &event) &&
           g_strcmp0(json_object_get_string(event), name) == 0;
}

/* Taken out of those that came; NULL if it is not among them. */
static json_object *take_event(QTest *qts, const char *name)
{
    for (GList *item = qts->events.head; item; item = item->next) {
        json_object *message = item->data;

        if (is_event(message, name)) {
            g_queue_delete_link(&qts->events, item);
            return message;
        }
    }
    return NULL;
}

json_object *qtest_qmp_event(QTest *qts, const char *name)
{
    json_object *event = take_event(qts, name);

    while (!event) {
        json_object *message = read_message(qts, EVENT_TIMEOUT_MS);

        if (!message) {
            g_error("the event %s did not come", name);
        }
        if (is_event(message, name)) {
            event = message;
        } else {
            g_queue_push_tail(&qts->events, message);
        }
    }
    return event;
}

bool qtest_qmp_has_event(QTest *qts, const char *name)
{
    json_object *event;

    /* A reply brings what was sent before it. */
    json_object_put(qtest_qmp(qts, "{\"execute\": \"query-status\"}"));
    event = take_event(qts, name);
    if (event) {
        json_object_put(event);
    }
    return event != NULL;
}

json_object *qtest_qmp_event_data(QTest *qts, const char *name)
{
    json_object *event = qtest_qmp_event(qts, name);
    json_object *data;

    g_assert_true(json_object_object_get_ex(event, "data", &data));
    json_object_get(data);
    json_object_put(event);
    return data;
}

void qtest_device_del(QTest *qts, const char *id)
{
    json_object_put(qtest_qmp(qts, "{'execute': 'device_del', 'arguments': {'id': '%s'}}", id));
}

void qtest_expect_deleted(QTest *qts, const char *id)
{
    json_object *data = qtest_qmp_event_data(qts, "DEVICE_DELETED");
    json_object *value;
    g_autofree char *path = g_strdup_printf("/machine/peripheral/%s", id);

    g_assert_true(json_object_object_get_ex(data, "device", &value));
    g_assert_cmpstr(json_object_get_string(value), ==, id);
    g_assert_true(json_object_object_get_ex(data, "path", &value));
    g_assert_cmpstr(json_object_get_string(value), ==, path);
    json_object_put(data);
}
