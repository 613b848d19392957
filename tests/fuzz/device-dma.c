/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The linker brings all reads of guest memory by devices here (--wrap). What they find may be
 * something else each time, as if another CPU of the guest were writing meanwhile.
 */
#include <string.h>

#include "tests/fuzz/device.h"

#define MOST 4096

static struct {
    uint8_t bytes[FUZZ_PATTERN];
    size_t len, at;
} pattern;

void fuzz_dma_set_pattern(const uint8_t *data, size_t len)
{
    pattern.len = MIN(len, sizeof(pattern.bytes));
    pattern.at = 0;
    if (pattern.len) {
        memcpy(pattern.bytes, data, pattern.len);
    }
}

static void change_memory(AddressSpace *as, uint64_t addr, uint64_t len)
{
    uint64_t part = MIN(len, MOST);
    uint8_t *host;

    if (!pattern.len || as != address_space_memory()) {
        return;
    }
    host = __real_address_space_map(as, addr, &part, true);
    if (!host) {
        return;
    }
    for (uint64_t i = 0; i < part; i++) {
        host[i] = pattern.bytes[pattern.at++ % pattern.len];
    }
    address_space_unmap(as, host, part, true, part);
}

MemResult __wrap_address_space_read(AddressSpace *as, uint64_t addr, void *buf, uint64_t len)
{
    change_memory(as, addr, len);
    return __real_address_space_read(as, addr, buf, len);
}

void *__wrap_address_space_map(AddressSpace *as, uint64_t addr, uint64_t *len, bool is_write)
{
    if (!is_write) {
        change_memory(as, addr, *len);
    }
    return __real_address_space_map(as, addr, len, is_write);
}
