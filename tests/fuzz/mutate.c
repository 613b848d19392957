/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libFuzzer's mutations for images (disk.h). Its own shift bytes about, after which the rest of the
 * input means nothing; here records stay where they are, and numbers change as wholes.
 */
#include <string.h>

#include "tests/fuzz/disk.h"
#include "tests/fuzz/target.h"
#include "util/bits.h"

static uint32_t next(uint32_t *state)
{
    *state = *state * 1664525 + 1013904223;
    return *state >> 8;
}

static uint64_t telling_number(uint32_t *rand, uint64_t old, unsigned bits)
{
    static const uint64_t numbers[] = {
        0, 1, 2, 0x7f, 0x80, 0xff, 0x100, 0x1ff, 0x200, 0x7fff, 0x8000, 0xffff, 0x10000,
        0x7fffffff, 0x80000000, 0xffffffff, 0x100000000, 0x7fffffffffffffff, 0x8000000000000000,
        0xfffffffffffffe00, 0xffffffffffffffff,
    };

    switch (next(rand) % 5) {
    case 0:
        return old + next(rand) % 9 - 4;
    case 1:
        return old ^ 1ull << next(rand) % bits;
    case 2:
        return (next(rand) % 128) * 512ull;
    case 3:
        return old << next(rand) % 16;
    default:
        return numbers[next(rand) % G_N_ELEMENTS(numbers)];
    }
}

/* A number of 1 to 8 bytes, of either byte order. */
static void change_number(uint8_t *bytes, size_t len, uint32_t *rand)
{
    unsigned width = 1u << next(rand) % 4;
    size_t places, at;
    uint64_t value = 0;

    if (len < width) {
        return;
    }
    places = (len - width) / width + 1;
    at = next(rand) % places * width;
    if (next(rand) % 8 == 0) {
        at = next(rand) % (len - width + 1);
    }
    if (next(rand) % 2) {
        memcpy((uint8_t *)&value + 8 - width, bytes + at, width);
        value = htobe64(telling_number(rand, be64toh(value), 8 * width));
        memcpy(bytes + at, (uint8_t *)&value + 8 - width, width);
    } else {
        memcpy(&value, bytes + at, width);
        value = htole64(telling_number(rand, le64toh(value), 8 * width));
        memcpy(bytes + at, &value, width);
    }
}

/* One more operation, or another one in its place. */
static size_t change_ops(uint8_t *data, size_t size, size_t max_size, uint32_t *rand)
{
    unsigned n = data[1];
    size_t at;

    if (n < FUZZ_MAX_OPS && size + 4 <= max_size && next(rand) % 2) {
        memmove(data + FUZZ_HEADER + 4, data + FUZZ_HEADER, size - FUZZ_HEADER);
        data[1]++;
        n++;
        size += 4;
        at = FUZZ_HEADER;
    } else if (n && FUZZ_HEADER + 4 * (size_t)n <= size) {
        at = FUZZ_HEADER + 4 * (next(rand) % n);
    } else {
        return size;
    }
    for (unsigned i = 0; i < 4; i++) {
        data[at + i] = (uint8_t)next(rand);
    }
    return size;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed)
{
    g_autoptr(GArray) records = NULL;
    uint32_t rand = seed;
    unsigned choice = next(&rand) % 16;
    const FuzzRecord *record;

    records = fuzz_disk_records(data, size);
    if (size < FUZZ_HEADER || choice == 0 || !records->len) {
        return LLVMFuzzerMutate(data, size, max_size);
    }
    record = &g_array_index(records, FuzzRecord, next(&rand) % records->len);
    if (choice <= 3) {
        return change_ops(data, size, max_size, &rand);
    }
    if (choice == 4) {
        change_number(data, FUZZ_HEADER, &rand);
        data[1] = MIN(data[1], FUZZ_MAX_OPS);
    } else if (choice == 5) {
        change_number(data + record->at - FUZZ_RECORD, FUZZ_RECORD, &rand);
    } else if (choice <= 8 && record->len) {
        LLVMFuzzerMutate(data + record->at, record->len, record->len);
    } else {
        do {
            change_number(data + record->at, record->len, &rand);
        } while (next(&rand) % 3 == 0);
    }
    return size;
}
