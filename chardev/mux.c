/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The multiplexer: several frontends share one backend. All may write; input goes to the one that
 * has the focus. The escape character (Ctrl-a unless chardev_mux_set_escape() said otherwise)
 * followed by
 *   h ?  shows help          x  ends the program        s  saves disk data
 *   b    sends a break       c  moves the focus on      t  switches time stamps
 * and twice, it stands for itself.
 *
 * What the focused frontend cannot take at once waits in a ring of its own, so that a busy guest
 * does not keep the escape commands from being seen.
 */
#include <glib/gprintf.h>
#include <stdlib.h>
#include <string.h>

#include "chardev/backend.h"
#include "util/error.h"
#include "util/timer.h"

#define RING_SIZE 256 /* power of two */
#define CTRL_A 1

typedef struct MuxSlot {
    CharFrontend *fe; /* NULL: free */
    uint8_t ring[RING_SIZE];
    unsigned prod, cons;
} MuxSlot;

typedef struct MuxChardev {
    Chardev parent;
    CharFrontend base; /* our end of the backend */
    Chardev *base_chr; /* referenced */
    char *base_id;
    MuxSlot slots[MUX_MAX_FRONTENDS];
    int focus; /* index, or -1 */
    bool got_escape;
    bool timestamps;
    bool line_start;    /* for time stamps */
    int64_t stamps_from_ns;
} MuxChardev;

/* Process-wide by nature: -echr, and what x and s do is the program's affair. */
static int mux_escape = CTRL_A;
static const ChardevMuxHooks *mux_hooks;

void chardev_mux_set_escape(int character)
{
    mux_escape = character;
}

void chardev_mux_set_hooks(const ChardevMuxHooks *hooks)
{
    mux_hooks = hooks;
}

Chardev *chardev_base(Chardev *chr)
{
    return chr->is_mux ? ((MuxChardev *)chr)->base_chr : chr;
}

static void slot_event(MuxSlot *slot, CharEvent event)
{
    if (slot->fe && slot->fe->ops && slot->fe->ops->event) {
        slot->fe->ops->event(slot->fe->opaque, event);
    }
}

static void set_focus(MuxChardev *mux, int index)
{
    if (mux->focus == index) {
        return;
    }
    if (mux->focus >= 0) {
        slot_event(&mux->slots[mux->focus], CHAR_EVENT_MUX_OUT);
    }
    mux->focus = index;
    if (index >= 0) {
        slot_event(&mux->slots[index], CHAR_EVENT_MUX_IN);
    }
    chardev_schedule_update(mux->base_chr);
}

static void focus_next(MuxChardev *mux)
{
    for (int step = 1; step <= MUX_MAX_FRONTENDS; step++) {
        int index = (mux->focus + step) % MUX_MAX_FRONTENDS;

        if (mux->slots[index].fe && mux->slots[index].fe->ops) {
            set_focus(mux, index);
            return;
        }
    }
}

/* Output. */

static int write_stamped(MuxChardev *mux, const uint8_t *buf, int len)
{
    int done = 0;

    while (done < len) {
        const uint8_t *newline = memchr(buf + done, '\n', len - done);
        int part = newline ? newline - (buf + done) + 1 : len - done;

        if (mux->line_start) {
            int64_t ms = (vm_clock_ns(VM_CLOCK_REALTIME) - mux->stamps_from_ns) / NS_PER_MS;
            char stamp[48];
            int n = g_snprintf(stamp, sizeof(stamp), "[%02d:%02d:%02d.%03d] ",
                               (int)(ms / 3600000), (int)(ms / 60000 % 60),
                               (int)(ms / 1000 % 60), (int)(ms % 1000));

            chardev_write(mux->base_chr, (uint8_t *)stamp, n, true);
        }
        chardev_write(mux->base_chr, buf + done, part, true);
        mux->line_start = newline != NULL;
        done += part;
    }
    return len;
}

int chardev_mux_write(Chardev *chr, const uint8_t *buf, int len, bool all)
{
    MuxChardev *mux = (MuxChardev *)chr;
    int ret;

    if (!mux->base_chr) {
        return len;
    }
    if (!__atomic_load_n(&mux->timestamps, __ATOMIC_RELAXED)) {
        return chardev_write(mux->base_chr, buf, len, all);
    }
    g_mutex_lock(&chr->lock);
    ret = write_stamped(mux, buf, len);
    g_mutex_unlock(&chr->lock);
    return ret;
}

static void mux_say(MuxChardev *mux, const char *text)
{
    chardev_write(mux->base_chr, (const uint8_t *)text, strlen(text), true);
}

static const struct {
    const char *keys, *meaning;
} help_lines[] = {
    { "h, ?", "this help" },
    { "x", "end the virtual machine" },
    { "s", "write disk data to the disk images" },
    { "t", "switch time stamps on and off" },
    { "b", "send a serial break" },
    { "c", "switch between the console and the monitor" },
};

static void say_help(MuxChardev *mux)
{
    g_autoptr(GString) text = g_string_new("\r\n");
    char name[16];

    if (mux_escape > 0 && mux_escape < 32) {
        g_snprintf(name, sizeof(name), "Ctrl-%c", mux_escape - 1 + 'a');
    } else {
        g_snprintf(name, sizeof(name), "0x%02x", mux_escape);
    }
    for (size_t i = 0; i < G_N_ELEMENTS(help_lines); i++) {
        g_string_append_printf(text, "%s %-6s %s\r\n", name, help_lines[i].keys,
                               help_lines[i].meaning);
    }
    g_string_append_printf(text, "%s %-6s send %s itself\r\n", name, name, name);
    mux_say(mux, text->str);
}

/* Input. */

static void quit_program(MuxChardev *mux)
{
    mux_say(mux, "\r\nvireo: ended from the keyboard\r\n");
    if (mux_hooks && mux_hooks->quit) {
        mux_hooks->quit();
        return;
    }
    chardev_cleanup_all();
    exit(0);
}

static void run_command(MuxChardev *mux, uint8_t key)
{
    switch (key) {
    case 'h':
    case '?':
        say_help(mux);
        break;
    case 'x':
        quit_program(mux);
        break;
    case 's':
        if (mux_hooks && mux_hooks->save) {
            mux_hooks->save();
        }
        break;
    case 'b':
        if (mux->focus >= 0) {
            slot_event(&mux->slots[mux->focus], CHAR_EVENT_BREAK);
        }
        break;
    case 'c':
        focus_next(mux);
        break;
    case 't':
        g_mutex_lock(&mux->parent.lock);
        mux->line_start = false;
        mux->stamps_from_ns = vm_clock_ns(VM_CLOCK_REALTIME);
        __atomic_store_n(&mux->timestamps, !mux->timestamps, __ATOMIC_RELAXED);
        g_mutex_unlock(&mux->parent.lock);
        break;
    default:
        break;
    }
}

static bool is_command(uint8_t key)
{
    return key && strchr("h?xsbct", key);
}

static void drain(MuxSlot *slot)
{
    while (slot->prod != slot->cons && slot->fe && slot->fe->ops && slot->fe->ops->can_read) {
        unsigned start = slot->cons % RING_SIZE;
        unsigned run = MIN(slot->prod - slot->cons, RING_SIZE - start);
        int room = slot->fe->ops->can_read(slot->fe->opaque);

        run = MIN(run, (unsigned)MAX(room, 0));
        if (!run) {
            return;
        }
        slot->cons += run;
        slot->fe->ops->read(slot->fe->opaque, slot->ring + start, run);
    }
}

static void give_byte(MuxChardev *mux, uint8_t byte)
{
    MuxSlot *slot;

    if (mux->focus < 0) {
        return;
    }
    slot = &mux->slots[mux->focus];
    /* mux_can_read() promised room. */
    if (slot->prod - slot->cons < RING_SIZE) {
        slot->ring[slot->prod++ % RING_SIZE] = byte;
    }
}

static void mux_read(void *opaque, const uint8_t *buf, int size)
{
    MuxChardev *mux = opaque;

    object_ref(OBJECT(mux));
    for (int i = 0; i < size; i++) {
        if (mux->got_escape) {
            mux->got_escape = false;
            if (buf[i] != mux_escape) {
                if (is_command(buf[i])) {
                    if (mux->focus >= 0) {
                        drain(&mux->slots[mux->focus]);
                    }
                    run_command(mux, buf[i]);
                }
                continue;
            }
        } else if (buf[i] == mux_escape) {
            mux->got_escape = true;
            continue;
        }
        give_byte(mux, buf[i]);
    }
    if (mux->focus >= 0) {
        drain(&mux->slots[mux->focus]);
    }
    object_unref(OBJECT(mux));
}

static int mux_can_read(void *opaque)
{
    MuxChardev *mux = opaque;
    MuxSlot *slot;

    if (mux->focus < 0) {
        return RING_SIZE;
    }
    slot = &mux->slots[mux->focus];
    drain(slot);
    return RING_SIZE - (slot->prod - slot->cons);
}

static void mux_event(void *opaque, CharEvent event)
{
    MuxChardev *mux = opaque;

    if (event == CHAR_EVENT_BREAK) {
        if (mux->focus >= 0) {
            slot_event(&mux->slots[mux->focus], event);
        }
        return;
    }
    mux->parent.be_open = event == CHAR_EVENT_OPENED;
    for (int i = 0; i < MUX_MAX_FRONTENDS; i++) {
        if (mux->slots[i].fe) {
            mux->slots[i].fe->opened = mux->parent.be_open;
            slot_event(&mux->slots[i], event);
        }
    }
}

/*
 * A mux's place is taken in the options that its frontends hold: it cannot be replaced below
 * them.
 */
static const CharFrontendOps mux_frontend_ops = {
    .can_read = mux_can_read,
    .read = mux_read,
    .event = mux_event,
};

/* The frontends. */

bool chardev_mux_attach(Chardev *chr, CharFrontend *fe, GError **error)
{
    MuxChardev *mux = (MuxChardev *)chr;

    for (int i = 0; i < MUX_MAX_FRONTENDS; i++) {
        MuxSlot *slot = &mux->slots[i];

        if (!slot->fe) {
            slot->fe = fe;
            slot->prod = slot->cons = 0;
            fe->chr = chr;
            fe->mux_tag = i;
            fe->opened = false;
            return true;
        }
    }
    error_setf(error, "chardev '%s' has %d frontends already, which is the limit of a mux",
               chardev_id(chr), MUX_MAX_FRONTENDS);
    return false;
}

void chardev_mux_detach(Chardev *chr, CharFrontend *fe)
{
    MuxChardev *mux = (MuxChardev *)chr;

    mux->slots[fe->mux_tag].fe = NULL;
    if (mux->focus == fe->mux_tag) {
        mux->focus = -1;
        focus_next(mux);
    }
}

void chardev_mux_handlers_set(Chardev *chr, CharFrontend *fe)
{
    MuxChardev *mux = (MuxChardev *)chr;
    MuxSlot *slot = &mux->slots[fe->mux_tag];

    if (!fe->ops) {
        return;
    }
    fe->opened = chr->be_open;
    if (chr->be_open) {
        slot_event(slot, CHAR_EVENT_OPENED);
    }
    if (mux->focus < 0) {
        set_focus(mux, fe->mux_tag);
    } else if (mux->focus != fe->mux_tag) {
        slot_event(slot, CHAR_EVENT_MUX_OUT);
    }
    chardev_schedule_update(mux->base_chr);
}

void chardev_mux_take_focus(Chardev *chr, CharFrontend *fe)
{
    set_focus((MuxChardev *)chr, fe->mux_tag);
}

void chardev_mux_accept_input(Chardev *chr, CharFrontend *fe)
{
    MuxChardev *mux = (MuxChardev *)chr;

    /* Not from here: the frontend may be in the middle of handling its last byte. */
    if (mux->focus == fe->mux_tag) {
        chardev_schedule_update(chr);
    }
}

static void mux_update(Chardev *chr)
{
    MuxChardev *mux = (MuxChardev *)chr;

    if (mux->focus >= 0) {
        drain(&mux->slots[mux->focus]);
    }
    if (mux->base_chr) {
        chardev_schedule_update(mux->base_chr);
    }
}

bool chardev_mux_has_frontends(Chardev *chr)
{
    MuxChardev *mux = (MuxChardev *)chr;

    for (int i = 0; i < MUX_MAX_FRONTENDS; i++) {
        if (mux->slots[i].fe) {
            return true;
        }
    }
    return false;
}

/* The type. */

static bool mux_open(Chardev *chr, GError **error)
{
    MuxChardev *mux = (MuxChardev *)chr;
    Chardev *base;

    if (!mux->base_id) {
        error_setf(error, "chardev '%s': a mux needs chardev=ID", chardev_id(chr));
        return false;
    }
    base = chardev_find(mux->base_id, error);
    if (!base || base == chr) {
        return false;
    }
    if (base->is_mux) {
        error_setf(error, "chardev '%s': '%s' is a mux itself", chardev_id(chr), mux->base_id);
        return false;
    }
    if (!char_frontend_attach(&mux->base, base, error)) {
        return false;
    }
    mux->base_chr = base;
    object_ref(OBJECT(base));
    char_frontend_set_handlers(&mux->base, &mux_frontend_ops, mux, NULL);
    return true;
}

static const Property mux_properties[] = {
    PROP_STRING("chardev", MuxChardev, base_id, NULL, "the chardev that is shared"),
    PROP_END,
};

static void mux_init(Object *obj)
{
    MuxChardev *mux = (MuxChardev *)obj;

    mux->parent.is_mux = true;
    mux->focus = -1;
}

static void mux_finalize(Object *obj)
{
    MuxChardev *mux = (MuxChardev *)obj;

    for (int i = 0; i < MUX_MAX_FRONTENDS; i++) {
        if (mux->slots[i].fe) {
            mux->slots[i].fe->chr = NULL;
        }
    }
    char_frontend_detach(&mux->base);
    if (mux->base_chr) {
        object_unref(OBJECT(mux->base_chr));
    }
}

static const ChardevOps mux_ops = {
    .backend = "mux",
    .open = mux_open,
    .update = mux_update,
};

static const TypeInfo mux_type = {
    .name = TYPE_CHARDEV_MUX,
    .parent = TYPE_CHARDEV,
    .description = "shares one chardev between several frontends",
    .instance_size = sizeof(MuxChardev),
    .properties = mux_properties,
    .instance_init = mux_init,
    .instance_finalize = mux_finalize,
    .ops = &mux_ops,
};
QOM_TYPE(mux_type);
