/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a character backend implements. A backend is a type below TYPE_CHARDEV, named
 * "chardev-<backend>", whose properties are its -chardev options and whose ops are a ChardevOps.
 * Creation is: object_new, options set as properties, ops->open. Closing is instance_finalize.
 *
 * A chardev belongs to one loop: the main loop, or the loop that its frontend asked for.
 * Everything but ops->write happens on that loop's thread. Frontend callbacks are never called
 * with chr->lock held.
 */
#ifndef VIREO_CHARDEV_BACKEND_H
#define VIREO_CHARDEV_BACKEND_H

#include "chardev/chardev.h"

/* What a peer that does not read may pile up in our memory before it is disconnected. */
#define CHARDEV_MAX_PENDING (16u << 20)
#define CHARDEV_READ_CHUNK 4096

typedef enum ChardevFlags {
    CHARDEV_CAN_BLOCK = 1u << 0, /* write may be short for want of room; needs update() */
    /* write_all waits for room instead of queueing (files, terminals) */
    CHARDEV_PATIENT = 1u << 1,
} ChardevFlags;

typedef struct ChardevOps {
    const char *backend; /* its name for -chardev */
    const char *alias;   /* old name, or NULL */
    uint32_t flags;
    /*
     * Open the host side. Sends CHAR_EVENT_OPENED itself once a peer is there. NULL: always open.
     */
    bool (*open)(Chardev *chr, GError **error);
    /* Bytes taken, 0 when full, or -errno. Never blocks. Any thread; chr->lock is held. */
    int (*write)(Chardev *chr, const uint8_t *buf, int len);
    /* Wait a little for room to write, for CHARDEV_PATIENT. chr->lock held. */
    void (*wait_writable)(Chardev *chr);
    /*
     * Readiness changed (frontend can read; bytes pend; someone waits for room): set the watches.
     */
    void (*update)(Chardev *chr);
    /*
     * The loop is about to change: drop every watch. update() follows on the new one. NULL: none
     * held.
     */
    void (*detach_loop)(Chardev *chr);
    int (*ioctl)(Chardev *chr, CharIoctl cmd, void *arg); /* NULL: -ENOTSUP */
    void (*set_echo)(Chardev *chr, bool echo);
    void (*disconnect)(Chardev *chr);
    int (*get_fds)(Chardev *chr, int *fds, int max);
    /* Block until there is a peer. NULL: there is one, or will never be. */
    bool (*wait_connected)(Chardev *chr, GError **error);
    int (*socket)(Chardev *chr); /* as char_frontend_socket(); NULL: -1 */
    char *(*filename)(Chardev *chr); /* NULL: the backend's name */
} ChardevOps;

typedef struct ChardevWaiter {
    unsigned tag;
    LoopFn *fn;
    void *opaque;
} ChardevWaiter;

struct Chardev {
    Object parent_obj;
    const ChardevOps *ops;
    CharFrontend *fe;   /* the one frontend, or NULL; a mux keeps its own list */
    Loop *loop;
    LoopBh *update_bh;
    bool be_open;
    bool is_mux;
    GMutex lock;        /* guards what follows, and ops->write */
    GByteArray *pending;
    guint pending_done; /* bytes of pending that are written */
    bool overrun;       /* pending was full: the peer is to be dropped */
    GArray *waiters;    /* ChardevWaiter */
    unsigned last_tag;
    char *log_path;
    bool log_append;
    int log_fd;
};

/*
 * Make a chardev from {"backend": ..., options...} (strings are parsed, other JSON must fit), put
 * it at /chardevs/<name> and open it. Borrowed. "mux": true makes a second one, <name>-base,
 * below it.
 */
Chardev *chardev_create(const char *name, json_object *options, GError **error);

/* For backends and the mux. */
/* How many bytes the frontend takes now; 0 if there is none. */
int chardev_can_read(Chardev *chr);
/* Hand on at most what chardev_can_read() said. */
void chardev_deliver(Chardev *chr, const uint8_t *buf, int len);
/* Keeps be_open, and tells the frontend. */
void chardev_send_event(Chardev *chr, CharEvent event);
/* Have update() called on chr's loop soon. Any thread. */
void chardev_schedule_update(Chardev *chr);
/* There is room: write what pends, then call the waiters. On chr's loop. 0 or -errno. */
int chardev_flush(Chardev *chr);
/* Is there a reason to watch for room? */
bool chardev_wants_room(Chardev *chr);
/* Forget what pends (peer gone). */
void chardev_drop_pending(Chardev *chr);
/* As char_frontend_write(_all), for the mux. */
int chardev_write(Chardev *chr, const uint8_t *buf, int len, bool all);
unsigned chardev_add_waiter(Chardev *chr, LoopFn *fn, void *opaque);
void chardev_remove_waiter(Chardev *chr, unsigned tag);
/* Move to another loop (NULL: main). Main thread, VM lock held. */
void chardev_set_loop(Chardev *chr, Loop *loop);

/*
 * The mux (mux.c): a chardev whose input goes to one of several frontends. base is referenced.
 */
#define TYPE_CHARDEV_MUX "chardev-mux"
#define MUX_MAX_FRONTENDS 8
int chardev_mux_write(Chardev *mux, const uint8_t *buf, int len, bool all);
bool chardev_mux_attach(Chardev *mux, CharFrontend *fe, GError **error);
void chardev_mux_detach(Chardev *mux, CharFrontend *fe);
void chardev_mux_handlers_set(Chardev *mux, CharFrontend *fe);
void chardev_mux_take_focus(Chardev *mux, CharFrontend *fe);
void chardev_mux_accept_input(Chardev *mux, CharFrontend *fe);
bool chardev_mux_has_frontends(Chardev *mux);
/* The chardev that a mux stands on; chr itself if it is no mux. */
Chardev *chardev_base(Chardev *chr);

#endif
