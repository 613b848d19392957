/* SPDX-License-Identifier: Apache-2.0 */
/* What monitor/'s files share. Private to monitor/. */
#ifndef VIREO_MONITOR_INTERNAL_H
#define VIREO_MONITOR_INTERNAL_H

#include <json-c/json.h>

#include "chardev/chardev.h"
#include "monitor/monitor.h"
#include "util/loop.h"

typedef struct QmpSession QmpSession;
typedef struct HmpSession HmpSession;

/*
 * Output is buffered here when the peer does not read. Above OUT_HIGH a monitor takes no more
 * requests until it is below OUT_LOW again. Events do not wait: a peer that has more than
 * EVENTS_MAX to read when one comes is disconnected.
 */
#define MONITOR_OUT_LOW (256u << 10)
#define MONITOR_OUT_HIGH (1u << 20)
#define MONITOR_EVENTS_MAX (8u << 20)

typedef struct MonitorOps {
    /* Output drained to OUT_LOW after it was beyond OUT_HIGH. On the frontend's loop. */
    void (*resume)(Monitor *mon);
    /* The frontend has no handlers any more, and the monitor thread has ended. */
    void (*free)(Monitor *mon);
} MonitorOps;

/* First member of a session. */
struct Monitor {
    MonitorKind kind;
    const MonitorOps *ops;
    CharFrontend fe;
    GMutex lock;         /* guards what follows */
    GByteArray *out;
    guint out_done;      /* bytes of out that are written */
    unsigned out_watch;  /* tag, or 0 */
    bool choked;         /* out went beyond OUT_HIGH and is not below OUT_LOW yet */
    bool open;           /* a peer is there */
};

bool monitor_setup(Monitor *mon, MonitorKind kind, const MonitorOps *ops, Chardev *chr,
                   GError **error);
void monitor_teardown(Monitor *mon);
/* Append text, then end, to the output and write what can be written. Any thread. */
void monitor_write(Monitor *mon, const char *text, size_t len, const char *end);
bool monitor_is_choked(Monitor *mon);
/* As monitor_write(), for what the peer did not ask for. */
void monitor_write_event(Monitor *mon, const char *text, size_t len, const char *end);
void monitor_drop_output(Monitor *mon);
void monitor_set_open(Monitor *mon, bool open);

Monitor *qmp_session_new(Chardev *chr, bool pretty, GError **error);
/* Send an event, serialised from json, if the session has come that far. Any thread. */
void qmp_session_send_event(Monitor *mon, json_object *event);

Monitor *hmp_session_new(Chardev *chr, GError **error);

/* The table given to monitor_init(). */
const QapiCommandTable *monitor_commands(void);
/* Calls fn for each monitor; no monitor is made or freed meanwhile. Any thread. */
void monitor_foreach(void (*fn)(Monitor *mon, void *opaque), void *opaque);
/* The monitor thread's loop; made at first use. */
Loop *monitor_thread_loop(GError **error);

/* The QMP session whose command runs on this thread, or NULL. */
QmpSession *qmp_session_current(void);
/*
 * A descriptor that came with the running request; the caller's. -1 with the error set if none did.
 */
int qmp_session_take_fd(GError **error);
/* qmp_capabilities: ends the negotiation. */
bool qmp_session_negotiate(QmpSession *session, bool oob, GError **error);

/* Events (events.c). */
void monitor_events_init(void);
void monitor_events_cleanup(void);

#endif
