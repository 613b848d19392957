/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The stream that a machine's state is: QEMU's documented framing, so that its public tools can
 * read ours. All numbers are big-endian.
 *
 *   "QEVM" 32-bit version 3
 *   07h    configuration: 32-bit length, the board's name
 *   01h    section start: 32-bit section, name (8-bit length, text), 32-bit instance and version
 *   03h    section end: 32-bit section
 *   04h    a whole section: as 01h, then what its table says
 *   7eh    footer behind each of the three: 32-bit section
 *   00h    end; then 06h: 32-bit length, a description of all whole sections as JSON
 *
 * The first section is RAM (02h: another part of it, as 03h): which blocks there are, and their
 * pages, those that are zero without content. What the tables are and what belongs to them is
 * vmstate/'s affair. What a migration adds says migration/commands.h.
 *
 * A stream that comes in is hostile: each length is checked against what is left and against what
 * receives it. If loading fails, the machine is half loaded.
 */
#ifndef VIREO_MIGRATION_STREAM_H
#define VIREO_MIGRATION_STREAM_H

#include <glib.h>
#include <stdint.h>
#include <sys/types.h>

#include "vmstate/vmstate.h"

/* A stream whose end is where its source ends. */
#define STREAM_SIZE_UNKNOWN UINT64_MAX

/* Where the bytes go or come from; pos grows by what was moved. */
typedef struct StreamIo {
    int (*write)(void *opaque, int64_t pos, const void *buf, size_t len); /* all, or -errno */
    ssize_t (*read)(void *opaque, int64_t pos, void *buf, size_t len);    /* some; 0: the end */
    void *opaque;
} StreamIo;

/* One object's state. name and instance together are unique. */
typedef struct StreamSection {
    char *name;
    uint32_t instance;
    const VmState *state;
    void *object;
} StreamSection;

typedef struct MachineStream {
    const char *board;  /* both sides must have the same */
    GArray *sections;   /* StreamSection; saved and loaded in this order */
} MachineStream;

void machine_stream_init(MachineStream *stream, const char *board);
/* The next instance of this name. */
void machine_stream_add(MachineStream *stream, const char *name, const VmState *state,
                        void *object);
void machine_stream_cleanup(MachineStream *stream);

/* VM lock held, all CPUs stopped. */
bool machine_stream_save(const MachineStream *stream, const StreamIo *io, uint64_t *size,
                         GError **error);
bool machine_stream_load(const MachineStream *stream, const StreamIo *io, uint64_t size,
                         GError **error);

#endif
