/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Media and trays. The owner, a device model, knows whether there is a tray and whether it is open;
 * who has no tray but takes other media is told of them the same way (floppies, cards). A backend
 * without an owner takes any medium at any time.
 */
#include "block/backend-internal.h"
#include "qapi-events-block.h"

bool block_backend_is_removable(BlockBackend *blk)
{
    return !blk->ops || blk->ops->change_media;
}

bool block_backend_has_tray(BlockBackend *blk)
{
    return blk->ops && blk->ops->is_tray_open;
}

bool block_backend_tray_is_open(BlockBackend *blk)
{
    return block_backend_has_tray(blk) && blk->ops->is_tray_open(blk->owner);
}

bool block_backend_is_locked(BlockBackend *blk)
{
    return blk->ops && blk->ops->is_medium_locked && blk->ops->is_medium_locked(blk->owner);
}

void block_backend_tray_moved(BlockBackend *blk, bool open)
{
    qapi_event_send_device_tray_moved(blk->name ? blk->name : "",
                                      blk->owner_name ? blk->owner_name : "", open);
}

bool block_backend_change_media(BlockBackend *blk, bool load, GError **error)
{
    bool was_open = block_backend_tray_is_open(blk), is_open;

    if (blk->ops && blk->ops->change_media && !blk->ops->change_media(blk->owner, load, error)) {
        return false;
    }
    is_open = block_backend_tray_is_open(blk);
    if (is_open != was_open) {
        block_backend_tray_moved(blk, is_open);
    }
    return true;
}

void block_backend_eject_request(BlockBackend *blk, bool force)
{
    if (blk->ops && blk->ops->eject_request) {
        blk->ops->eject_request(blk->owner, force);
    }
}

void block_backend_set_medium_mode(BlockBackend *blk, const BlockMode *mode)
{
    blk->medium_mode = *mode;
}

void block_backend_medium_mode(BlockBackend *blk, BlockMode *mode)
{
    *mode = blk->root ? blk->root->node->mode : blk->medium_mode;
}
