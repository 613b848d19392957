/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Character devices: a byte pipe between a frontend (UART, monitor, qtest, debug console) and the
 * host (terminal, socket, file, ...).
 *
 * The backend is an object below TYPE_CHARDEV in /chardevs, made by -chardev, chardev-add or a
 * short form such as "stdio" or "tcp::4444,server=on". A frontend attaches with a CharFrontend
 * inside its own struct. One frontend per chardev, except a mux, which takes several and switches
 * focus with Ctrl-a c.
 *
 * All on the main loop with the VM lock held, but for chardev_write and chardev_frontend_write,
 * which are any-thread.
 */
#ifndef VIREO_CHARDEV_CHARDEV_H
#define VIREO_CHARDEV_CHARDEV_H

#include "qom/object.h"
#include "util/loop.h"

#define TYPE_CHARDEV "chardev"

typedef struct Chardev Chardev;
typedef struct CharFrontend CharFrontend;

typedef enum CharEvent {
    CHAR_EVENT_OPENED,  /* a peer is there */
    CHAR_EVENT_CLOSED,
    CHAR_EVENT_BREAK,   /* serial break, or Ctrl-a b */
    CHAR_EVENT_MUX_IN,  /* this frontend has the mux's focus */
    CHAR_EVENT_MUX_OUT,
} CharEvent;

/* Line parameters for real serial ports; others ignore them. */
typedef struct CharSerialParams {
    int speed, data_bits, stop_bits;
    char parity; /* 'N', 'E', 'O' */
} CharSerialParams;

/* Modem lines, TIOCM_* bits. */
typedef enum CharIoctl {
    CHAR_IOCTL_SERIAL_SET_PARAMS, /* CharSerialParams */
    CHAR_IOCTL_SERIAL_SET_BREAK,  /* int */
    CHAR_IOCTL_SERIAL_GET_TIOCM,  /* int, TIOCM_* */
    CHAR_IOCTL_SERIAL_SET_TIOCM,
    CHAR_IOCTL_PP_READ_DATA, CHAR_IOCTL_PP_WRITE_DATA,     /* uint8_t */
    CHAR_IOCTL_PP_READ_CONTROL, CHAR_IOCTL_PP_WRITE_CONTROL,
    CHAR_IOCTL_PP_READ_STATUS,
} CharIoctl;

typedef struct CharFrontendOps {
    /* How many bytes the frontend can take now; 0 stops reading until chardev_accept_input(). */
    int (*can_read)(void *opaque);
    void (*read)(void *opaque, const uint8_t *buf, int size);
    void (*event)(void *opaque, CharEvent event); /* may be NULL */
    /*
     * The backend was replaced (chardev-change): re-read parameters. May be NULL: change refused.
     */
    bool (*backend_changed)(void *opaque);
    /*
     * Hear of a peer's going at once, also while can_read() says 0: a few KiB are then read ahead
     * by backends whose peers can go.
     */
    bool read_ahead;
} CharFrontendOps;

struct CharFrontend {
    Chardev *chr; /* NULL: not connected: writes vanish, nothing is read */
    const CharFrontendOps *ops;
    void *opaque;
    Loop *loop;
    int mux_tag;
    bool opened;
    bool closed; /* see char_frontend_set_open() */
};

/* Fails if the chardev has its frontend already (names it). */
bool char_frontend_attach(CharFrontend *fe, Chardev *chr, GError **error);
void char_frontend_detach(CharFrontend *fe);
/* Start delivering to ops. loop NULL: the main loop. If a peer is there already, OPENED follows. */
void char_frontend_set_handlers(CharFrontend *fe, const CharFrontendOps *ops, void *opaque,
                                Loop *loop);
/* Bytes taken (0..len; short when the host side is full) or -errno. Any thread. */
int char_frontend_write(CharFrontend *fe, const uint8_t *buf, int len);
/*
 * Write all of it. Waits for terminals and files; for others what does not fit is queued, and a
 * peer that lets 16 MiB pile up is disconnected.
 */
int char_frontend_write_all(CharFrontend *fe, const uint8_t *buf, int len);
int char_frontend_printf(CharFrontend *fe, const char *fmt, ...) G_GNUC_PRINTF(2, 3);
/* Call fn once when writing is possible again; returns a tag for cancel, 0 if not supported. */
unsigned char_frontend_watch_writable(CharFrontend *fe, LoopFn *fn, void *opaque);
void char_frontend_unwatch(CharFrontend *fe, unsigned tag);
/* can_read() grew. */
void char_frontend_accept_input(CharFrontend *fe);
/* 0 or -errno (-ENOTSUP). */
int char_frontend_ioctl(CharFrontend *fe, CharIoctl cmd, void *arg);
void char_frontend_set_echo(CharFrontend *fe, bool echo);
void char_frontend_take_focus(CharFrontend *fe);
/* Does the guest listen, as far as the frontend can know? For query-chardev. At first: yes. */
void char_frontend_set_open(CharFrontend *fe, bool open);
/* Close the peer's connection (hostile or done). */
void char_frontend_disconnect(CharFrontend *fe);
/*
 * Wait until somebody is at the other end: blocks, and with it the whole machine. Before handlers
 * are set. Backends that cannot wait are there or not.
 */
bool char_frontend_wait_connected(CharFrontend *fe, GError **error);
/*
 * The descriptor of the connection, for a frontend that exchanges messages over it by itself and
 * reads from its ops only what nobody asked for. Borrowed until CLOSED. -1: there is none, or it is
 * no plain socket.
 */
int char_frontend_socket(CharFrontend *fe);
/* fds that came with the last read (SCM_RIGHTS): the caller's; number returned. */
int char_frontend_get_fds(CharFrontend *fe, int *fds, int max);

/* By id; error names what there is. Borrowed. */
Chardev *chardev_find(const char *id, GError **error);
const char *chardev_id(const Chardev *chr);
/* The backend's description as query-chardev's "filename". The caller's. */
char *chardev_filename(Chardev *chr);
/*
 * The text of a -chardev option as an object: keyval with the implied key "backend", and the old
 * words without a value ("server,nowait"). A lone "help" sets *help.
 */
json_object *chardev_parse_options(const char *text, bool *help, GError **error);
/*
 * {"backend": "socket", "id": ..., ...}; strings are parsed. Borrowed: it lives in
 * /chardevs/<id>.
 */
Chardev *chardev_new_from_options(json_object *options, GError **error);
/*
 * Short forms of -serial, -monitor, -qmp ...: "stdio", "unix:/p,server=on", "none", "chardev:ID".
 * NULL without error for "none". Made with the given id. With "mon:" before it, it is a mux, and a
 * terminal's Ctrl-C goes to the guest; attaching the monitor is the caller's affair.
 */
Chardev *chardev_new_from_short(const char *id, const char *text, GError **error);
bool chardev_remove(const char *id, GError **error);
/*
 * Replace what id is connected to, under its frontend's feet. The old one stays if anything
 * fails.
 */
Chardev *chardev_change(const char *id, json_object *options, GError **error);
/* For "-chardev help" and "-chardev X,help". */
char *chardev_backends_help(void);
char *chardev_backend_help(const char *backend, GError **error);
/* -echr: the character that starts a mux's commands. */
void chardev_mux_set_escape(int character);
/* What the mux's x and s do; without, x ends the process. */
typedef struct ChardevMuxHooks {
    void (*quit)(void);
    void (*save)(void);
} ChardevMuxHooks;
void chardev_mux_set_hooks(const ChardevMuxHooks *hooks);
/* Close everything, restore the terminal. At exit. */
void chardev_cleanup_all(void);

/* A property that names a chardev: a device's chardev=ID. Field: CharFrontend. */
extern const PropertyKind prop_kind_chardev;
#define PROP_CHARDEV(n, S, f, desc) { PROP_FIELD_(prop_kind_chardev, n, S, f, desc) }

#endif
