/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PS/2 keyboard (ps2-keyboard.c) and mouse (ps2-mouse.c), as the controller at the other end of the
 * cable sees them: bytes in, bytes out. The controller embeds both. VM lock held.
 *
 * Answers to commands have a queue of their own, ahead of what the person does; when that one is
 * full, whole keystrokes or packets are dropped, never parts.
 */
#ifndef VIREO_HW_INPUT_PS2_H
#define VIREO_HW_INPUT_PS2_H

#include <stdbool.h>
#include <stdint.h>

#include "vmstate/vmstate.h"

#define PS2_EVENT_QUEUE 64
#define PS2_REPLY_QUEUE 8

typedef struct Ps2Queue {
    uint8_t events[PS2_EVENT_QUEUE];
    uint8_t event_head, event_count;
    uint8_t replies[PS2_REPLY_QUEUE];
    uint8_t reply_count;
    uint8_t last_byte; /* for RESEND */
} Ps2Queue;

/* The owner is told that a byte waits. */
typedef struct Ps2Link {
    void (*ready)(void *opaque);
    void *opaque;
} Ps2Link;

typedef struct Ps2Keyboard {
    Ps2Queue queue;
    Ps2Link link;
    bool scanning;
    uint8_t command;      /* waits for its argument, 0: none */
    uint8_t scan_set;     /* 1..3 */
    uint8_t leds, typematic;
    uint8_t modifiers;    /* Ctrl, Alt, Shift keys that are down: PrtSc and Pause depend on them */
    uint8_t key_modes[32 * 4]; /* set 3: per key code, bit 0 no repeat, bit 1 no break */
} Ps2Keyboard;

typedef struct Ps2Mouse {
    Ps2Queue queue;
    Ps2Link link;
    bool enabled, remote, wrap, scale21;
    uint8_t command;
    uint8_t resolution, sample_rate, id; /* id 0, 3 (wheel), 4 (five buttons) */
    uint8_t knock;        /* how far the sample-rate sequences got */
    uint8_t buttons, sent_buttons;
    int32_t dx, dy, dz;   /* not yet sent */
} Ps2Mouse;

extern const VmState ps2_keyboard_vmstate, ps2_mouse_vmstate;

bool ps2_queue_has_byte(const Ps2Queue *queue);
/* The next byte; 0 if there is none. */
uint8_t ps2_queue_take(Ps2Queue *queue);

void ps2_keyboard_init(Ps2Keyboard *kbd, Ps2Link link);
void ps2_keyboard_cleanup(Ps2Keyboard *kbd);
void ps2_keyboard_reset(Ps2Keyboard *kbd);
void ps2_keyboard_write(Ps2Keyboard *kbd, uint8_t byte);

void ps2_mouse_init(Ps2Mouse *mouse, Ps2Link link);
void ps2_mouse_cleanup(Ps2Mouse *mouse);
void ps2_mouse_reset(Ps2Mouse *mouse);
void ps2_mouse_write(Ps2Mouse *mouse, uint8_t byte);
/* A byte was taken: a mouse that saved up movement may have the next packet. */
void ps2_mouse_taken(Ps2Mouse *mouse);

/* For the two devices. */
void ps2_queue_clear(Ps2Queue *queue);
void ps2_queue_reply(Ps2Queue *queue, uint8_t byte);
/* All of them, or none. */
bool ps2_queue_events(Ps2Queue *queue, const uint8_t *bytes, unsigned count);
extern const VmState ps2_queue_vmstate;

/* The controller's translation of a set 2 code byte into set 1. */
uint8_t ps2_translate(uint8_t code);

#endif
