/* SPDX-License-Identifier: Apache-2.0 */
#include "block/virtio-blk.h"

#include <errno.h>
#include <linux/virtio_blk.h>
#include <string.h>

#include "util/bits.h"
#include "util/iov.h"

uint64_t virtio_blk_features(const VirtioBlk *disk)
{
    return BIT_ULL(VIRTIO_BLK_F_SEG_MAX) | BIT_ULL(VIRTIO_BLK_F_TOPOLOGY) |
           BIT_ULL(VIRTIO_BLK_F_BLK_SIZE) | BIT_ULL(VIRTIO_BLK_F_FLUSH) |
           (disk->size_max ? BIT_ULL(VIRTIO_BLK_F_SIZE_MAX) : 0) |
           (disk->cyls ? BIT_ULL(VIRTIO_BLK_F_GEOMETRY) : 0) |
           (disk->config_wce ? BIT_ULL(VIRTIO_BLK_F_CONFIG_WCE) : 0) |
           (disk->max_discard ? BIT_ULL(VIRTIO_BLK_F_DISCARD) : 0) |
           (disk->max_zeroes ? BIT_ULL(VIRTIO_BLK_F_WRITE_ZEROES) : 0) |
           (disk->n_queues > 1 ? BIT_ULL(VIRTIO_BLK_F_MQ) : 0) |
           (disk->writable ? 0 : BIT_ULL(VIRTIO_BLK_F_RO));
}

void virtio_blk_config(const VirtioBlk *disk, uint8_t *config, size_t len)
{
    uint64_t size = (uint64_t)__atomic_load_n(&disk->size, __ATOMIC_RELAXED);
    struct virtio_blk_config c = {
        .capacity = htole64(size / BLOCK_SECTOR),
        .size_max = htole32(disk->size_max),
        .seg_max = htole32(disk->queue_size - 2u),
        .geometry = {
            .cylinders = htole16(disk->cyls), .heads = disk->heads, .sectors = disk->secs,
        },
        .blk_size = htole32(disk->block_size),
        .physical_block_exp = disk->physical_exp,
        .min_io_size = htole16(disk->min_io),
        .opt_io_size = htole32(disk->opt_io),
        .wce = block_backend_write_cache(disk->blk),
        .num_queues = htole16(disk->n_queues),
        .max_discard_sectors = htole32(disk->max_discard),
        .max_discard_seg = htole32(disk->max_discard != 0),
        .discard_sector_alignment = htole32(disk->max_discard ? disk->discard_alignment : 0),
        .max_write_zeroes_sectors = htole32(disk->max_zeroes),
        .max_write_zeroes_seg = htole32(disk->max_zeroes != 0),
        .write_zeroes_may_unmap = disk->max_zeroes != 0,
    };

    memcpy(config, &c, MIN(len, sizeof(c)));
}

bool virtio_blk_set_config(const VirtioBlk *disk, uint32_t offset, const uint8_t *data,
                           uint32_t len)
{
    if (offset != offsetof(struct virtio_blk_config, wce) || len != 1 || *data > 1 ||
        !disk->config_wce) {
        return false;
    }
    block_backend_set_write_cache(disk->blk, *data);
    return true;
}

/* ---- Requests ---- */

/* The vector without its first bytes and without what is beyond len bytes. */
typedef struct Data {
    struct iovec *iov;
    unsigned n;
    size_t len;
} Data;

static Data cut(struct iovec *iov, unsigned n, size_t skip, size_t len)
{
    Data data = { iov, n, len };
    size_t left = len;

    iov_advance(&data.iov, &data.n, skip);
    for (unsigned i = 0; i < data.n; i++) {
        data.iov[i].iov_len = MIN(data.iov[i].iov_len, left);
        left -= data.iov[i].iov_len;
        if (!left) {
            data.n = i + 1;
        }
    }
    return data;
}

/* The byte range of whole blocks inside the disk; false: it is none. */
static bool range_of(const VirtioBlk *disk, uint64_t sector, uint64_t bytes, int64_t *offset)
{
    uint64_t size = (uint64_t)__atomic_load_n(&disk->size, __ATOMIC_RELAXED);

    if (sector > size / BLOCK_SECTOR || !IS_ALIGNED(bytes, disk->block_size) ||
        !IS_ALIGNED(sector * BLOCK_SECTOR, disk->block_size) ||
        !range_ok(sector * BLOCK_SECTOR, bytes, size)) {
        return false;
    }
    *offset = (int64_t)(sector * BLOCK_SECTOR);
    return true;
}

/* No command: the request ends with this. */
static void end_with(VirtioBlkCommand *command, uint8_t status)
{
    command->action = VIRTIO_BLK_NOTHING;
    *command->status = status;
}

static void decode_transfer(const VirtioBlk *disk, bool write, uint64_t sector, const Data *data,
                            VirtioBlkCommand *command)
{
    if ((write && !disk->writable) || !range_of(disk, sector, data->len, &command->offset)) {
        end_with(command, VIRTIO_BLK_S_IOERR);
        return;
    }
    if (!data->len) {
        end_with(command, VIRTIO_BLK_S_OK);
        return;
    }
    command->action = write ? VIRTIO_BLK_WRITE : VIRTIO_BLK_READ;
    command->bytes = (int64_t)data->len;
    command->vec = (BlockVec) { data->iov, data->n };
}

static void decode_range(const VirtioBlk *disk, bool zero, const Data *data,
                         VirtioBlkCommand *command)
{
    uint32_t max = zero ? disk->max_zeroes : disk->max_discard;
    struct virtio_blk_discard_write_zeroes range;
    uint32_t sectors, flags;

    if (!max || (disk->writable && data->len > sizeof(range))) {
        end_with(command, VIRTIO_BLK_S_UNSUPP);
        return;
    }
    if (!disk->writable || iov_to_buf(data->iov, data->n, 0, &range, sizeof(range)) <
                               sizeof(range)) {
        end_with(command, VIRTIO_BLK_S_IOERR);
        return;
    }
    sectors = le32toh(range.num_sectors);
    flags = le32toh(range.flags);
    if (flags & ~(zero ? VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP : 0u)) {
        end_with(command, VIRTIO_BLK_S_UNSUPP);
        return;
    }
    command->bytes = (int64_t)sectors * BLOCK_SECTOR;
    if (sectors > max ||
        !range_of(disk, le64toh(range.sector), (uint64_t)command->bytes, &command->offset)) {
        end_with(command, VIRTIO_BLK_S_IOERR);
        return;
    }
    command->action = zero ? VIRTIO_BLK_ZERO : VIRTIO_BLK_DISCARD;
    command->flags = flags ? BLOCK_REQ_MAY_UNMAP : 0;
}

static void tell_serial(const VirtioBlk *disk, const Data *in, VirtioBlkCommand *command)
{
    char id[VIRTIO_BLK_ID_BYTES] = { 0 };

    memcpy(id, disk->serial, MIN(strlen(disk->serial), sizeof(id)));
    iov_from_buf(in->iov, in->n, 0, id, MIN(sizeof(id), in->len));
    end_with(command, VIRTIO_BLK_S_OK);
}

static void decode_type(const VirtioBlk *disk, const struct virtio_blk_outhdr *header,
                        const Data *out, const Data *in, VirtioBlkCommand *command)
{
    uint64_t sector = le64toh(header->sector);

    switch (le32toh(header->type) & ~VIRTIO_BLK_T_BARRIER) {
    case VIRTIO_BLK_T_IN:
        decode_transfer(disk, false, sector, in, command);
        break;
    case VIRTIO_BLK_T_OUT:
        decode_transfer(disk, true, sector, out, command);
        break;
    case VIRTIO_BLK_T_FLUSH:
        command->action = VIRTIO_BLK_FLUSH;
        break;
    case VIRTIO_BLK_T_GET_ID:
        tell_serial(disk, in, command);
        break;
    case VIRTIO_BLK_T_DISCARD:
        decode_range(disk, false, out, command);
        break;
    case VIRTIO_BLK_T_WRITE_ZEROES:
        decode_range(disk, true, out, command);
        break;
    default:
        end_with(command, VIRTIO_BLK_S_UNSUPP);
        break;
    }
}

bool virtio_blk_decode(const VirtioBlk *disk, struct iovec *out, unsigned n_out, struct iovec *in,
                       unsigned n_in, VirtioBlkCommand *command)
{
    size_t out_len = iov_size(out, n_out), in_len = iov_size(in, n_in);
    struct virtio_blk_outhdr header;
    Data to_disk, from_disk;

    if (!in_len) {
        return false;
    }
    *command = (VirtioBlkCommand) {
        .status = (uint8_t *)in[n_in - 1].iov_base + in[n_in - 1].iov_len - 1,
    };
    if (iov_to_buf(out, n_out, 0, &header, sizeof(header)) < sizeof(header) ||
        in_len > UINT32_MAX) {
        end_with(command, VIRTIO_BLK_S_IOERR);
        command->written = 1;
        return true;
    }
    command->written = (uint32_t)in_len;
    to_disk = cut(out, n_out, sizeof(header), out_len - sizeof(header));
    from_disk = cut(in, n_in, 0, in_len - 1);
    decode_type(disk, &header, &to_disk, &from_disk, command);
    return true;
}

uint8_t virtio_blk_status(const VirtioBlkCommand *command, int ret)
{
    if (ret == -ENOTSUP) {
        /* A discard is a hint. */
        return command->action == VIRTIO_BLK_DISCARD ? VIRTIO_BLK_S_OK : VIRTIO_BLK_S_UNSUPP;
    }
    return ret >= 0 ? VIRTIO_BLK_S_OK : VIRTIO_BLK_S_IOERR;
}

static int perform(BlockBackend *blk, const VirtioBlkCommand *c)
{
    switch (c->action) {
    case VIRTIO_BLK_READ:
        return block_backend_preadv(blk, c->offset, c->bytes, &c->vec, 0);
    case VIRTIO_BLK_WRITE:
        return block_backend_pwritev(blk, c->offset, c->bytes, &c->vec, 0);
    case VIRTIO_BLK_FLUSH:
        return block_backend_flush(blk);
    case VIRTIO_BLK_DISCARD:
        return block_backend_pdiscard(blk, c->offset, c->bytes);
    default:
        return block_backend_pwrite_zeroes(blk, c->offset, c->bytes, c->flags);
    }
}

uint32_t virtio_blk_request(const VirtioBlk *disk, struct iovec *out, unsigned n_out,
                            struct iovec *in, unsigned n_in)
{
    VirtioBlkCommand command;

    if (!virtio_blk_decode(disk, out, n_out, in, n_in, &command)) {
        return 0;
    }
    if (command.action != VIRTIO_BLK_NOTHING) {
        *command.status = virtio_blk_status(&command, perform(disk->blk, &command));
    }
    return command.written;
}
