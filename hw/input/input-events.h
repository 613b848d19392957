/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a person does with keyboard and pointer, on its way to the emulated device. Whoever sees the
 * person (a window, VNC, a monitor command) sends; the device that was added last and takes that
 * kind of event gets it. Keys are Linux's KEY_ codes (linux/input-event-codes.h). VM lock held.
 */
#ifndef VIREO_HW_INPUT_INPUT_EVENTS_H
#define VIREO_HW_INPUT_INPUT_EVENTS_H

#include <stdbool.h>
#include <stdint.h>

#include "util/notify.h"

typedef enum InputKinds {
    INPUT_KEYS = 1u << 0,
    INPUT_BUTTONS = 1u << 1,
    INPUT_RELATIVE = 1u << 2,
    INPUT_ABSOLUTE = 1u << 3,
} InputKinds;

typedef enum InputButton {
    INPUT_BUTTON_LEFT,
    INPUT_BUTTON_RIGHT,
    INPUT_BUTTON_MIDDLE,
    INPUT_BUTTON_SIDE,
    INPUT_BUTTON_EXTRA,
} InputButton;

#define INPUT_ABSOLUTE_MAX 0x7fff

typedef enum InputLeds {
    INPUT_LED_SCROLL = 1u << 0,
    INPUT_LED_NUM = 1u << 1,
    INPUT_LED_CAPS = 1u << 2,
} InputLeds;

/* A device's side; slots for kinds that it does not take are not called. */
typedef struct InputHandlerOps {
    const char *name;
    uint32_t kinds; /* InputKinds */
    void (*key)(void *opaque, uint16_t key, bool down); /* down again: the key repeats */
    void (*button)(void *opaque, InputButton button, bool down);
    void (*move)(void *opaque, int dx, int dy, int wheel); /* y grows downwards, wheel upwards */
    void (*place)(void *opaque, uint16_t x, uint16_t y);   /* 0..INPUT_ABSOLUTE_MAX */
    void (*sync)(void *opaque); /* all that belongs together was sent; may be NULL */
} InputHandlerOps;

/* Borrowed until removed. */
void input_handler_add(const InputHandlerOps *ops, void *opaque);
void input_handler_remove(const InputHandlerOps *ops, void *opaque);

/* The senders' side. Events that no device takes are dropped. */
void input_send_key(uint16_t key, bool down);
void input_send_button(InputButton button, bool down);
void input_send_move(int dx, int dy, int wheel);
void input_send_place(uint16_t x, uint16_t y);
void input_sync(void);
/* Is there a device for this kind? */
bool input_takes(InputKinds kind);

/*
 * The keyboard's lights: set by the device, seen by whoever shows them (data: InputLeds in a
 * uint8_t).
 */
void input_set_leds(uint8_t leds);
uint8_t input_leds(void);
NotifierList *input_led_notifiers(void);

#endif
