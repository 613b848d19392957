/* SPDX-License-Identifier: Apache-2.0 */
/* A person at a character device: the line editor in front, one command at a time behind. */
#include <string.h>

#include "monitor/hmp-internal.h"
#include "monitor/internal.h"
#include "util/error.h"

/* Scripts wait for this prompt; it is the one that QEMU's users know. */
#define PROMPT "(qemu) "

struct HmpSession {
    Monitor mon;
    Readline *readline;
    LoopBh *banner_bh; /* a mux says right after opening whether we have its focus */
    int cpu;
    bool greeted;
    bool running; /* a command runs; what is typed meanwhile stays in the chardev */
};

/* Terminals in raw mode need a carriage return. */
static void session_output(HmpSession *session, const char *text)
{
    g_autoptr(GString) out = g_string_new(NULL);

    for (; *text; text++) {
        if (*text == '\n' && (out->len == 0 || out->str[out->len - 1] != '\r')) {
            g_string_append_c(out, '\r');
        }
        g_string_append_c(out, *text);
    }
    monitor_write(&session->mon, out->str, out->len, "");
}

static void on_output(const char *text, void *opaque)
{
    session_output(opaque, text);
}

static void on_line(const char *line, void *opaque)
{
    HmpSession *session = opaque;
    Hmp hmp = { .out = g_string_new(NULL), .cpu = &session->cpu,
                .history = readline_history(session->readline) };

    session->running = true;
    hmp_run(&hmp, line);
    session->running = false;
    session_output(session, hmp.out->str);
    g_string_free(hmp.out, true);
    if (!hmp.quitting) {
        readline_prompt(session->readline);
    }
}

static GPtrArray *on_complete(const char *line, size_t cursor, size_t *start, void *opaque)
{
    HmpSession *session = opaque;
    Hmp hmp = { .out = g_string_new(NULL), .cpu = &session->cpu };
    GPtrArray *words = hmp_complete(&hmp, line, cursor, start);

    g_string_free(hmp.out, true);
    return words;
}

static const ReadlineOps readline_ops = {
    .output = on_output,
    .line = on_line,
    .complete = on_complete,
};

static void greet(void *opaque)
{
    HmpSession *session = opaque;
    g_autofree char *banner = g_strdup_printf("Vireo (%s) monitor - type 'help' for help\n",
                                              monitor_package());

    loop_bh_cancel(session->banner_bh);
    session->greeted = true;
    session_output(session, banner);
    readline_prompt(session->readline);
}

static int session_can_read(void *opaque)
{
    HmpSession *session = opaque;

    return session->running || monitor_is_choked(&session->mon) ? 0 : 256;
}

static void session_read(void *opaque, const uint8_t *buf, int size)
{
    HmpSession *session = opaque;

    for (int i = 0; i < size; i++) {
        readline_byte(session->readline, buf[i]);
    }
}

static void session_event(void *opaque, CharEvent event)
{
    HmpSession *session = opaque;

    switch (event) {
    case CHAR_EVENT_OPENED:
        monitor_drop_output(&session->mon);
        monitor_set_open(&session->mon, true);
        readline_reset(session->readline);
        session->greeted = false;
        loop_bh_schedule(session->banner_bh);
        break;
    case CHAR_EVENT_CLOSED:
        monitor_set_open(&session->mon, false);
        monitor_drop_output(&session->mon);
        loop_bh_cancel(session->banner_bh);
        break;
    case CHAR_EVENT_MUX_OUT:
        loop_bh_cancel(session->banner_bh);
        break;
    case CHAR_EVENT_MUX_IN:
        if (!session->greeted) {
            loop_bh_cancel(session->banner_bh);
            greet(session);
        } else {
            readline_prompt(session->readline);
        }
        break;
    default:
        break;
    }
}

static const CharFrontendOps frontend_ops;

static bool session_backend_changed(void *opaque)
{
    HmpSession *session = opaque;

    char_frontend_set_handlers(&session->mon.fe, &frontend_ops, session, NULL);
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
    char_frontend_accept_input(&mon->fe);
}

static void session_free(Monitor *mon)
{
    HmpSession *session = (HmpSession *)mon;

    loop_bh_free(session->banner_bh);
    monitor_teardown(mon);
    readline_free(session->readline);
    g_free(session);
}

static const MonitorOps session_ops = {
    .resume = session_resume,
    .free = session_free,
};

Monitor *hmp_session_new(Chardev *chr, GError **error)
{
    HmpSession *session = g_new0(HmpSession, 1);

    if (!monitor_setup(&session->mon, MONITOR_HMP, &session_ops, chr, error)) {
        g_free(session);
        return NULL;
    }
    session->readline = readline_new(PROMPT, &readline_ops, session);
    session->banner_bh = loop_bh_new(loop_main(), greet, session);
    char_frontend_set_handlers(&session->mon.fe, &frontend_ops, session, NULL);
    char_frontend_set_echo(&session->mon.fe, false);
    return &session->mon;
}

char *monitor_run_line(const char *line, int cpu_index, GError **error)
{
    int cpu = cpu_index;
    Hmp hmp = { .out = g_string_new(NULL), .cpu = &cpu };
    const HmpMachine *machine = hmp_machine();

    if (cpu_index < 0 || (cpu_index > 0 && machine->n_cpus &&
                          (unsigned)cpu_index >= machine->n_cpus())) {
        error_setf(error, "There is no CPU %d", cpu_index);
        g_string_free(hmp.out, true);
        return NULL;
    }
    hmp_run(&hmp, line);
    return g_string_free(hmp.out, false);
}
