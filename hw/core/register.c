/* SPDX-License-Identifier: Apache-2.0 */
/* Access to registers that a const table describes. */
#include "hw/core/register.h"

#include "util/log.h"

static const RegisterInfo *register_find(const RegisterBlock *block, uint64_t offset)
{
    size_t low = 0, high = block->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (block->regs[middle].offset == offset) {
            return &block->regs[middle];
        }
        if (block->regs[middle].offset < offset) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return NULL;
}

uint64_t register_read(const RegisterBlock *block, uint32_t *storage, void *opaque, uint64_t offset)
{
    const RegisterInfo *reg = register_find(block, offset);
    uint32_t value;

    if (!reg) {
        log_guest_error("%s: read of register 0x%" G_GINT64_MODIFIER "x, which does not exist",
                        block->name, offset);
        return 0;
    }
    value = storage[offset / 4] & ~reg->rsvd;
    if (reg->post_read) {
        value = reg->post_read(opaque, reg, value);
    }
    storage[offset / 4] &= ~reg->cor;
    return value;
}

void register_write(const RegisterBlock *block, uint32_t *storage, void *opaque, uint64_t offset,
                    uint64_t value)
{
    const RegisterInfo *reg = register_find(block, offset);
    uint32_t old, next, keep;

    if (!reg) {
        log_guest_error("%s: write of register 0x%" G_GINT64_MODIFIER "x, which does not exist",
                        block->name, offset);
        return;
    }
    old = storage[offset / 4];
    keep = reg->ro | reg->rsvd | reg->w1c;
    next = (old & keep) | ((uint32_t)value & ~keep);
    next &= ~((uint32_t)value & reg->w1c);
    if (reg->pre_write) {
        next = reg->pre_write(opaque, reg, next);
    }
    storage[offset / 4] = next;
    if (reg->post_write) {
        reg->post_write(opaque, reg, next);
    }
}

void register_reset(const RegisterBlock *block, uint32_t *storage)
{
    for (size_t i = 0; i < block->count; i++) {
        storage[block->regs[i].offset / 4] = block->regs[i].reset;
    }
}
