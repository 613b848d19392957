/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Human monitor: requests to a drive or node by hand, with the commands of vireo-io; for tests, and
 * for looking inside. What they print goes to the program's standard output.
 *
 * Requests of aio_read and aio_write may be in flight when the command has ended, so that a session
 * is kept until a later command finds it idle.
 */
#include <string.h>

#include "block/backend.h"
#include "block/open.h"
#include "monitor/hmp.h"
#include "system/hmp-block.h"
#include "tools/io/io.h"
#include "util/error.h"

typedef struct HmpIo {
    IoSession session; /* its backend is a reference of ours */
    const char *line;
} HmpIo;

static GQueue sessions; /* HmpIo */

static void free_idle_sessions(void)
{
    for (GList *l = sessions.head, *next; l; l = next) {
        HmpIo *io = l->data;

        next = l->next;
        if (!io->session.in_flight) {
            g_queue_delete_link(&sessions, l);
            block_backend_unref(io->session.blk);
            g_free(io);
        }
    }
}

/* One that still has requests of an earlier command; aio_flush waits for those. */
static HmpIo *find_session(const BlockBackend *blk)
{
    for (GList *l = sessions.head; l; l = l->next) {
        HmpIo *io = l->data;

        if (io->session.blk == blk) {
            return io;
        }
    }
    return NULL;
}

static HmpIo *session_new(BlockBackend *blk)
{
    HmpIo *io = g_new0(HmpIo, 1);

    io->session.blk = block_backend_ref(blk);
    io->session.requests_only = true;
    g_queue_push_tail(&sessions, io);
    return io;
}

static void run_line(void *opaque)
{
    HmpIo *io = opaque;

    io_run_line(&io->session, io->line);
}

/* A node by a backend of our own, the one of an earlier command if it is busy yet. */
static BlockBackend *backend_of_node(const char *name, GError **error)
{
    BlockNode *node = block_node_find(name);
    g_autoptr(BlockBackend) blk = NULL;

    if (!node) {
        error_setf(error, "Cannot find device='' nor node-name='%s'", name);
        return NULL;
    }
    for (GList *l = sessions.head; l; l = l->next) {
        BlockBackend *used = ((HmpIo *)l->data)->session.blk;

        if (!block_backend_name(used) && block_backend_node(used) == node) {
            return block_backend_ref(used);
        }
    }
    blk = block_backend_new(node->loop, 0, BLOCK_PERM_ALL);
    return block_backend_insert(blk, node, error) ? g_steal_pointer(&blk) : NULL;
}

static BlockBackend *find(const char *name, bool by_owner, GError **error)
{
    BlockBackend *blk = by_owner ? block_backend_find_by_owner(name) : block_backend_find(name);

    if (blk) {
        return block_backend_ref(blk);
    }
    if (by_owner) {
        error_set_code(error, VIREO_ERROR_DEVICE_NOT_FOUND, "Device '%s' not found", name);
        return NULL;
    }
    return backend_of_node(name, error);
}

/* What the commands may need, beside what it has. */
static bool take_permissions(BlockBackend *blk, GError **error)
{
    const BlockNode *node = block_backend_node(blk);
    unsigned perm, shared;

    block_backend_get_perm(blk, &perm, &shared);
    perm |= BLOCK_PERM_CONSISTENT_READ;
    if (node && !node->mode.read_only) {
        perm |= BLOCK_PERM_WRITE;
        /* Not while a job has it; then only "truncate" fails. */
        if (block_backend_set_perm(blk, perm | BLOCK_PERM_RESIZE, shared, NULL)) {
            return true;
        }
    }
    return block_backend_set_perm(blk, perm, shared, error);
}

static bool cmd_qemu_io(Hmp *hmp, const HmpValue *values, GError **error)
{
    g_autoptr(BlockBackend) blk = NULL;
    HmpIo *io;

    free_idle_sessions();
    blk = find(values[1].text, values[0].present, error);
    if (!blk || !take_permissions(blk, error)) {
        return false;
    }
    if (!block_backend_node(blk)) {
        error_setf(error, "Device '%s' has no medium", values[1].text);
        return false;
    }
    io = find_session(blk);
    if (!io) {
        io = session_new(blk);
    }
    io->line = values[2].text;
    block_run(block_backend_node(blk), run_line, io);
    io->line = NULL;
    free_idle_sessions();
    return true;
}

static const HmpCommand block_io_commands[] = {
    {
        .name = "qemu-io",
        .help = "send requests to a drive or node; or (-d) to the drive of this device",
        .args = { { "-d", HMP_FLAG }, { "device", HMP_WORD }, { "command", HMP_WORD } },
        .run = cmd_qemu_io,
    },
    { .name = NULL },
};

void hmp_block_io_register(void)
{
    hmp_add_commands(block_io_commands);
}
