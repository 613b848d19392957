/* SPDX-License-Identifier: Apache-2.0 */
/* Handing a person's input to devices: see hw/input/input-events.h. */
#include "hw/input/input-events.h"

#include <glib.h>

typedef struct InputHandler {
    const InputHandlerOps *ops;
    void *opaque;
} InputHandler;

/* The machine has one person in front of it: the devices that listen, and the lights. */
static struct {
    GList *handlers; /* the last added first */
    uint8_t leds;
    NotifierList led_notifiers;
} input;

void input_handler_add(const InputHandlerOps *ops, void *opaque)
{
    InputHandler *handler = g_new(InputHandler, 1);

    *handler = (InputHandler){ .ops = ops, .opaque = opaque };
    input.handlers = g_list_prepend(input.handlers, handler);
}

void input_handler_remove(const InputHandlerOps *ops, void *opaque)
{
    for (GList *link = input.handlers; link; link = link->next) {
        InputHandler *handler = link->data;

        if (handler->ops == ops && handler->opaque == opaque) {
            input.handlers = g_list_delete_link(input.handlers, link);
            g_free(handler);
            return;
        }
    }
}

static InputHandler *find_handler(InputKinds kind)
{
    for (GList *link = input.handlers; link; link = link->next) {
        InputHandler *handler = link->data;

        if (handler->ops->kinds & kind) {
            return handler;
        }
    }
    return NULL;
}

bool input_takes(InputKinds kind)
{
    return find_handler(kind) != NULL;
}

void input_send_key(uint16_t key, bool down)
{
    InputHandler *handler = find_handler(INPUT_KEYS);

    if (handler) {
        handler->ops->key(handler->opaque, key, down);
    }
}

void input_send_button(InputButton button, bool down)
{
    InputHandler *handler = find_handler(INPUT_BUTTONS);

    if (handler) {
        handler->ops->button(handler->opaque, button, down);
    }
}

void input_send_move(int dx, int dy, int wheel)
{
    InputHandler *handler = find_handler(INPUT_RELATIVE);

    if (handler) {
        handler->ops->move(handler->opaque, dx, dy, wheel);
    }
}

void input_send_place(uint16_t x, uint16_t y)
{
    InputHandler *handler = find_handler(INPUT_ABSOLUTE);

    if (handler) {
        handler->ops->place(handler->opaque, x, y);
    }
}

void input_sync(void)
{
    for (GList *link = input.handlers; link; link = link->next) {
        InputHandler *handler = link->data;

        if (handler->ops->sync) {
            handler->ops->sync(handler->opaque);
        }
    }
}

void input_set_leds(uint8_t leds)
{
    if (input.leds != leds) {
        input.leds = leds;
        notifier_list_run(&input.led_notifiers, &input.leds);
    }
}

uint8_t input_leds(void)
{
    return input.leds;
}

NotifierList *input_led_notifiers(void)
{
    return &input.led_notifiers;
}
