/* SPDX-License-Identifier: Apache-2.0 */
#include "block/virtio-blk.h"

#include <errno.h>
#include <linux/virtio_blk.h>
#include <string.h>

#include "util/bits.h"
#include "util/iov.h"

/* Of one discard or write-zeroes request. */
#define MAX_RANGE_SECTORS 32768
#define MAX_RANGES 1

uint64_t virtio_blk_features(const VirtioBlk *disk)
{
    return BIT_ULL(VIRTIO_BLK_F_SIZE_MAX) | BIT_ULL(VIRTIO_BLK_F_SEG_MAX) |
           BIT_ULL(VIRTIO_BLK_F_TOPOLOGY) | BIT_ULL(VIRTIO_BLK_F_BLK_SIZE) |
           BIT_ULL(VIRTIO_BLK_F_FLUSH) | BIT_ULL(VIRTIO_BLK_F_CONFIG_WCE) |
           BIT_ULL(VIRTIO_BLK_F_DISCARD) | BIT_ULL(VIRTIO_BLK_F_WRITE_ZEROES) |
           (disk->n_queues > 1 ? BIT_ULL(VIRTIO_BLK_F_MQ) : 0) |
           (disk->writable ? 0 : BIT_ULL(VIRTIO_BLK_F_RO));
}

void virtio_blk_config(const VirtioBlk *disk, uint8_t *config, size_t len)
{
    uint64_t size = (uint64_t)__atomic_load_n(&disk->size, __ATOMIC_RELAXED);
    struct virtio_blk_config c = {
        .capacity = htole64(size / BLOCK_SECTOR),
        .size_max = htole32(64 * KiB),
        .seg_max = htole32(disk->queue_size - 2u),
        .blk_size = htole32(disk->block_size),
        .min_io_size = htole16(1),
        .opt_io_size = htole32(1),
        .wce = block_backend_write_cache(disk->blk),
        .num_queues = htole16(disk->n_queues),
        .max_discard_sectors = htole32(MAX_RANGE_SECTORS),
        .max_discard_seg = htole32(MAX_RANGES),
        .discard_sector_alignment = htole32(disk->block_size / BLOCK_SECTOR),
        .max_write_zeroes_sectors = htole32(MAX_RANGE_SECTORS),
        .max_write_zeroes_seg = htole32(MAX_RANGES),
        .write_zeroes_may_unmap = 1,
    };

    memcpy(config, &c, MIN(len, sizeof(c)));
}

bool virtio_blk_set_config(const VirtioBlk *disk, uint32_t offset, const uint8_t *data,
                           uint32_t len)
{
    if (offset != offsetof(struct virtio_blk_config, wce) || len != 1 || *data > 1) {
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

static uint8_t status_of(int ret)
{
    return ret >= 0 ? VIRTIO_BLK_S_OK : ret == -ENOTSUP ? VIRTIO_BLK_S_UNSUPP : VIRTIO_BLK_S_IOERR;
}

static uint8_t transfer(const VirtioBlk *disk, bool write, uint64_t sector, const Data *data)
{
    const BlockVec vec = { data->iov, data->n };
    int64_t offset;

    if ((write && !disk->writable) || !range_of(disk, sector, data->len, &offset)) {
        return VIRTIO_BLK_S_IOERR;
    }
    if (!data->len) {
        return VIRTIO_BLK_S_OK;
    }
    return status_of(write ? block_backend_pwritev(disk->blk, offset, (int64_t)data->len, &vec, 0)
                           : block_backend_preadv(disk->blk, offset, (int64_t)data->len, &vec, 0));
}

static uint8_t discard_or_zero(const VirtioBlk *disk, bool zero, const Data *data)
{
    struct virtio_blk_discard_write_zeroes range;
    uint32_t sectors, flags;
    int64_t offset;
    int ret;

    if (!disk->writable || data->len != sizeof(range)) {
        return disk->writable && data->len > sizeof(range) ? VIRTIO_BLK_S_UNSUPP
                                                           : VIRTIO_BLK_S_IOERR;
    }
    iov_to_buf(data->iov, data->n, 0, &range, sizeof(range));
    sectors = le32toh(range.num_sectors);
    flags = le32toh(range.flags);
    if (flags & ~(zero ? VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP : 0u)) {
        return VIRTIO_BLK_S_UNSUPP;
    }
    if (sectors > MAX_RANGE_SECTORS ||
        !range_of(disk, le64toh(range.sector), (uint64_t)sectors * BLOCK_SECTOR, &offset)) {
        return VIRTIO_BLK_S_IOERR;
    }
    if (zero) {
        ret = block_backend_pwrite_zeroes(disk->blk, offset, (int64_t)sectors * BLOCK_SECTOR,
                                          flags ? BLOCK_REQ_MAY_UNMAP : 0);
        return status_of(ret);
    }
    ret = block_backend_pdiscard(disk->blk, offset, (int64_t)sectors * BLOCK_SECTOR);
    return ret == -ENOTSUP ? VIRTIO_BLK_S_OK : status_of(ret); /* a discard is a hint */
}

static uint8_t tell_serial(const VirtioBlk *disk, const Data *in)
{
    char id[VIRTIO_BLK_ID_BYTES] = { 0 };

    memcpy(id, disk->serial, MIN(strlen(disk->serial), sizeof(id)));
    iov_from_buf(in->iov, in->n, 0, id, MIN(sizeof(id), in->len));
    return VIRTIO_BLK_S_OK;
}

static uint8_t perform(const VirtioBlk *disk, const struct virtio_blk_outhdr *header,
                       const Data *out, const Data *in)
{
    uint64_t sector = le64toh(header->sector);

    switch (le32toh(header->type) & ~VIRTIO_BLK_T_BARRIER) {
    case VIRTIO_BLK_T_IN:
        return transfer(disk, false, sector, in);
    case VIRTIO_BLK_T_OUT:
        return transfer(disk, true, sector, out);
    case VIRTIO_BLK_T_FLUSH:
        return status_of(block_backend_flush(disk->blk));
    case VIRTIO_BLK_T_GET_ID:
        return tell_serial(disk, in);
    case VIRTIO_BLK_T_DISCARD:
        return discard_or_zero(disk, false, out);
    case VIRTIO_BLK_T_WRITE_ZEROES:
        return discard_or_zero(disk, true, out);
    default:
        return VIRTIO_BLK_S_UNSUPP;
    }
}

uint32_t virtio_blk_request(const VirtioBlk *disk, struct iovec *out, unsigned n_out,
                            struct iovec *in, unsigned n_in)
{
    size_t out_len = iov_size(out, n_out), in_len = iov_size(in, n_in);
    struct virtio_blk_outhdr header;
    Data to_disk, from_disk;
    uint8_t *status;

    if (!in_len) {
        return 0;
    }
    status = (uint8_t *)in[n_in - 1].iov_base + in[n_in - 1].iov_len - 1;
    if (iov_to_buf(out, n_out, 0, &header, sizeof(header)) < sizeof(header) ||
        in_len > UINT32_MAX) {
        *status = VIRTIO_BLK_S_IOERR;
        return 1;
    }
    to_disk = cut(out, n_out, sizeof(header), out_len - sizeof(header));
    from_disk = cut(in, n_in, 0, in_len - 1);
    *status = perform(disk, &header, &to_disk, &from_disk);
    return (uint32_t)in_len;
}
