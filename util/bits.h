/* SPDX-License-Identifier: Apache-2.0 */
/* Bit fields, byte order and overflow-checked arithmetic. */
#ifndef VIREO_UTIL_BITS_H
#define VIREO_UTIL_BITS_H

#include <endian.h>
#include <glib.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define BIT(n) (1u << (n))
#define BIT_ULL(n) (1ULL << (n))
/* Bits lo..hi (inclusive) set. */
#define MASK_ULL(hi, lo) (((~0ULL) >> (63 - (hi))) & ((~0ULL) << (lo)))

#define KiB (1ULL << 10)
#define MiB (1ULL << 20)
#define GiB (1ULL << 30)
#define TiB (1ULL << 40)

#define ROUND_UP(n, unit) ((((n) + (unit) - 1) / (unit)) * (unit))
#define DIV_ROUND_UP(n, unit) (((n) + (unit) - 1) / (unit))
#define ROUND_DOWN(n, unit) ((n) / (unit) * (unit))
#define IS_ALIGNED(n, unit) (((n) & ((unit) - 1)) == 0)

static inline uint64_t extract64(uint64_t value, unsigned start, unsigned length)
{
    return (value >> start) & (~0ULL >> (64 - length));
}

static inline uint64_t deposit64(uint64_t value, unsigned start, unsigned length, uint64_t field)
{
    uint64_t mask = (~0ULL >> (64 - length)) << start;

    return (value & ~mask) | ((field << start) & mask);
}

/* Is [offset, offset + length) within [0, limit)? Safe for every value. */
static inline bool range_ok(uint64_t offset, uint64_t length, uint64_t limit)
{
    return offset <= limit && length <= limit - offset;
}

/* Do [a, a + alen) and [b, b + blen) share a byte? Neither may wrap. */
static inline bool ranges_overlap(uint64_t a, uint64_t alen, uint64_t b, uint64_t blen)
{
    return alen && blen && a <= b + (blen - 1) && b <= a + (alen - 1);
}

/* Loads and stores of any alignment in a named byte order. */
static inline uint16_t ldw_le(const void *p) { uint16_t v; memcpy(&v, p, 2); return le16toh(v); }
static inline uint32_t ldl_le(const void *p) { uint32_t v; memcpy(&v, p, 4); return le32toh(v); }
static inline uint64_t ldq_le(const void *p) { uint64_t v; memcpy(&v, p, 8); return le64toh(v); }
static inline uint16_t ldw_be(const void *p) { uint16_t v; memcpy(&v, p, 2); return be16toh(v); }
static inline uint32_t ldl_be(const void *p) { uint32_t v; memcpy(&v, p, 4); return be32toh(v); }
static inline uint64_t ldq_be(const void *p) { uint64_t v; memcpy(&v, p, 8); return be64toh(v); }
static inline void stw_le(void *p, uint16_t v) { v = htole16(v); memcpy(p, &v, 2); }
static inline void stl_le(void *p, uint32_t v) { v = htole32(v); memcpy(p, &v, 4); }
static inline void stq_le(void *p, uint64_t v) { v = htole64(v); memcpy(p, &v, 8); }
static inline void stw_be(void *p, uint16_t v) { v = htobe16(v); memcpy(p, &v, 2); }
static inline void stl_be(void *p, uint32_t v) { v = htobe32(v); memcpy(p, &v, 4); }
static inline void stq_be(void *p, uint64_t v) { v = htobe64(v); memcpy(p, &v, 8); }

/* Little-endian load/store of 1, 2, 4 or 8 bytes. */
static inline uint64_t ldn_le(const void *p, unsigned size)
{
    uint64_t v = 0;

    memcpy(&v, p, size);
    return le64toh(v);
}

static inline void stn_le(void *p, unsigned size, uint64_t v)
{
    v = htole64(v);
    memcpy(p, &v, size);
}

#endif
