/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sending RAM while it is written to: every page once, then again and again those that were written
 * since, as the dirty log tells.
 *
 * A saver belongs to one thread, and only that thread may call ram_saver_send(). It keeps the
 * blocks that there were when it was made, even if their devices go; those that come are not sent.
 */
#ifndef VIREO_MIGRATION_RAM_SAVE_H
#define VIREO_MIGRATION_RAM_SAVE_H

#include "migration/stream-internal.h"

/* Written by the saver's thread with atomic stores; anybody may read them so. */
typedef struct RamCounters {
    uint64_t total;      /* bytes of all blocks */
    uint64_t remaining;  /* bytes of the pages still to be sent, as far as is known */
    uint64_t zero_pages; /* sent without content */
    uint64_t pages;      /* sent with content */
    uint64_t syncs;      /* how often the log was read */
} RamCounters;

typedef struct RamSaver RamSaver;

/* All pages are to be sent. log: note what is written from now on. VM lock held. */
RamSaver *ram_saver_new(bool log, RamCounters *counters);
/* Ends the log. VM lock held. */
void ram_saver_free(RamSaver *saver);
/* What was written since the last time is to be sent again. VM lock held. Returns so many pages. */
uint64_t ram_saver_sync(RamSaver *saver);
/* The start of RAM's section: which blocks there are. */
void ram_saver_send_blocks(StreamOut *out);
/*
 * One part of the section with the pages that are to be sent, until about so many bytes have gone
 * out or none is left; `end`: it is the last one, and there is no bound. Returns whether pages are
 * left.
 */
bool ram_saver_send(RamSaver *saver, StreamOut *out, uint64_t bytes, bool end);

#endif
