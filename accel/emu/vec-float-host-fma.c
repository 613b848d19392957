/* SPDX-License-Identifier: Apache-2.0 */
/* FMA3 by the host's instructions. */
#include "accel/emu/vec-float-host.h"

#define HOST_FMA_PACKED_TYPE(op, order, type) \
    HOST_OP_NEEDS("fma", op##order##_##type, \
        __m128i value; \
        for (unsigned i = 0; i < bytes / 16; i++) { \
            value = host_load(a, i); \
            __asm__ volatile("v" #op #order #type " %2, %1, %0" \
                             : "+x"(value) : "x"(host_load(c, i)), "x"(host_load(b, i))); \
            host_store(dst, i, value); \
        })
#define HOST_FMA_SCALAR_TYPE(op, order, type) \
    HOST_OP_NEEDS("fma", op##order##_##type, \
        __m128i value = host_load_##type(a); \
        __asm__ volatile("v" #op #order #type " %2, %1, %0" \
                         : "+x"(value) : "x"(host_load_##type(c)), "x"(host_load_##type(b))); \
        host_store_##type(dst, value);)

#define HOST_FMA_PACKED(order, op) \
    HOST_FMA_PACKED_TYPE(op, order, ps) HOST_FMA_PACKED_TYPE(op, order, pd)
#define HOST_FMA_SCALAR(order, op) \
    HOST_FMA_SCALAR_TYPE(op, order, ss) HOST_FMA_SCALAR_TYPE(op, order, sd)
#define HOST_FMA_PACKED_OP(op) EMU_FMA_ORDERS(HOST_FMA_PACKED, op)
#define HOST_FMA_SCALAR_OP(op) EMU_FMA_ORDERS(HOST_FMA_SCALAR, op)

EMU_FMA_PACKED_OPS(HOST_FMA_PACKED_OP)
EMU_FMA_SCALAR_OPS(HOST_FMA_SCALAR_OP)
