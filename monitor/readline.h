/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A line editor on a byte stream: cursor keys, Emacs keys, history, completion. It knows VT100
 * escape sequences and nothing of the terminal's width.
 *
 *   Left/Right Ctrl-B/F    move            Up/Down Ctrl-P/N   history
 *   Home/End   Ctrl-A/E    ends of line    Ctrl-K/U/W         delete to end, to start, word
 *   Backspace  Del Ctrl-D  delete          Ctrl-Y             put back what was deleted
 *   Alt-B/F    Ctrl-arrows word-wise       Ctrl-L             draw again
 *   Tab        complete                    Ctrl-C             drop the line
 */
#ifndef VIREO_MONITOR_READLINE_H
#define VIREO_MONITOR_READLINE_H

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define READLINE_MAX_LINE 4096
#define READLINE_MAX_HISTORY 200

typedef struct ReadlineOps {
    void (*output)(const char *text, void *opaque);
    /* A line was entered. The editor shows no prompt until readline_prompt(). */
    void (*line)(const char *line, void *opaque);
    /*
     * What the word before the cursor may become: strings, owned by the array; *start is the word's
     * first byte in line. NULL: nothing.
     */
    GPtrArray *(*complete)(const char *line, size_t cursor, size_t *start, void *opaque);
} ReadlineOps;

typedef struct Readline Readline;

/* ops and opaque are borrowed. */
Readline *readline_new(const char *prompt, const ReadlineOps *ops, void *opaque);
void readline_free(Readline *rl);
/* Show the prompt and start a line. */
void readline_prompt(Readline *rl);
/* Forget the line, not the history (new peer). */
void readline_reset(Readline *rl);
void readline_byte(Readline *rl, uint8_t byte);
/* Oldest first; borrowed. */
const GPtrArray *readline_history(const Readline *rl);

#endif
