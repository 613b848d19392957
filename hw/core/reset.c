/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Machine reset and the notifier lists of machine-wide events. These lists are one per process,
 * as the machine is.
 */
#include "hw/core/device-internal.h"

typedef struct ResetHandler {
    ResetFn *fn;
    void *opaque;
} ResetHandler;

typedef enum MachineEvent {
    EVENT_MACHINE_DONE, EVENT_POWERDOWN, EVENT_SUSPEND, EVENT_WAKEUP, EVENT_RUN_STATE,
    EVENT_EXIT, EVENT__MAX
} MachineEvent;

static NotifierList event_lists[EVENT__MAX];

/* Made at first use; lives as long as the process. */
static GArray *reset_handlers(void)
{
    static GArray *handlers;

    if (!handlers) {
        handlers = g_array_new(FALSE, FALSE, sizeof(ResetHandler));
    }
    return handlers;
}

void reset_register(ResetFn *fn, void *opaque)
{
    ResetHandler handler = { fn, opaque };

    g_array_append_val(reset_handlers(), handler);
}

void reset_unregister(ResetFn *fn, void *opaque)
{
    GArray *handlers = reset_handlers();

    for (unsigned i = 0; i < handlers->len; i++) {
        ResetHandler *handler = &g_array_index(handlers, ResetHandler, i);

        if (handler->fn == fn && handler->opaque == opaque) {
            g_array_remove_index(handlers, i);
            return;
        }
    }
}

void reset_all_devices(void)
{
    GArray *handlers = reset_handlers();
    Bus *bus = bus_system();

    for (unsigned i = 0; i < bus->children->len; i++) {
        device_reset_tree(g_ptr_array_index(bus->children, i));
    }
    for (unsigned i = 0; i < handlers->len; i++) {
        ResetHandler handler = g_array_index(handlers, ResetHandler, i);

        handler.fn(handler.opaque);
    }
}

NotifierList *machine_done_notifiers(void) { return &event_lists[EVENT_MACHINE_DONE]; }
NotifierList *powerdown_notifiers(void) { return &event_lists[EVENT_POWERDOWN]; }
NotifierList *suspend_notifiers(void) { return &event_lists[EVENT_SUSPEND]; }
NotifierList *wakeup_notifiers(void) { return &event_lists[EVENT_WAKEUP]; }
NotifierList *run_state_notifiers(void) { return &event_lists[EVENT_RUN_STATE]; }
NotifierList *exit_notifiers(void) { return &event_lists[EVENT_EXIT]; }
