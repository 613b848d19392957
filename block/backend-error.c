/* SPDX-License-Identifier: Apache-2.0 */
/* What is done when a device's request fails (-drive werror=, rerror=), and other policies. */
#include <errno.h>

#include "block/backend-internal.h"
#include "qapi-events-block-core.h"

static void (*stop_vm_hook)(void); /* the run state machine, registered once from above */

void block_backend_set_stop_vm(void (*stop_vm)(void))
{
    stop_vm_hook = stop_vm;
}

void block_backend_set_write_cache(BlockBackend *blk, bool on)
{
    __atomic_store_n(&blk->write_cache, on, __ATOMIC_RELAXED);
}

bool block_backend_write_cache(BlockBackend *blk)
{
    return __atomic_load_n(&blk->write_cache, __ATOMIC_RELAXED);
}

void block_backend_set_copy_on_read(BlockBackend *blk, bool on)
{
    blk->copy_on_read = on;
}

void block_backend_set_on_error(BlockBackend *blk, BlockdevOnError on_read,
                                BlockdevOnError on_write)
{
    blk->on_read_error = on_read;
    blk->on_write_error = on_write;
}

BlockdevOnError block_backend_on_error(const BlockBackend *blk, bool is_read)
{
    return is_read ? blk->on_read_error : blk->on_write_error;
}

BlockErrorAction block_backend_error_action(BlockBackend *blk, bool is_read, int error)
{
    BlockdevOnError policy = is_read ? blk->on_read_error : blk->on_write_error;

    if (policy == BLOCKDEV_ON_ERROR_AUTO) {
        policy = is_read ? BLOCKDEV_ON_ERROR_REPORT : BLOCKDEV_ON_ERROR_ENOSPC;
    }
    switch (policy) {
    case BLOCKDEV_ON_ERROR_IGNORE:
        return BLOCK_ERROR_ACTION_IGNORE;
    case BLOCKDEV_ON_ERROR_STOP:
        return BLOCK_ERROR_ACTION_STOP;
    case BLOCKDEV_ON_ERROR_ENOSPC:
        return error == ENOSPC ? BLOCK_ERROR_ACTION_STOP : BLOCK_ERROR_ACTION_REPORT;
    default:
        return BLOCK_ERROR_ACTION_REPORT;
    }
}

/* The first error counts until the VM goes on. */
static void set_io_status(BlockBackend *blk, int error)
{
    int ok = BLOCK_DEVICE_IO_STATUS_OK;

    __atomic_compare_exchange_n(&blk->io_status, &ok,
                                error == ENOSPC ? BLOCK_DEVICE_IO_STATUS_NOSPACE
                                                : BLOCK_DEVICE_IO_STATUS_FAILED,
                                false, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
}

void block_backend_error(BlockBackend *blk, BlockErrorAction action, bool is_read, int error)
{
    BlockNode *node = block_backend_node(blk);

    /* Who hears of the event and asks then must see it. */
    if (action == BLOCK_ERROR_ACTION_STOP) {
        set_io_status(blk, error);
    }
    qapi_event_send_block_io_error(blk->name ? blk->name : "", node ? node->name : NULL,
                                   is_read ? IO_OPERATION_TYPE_READ : IO_OPERATION_TYPE_WRITE,
                                   action, blk->io_status_enabled, error == ENOSPC,
                                   g_strerror(error));
    if (action == BLOCK_ERROR_ACTION_STOP && stop_vm_hook) {
        stop_vm_hook();
    }
}

void block_backend_enable_io_status(BlockBackend *blk)
{
    blk->io_status_enabled = true;
    block_backend_reset_io_status(blk);
}

bool block_backend_io_status(BlockBackend *blk, BlockDeviceIoStatus *status)
{
    *status = (BlockDeviceIoStatus)__atomic_load_n(&blk->io_status, __ATOMIC_RELAXED);
    return blk->io_status_enabled;
}

void block_backend_reset_io_status(BlockBackend *blk)
{
    __atomic_store_n(&blk->io_status, BLOCK_DEVICE_IO_STATUS_OK, __ATOMIC_RELAXED);
}

void block_backends_go_on(void)
{
    g_autoptr(GPtrArray) list = block_backend_list();

    for (guint i = 0; i < list->len; i++) {
        block_backend_reset_io_status(g_ptr_array_index(list, i));
    }
}
