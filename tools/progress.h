/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How far long work is. On a terminal: a line on stderr with rate, bytes and the time left. Else,
 * where it was asked for (-p), percents on stdout as qemu-img's scripts know them, or JSON lines
 * (--progress=json). SIGUSR1 prints one line on stderr in any case. SIGINT and SIGTERM ask the work
 * to stop, a second one ends the process.
 *
 * Main thread. One at a time.
 */
#ifndef VIREO_TOOLS_PROGRESS_H
#define VIREO_TOOLS_PROGRESS_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

typedef enum ProgressStyle {
    PROGRESS_SILENT,  /* -q */
    PROGRESS_AUTO,    /* only on a terminal */
    PROGRESS_PERCENT, /* -p */
    PROGRESS_JSON,
} ProgressStyle;

typedef struct Progress {
    const char *what;      /* "convert"; borrowed */
    ProgressStyle style;
    bool on_terminal;
    bool cancelled;
    int64_t done, total;   /* bytes; total 0: nothing to do */
    int64_t skipped;       /* of done: was there before we began */
    int64_t began_us, printed_us;
    double printed_percent;
    guint signals[3];
} Progress;

typedef enum ProgressEnd { PROGRESS_COMPLETED, PROGRESS_FAILED, PROGRESS_CANCELLED } ProgressEnd;

void progress_begin(Progress *progress, const char *what, ProgressStyle style, int64_t total);
/* So much of it need not be done. */
void progress_skip(Progress *progress, int64_t bytes);
void progress_advance(Progress *progress, int64_t bytes);
/* As BlockProgressFn, with the Progress as opaque. */
void progress_set(void *opaque, int64_t done, int64_t total);
/* Did somebody ask us to stop? */
static inline bool progress_cancelled(const Progress *progress)
{
    return progress->cancelled;
}
void progress_end(Progress *progress, ProgressEnd end);

#endif
