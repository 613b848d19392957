/* SPDX-License-Identifier: Apache-2.0 */
#include "virtio/chain.h"

#include <errno.h>

int virtio_chain_add(VirtioChain *chain, const VirtioMemory *memory, const VirtioBuffer *buffer)
{
    uint64_t addr = buffer->addr;
    uint32_t left = buffer->len;

    if (!left || (!buffer->write && chain->n_in)) {
        return -EPROTO;
    }
    while (left) {
        size_t len = left;
        void *host;

        if (chain->n_out + chain->n_in == VIRTIO_CHAIN_MAX_IOV) {
            return -E2BIG;
        }
        host = memory->map(memory->opaque, addr, &len, buffer->write);
        if (!host) {
            return -EFAULT;
        }
        chain->iov[chain->n_out + chain->n_in] = (struct iovec) { host, len };
        if (buffer->write) {
            chain->n_in++;
        } else {
            chain->n_out++;
        }
        addr += len;
        left -= (uint32_t)len;
    }
    return 0;
}

void virtio_chain_unmap(VirtioChain *chain, const VirtioMemory *memory)
{
    for (unsigned i = 0; memory->unmap && i < chain->n_out + chain->n_in; i++) {
        memory->unmap(memory->opaque, chain->iov[i].iov_base, chain->iov[i].iov_len,
                      i >= chain->n_out, 0);
    }
    chain->n_out = chain->n_in = 0;
}

int virtio_table_init(VirtioTable *table, const VirtioMemory *memory, uint64_t addr, uint32_t len)
{
    *table = (VirtioTable) {
        .memory = memory, .addr = addr, .count = len / VIRTIO_DESC_SIZE,
    };
    return len % VIRTIO_DESC_SIZE || !table->count || table->count > VIRTIO_RING_MAX_SIZE ? -EPROTO
                                                                                          : 0;
}

void virtio_table_cleanup(VirtioTable *table)
{
    if (table->host && table->memory->unmap) {
        table->memory->unmap(table->memory->opaque, table->host, table->len, false, 0);
    }
    table->host = NULL;
}

const void *virtio_table_entry(VirtioTable *table, uint32_t index)
{
    uint64_t end = ((uint64_t)index - table->first + 1) * VIRTIO_DESC_SIZE;

    if (!table->host || index < table->first || end > table->len) {
        virtio_table_cleanup(table);
        table->first = index;
        table->len = (size_t)(table->count - index) * VIRTIO_DESC_SIZE;
        table->host = table->memory->map(table->memory->opaque,
                                         table->addr + (uint64_t)index * VIRTIO_DESC_SIZE,
                                         &table->len, false);
        if (!table->host || table->len < VIRTIO_DESC_SIZE || ((uintptr_t)table->host & 7)) {
            return NULL;
        }
    }
    return table->host + (size_t)(index - table->first) * VIRTIO_DESC_SIZE;
}
