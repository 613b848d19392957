/* SPDX-License-Identifier: Apache-2.0 */
/* CMPXCHG, CMPXCHG8B, CMPXCHG16B, XADD. */
#include "accel/emu/op-int.h"

#include "accel/emu/host-atomic.h"

/* ---- CMPXCHG ---- */

/*
 * Compare and swap under LOCK; gives the old value. Where nothing is swapped the processor writes
 * the old value back, so that the page must be writable anyway.
 */
#define DEFINE_LOCKED_SWAP(bits) \
    static __attribute__((noinline)) uint##bits##_t \
    locked_swap_slow##bits(EmuCpu *cpu, uint64_t linear, uint##bits##_t expected, \
                           uint##bits##_t desired) \
    { \
        EmuLocked locked; \
        bool swapped; \
        emu_locked_begin(cpu, linear, bits / 8, &locked); \
        swapped = __atomic_compare_exchange_n((uint##bits##_t *)locked.host, &expected, desired, \
                                              false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST); \
        emu_locked_end(cpu, &locked, swapped); \
        return expected; \
    } \
    static inline uint##bits##_t locked_swap##bits(EmuCpu *cpu, uint64_t linear, \
                                                   uint##bits##_t expected, \
                                                   uint##bits##_t desired) \
    { \
        uint##bits##_t *host = emu_fast_write_ptr(cpu, linear, bits / 8, cpu->tlb.current); \
        if (EMU_UNLIKELY(!host || linear % (bits / 8))) { \
            return locked_swap_slow##bits(cpu, linear, expected, desired); \
        } \
        __atomic_compare_exchange_n(host, &expected, desired, false, __ATOMIC_SEQ_CST, \
                                    __ATOMIC_SEQ_CST); \
        return expected; \
    } \
    /* Flags and accumulator after the comparison. */ \
    static inline bool compared##bits(EmuCpu *cpu, uint##bits##_t old) \
    { \
        uint##bits##_t accumulator = (uint##bits##_t)cpu->regs[X86_RAX]; \
        emu_flags_sub(cpu, accumulator, old, (uint64_t)accumulator - old, bits); \
        if (old != accumulator) { \
            emu_put_r##bits(cpu, X86_RAX, old); \
        } \
        return old == accumulator; \
    } \
    static void cmpxchg_rr##bits(EmuCpu *cpu, const EmuOp *op) \
    { \
        uint##bits##_t old = emu_get_r##bits(cpu, op->r[0]); \
        uint##bits##_t desired = emu_get_r##bits(cpu, op->r[1]); \
        if (compared##bits(cpu, old)) { \
            emu_put_r##bits(cpu, op->r[0], desired); \
        } \
        EMU_NEXT(cpu, op); \
    } \
    static void cmpxchg_mr##bits(EmuCpu *cpu, const EmuOp *op) \
    { \
        uint64_t linear = EMU_TARGET(cpu, op, bits); \
        uint##bits##_t old = emu_read_for_write_u##bits(cpu, linear); \
        uint##bits##_t desired = emu_get_r##bits(cpu, op->r[0]); \
        emu_write_u##bits(cpu, linear, compared##bits(cpu, old) ? desired : old); \
        EMU_NEXT(cpu, op); \
    } \
    static void cmpxchg_locked##bits(EmuCpu *cpu, const EmuOp *op) \
    { \
        uint64_t linear = EMU_TARGET(cpu, op, bits); \
        compared##bits(cpu, locked_swap##bits(cpu, linear, (uint##bits##_t)cpu->regs[X86_RAX], \
                                              emu_get_r##bits(cpu, op->r[0]))); \
        EMU_NEXT(cpu, op); \
    }
EMU_FOR_SIZES(DEFINE_LOCKED_SWAP)

static EmuOpFn *bind_cmpxchg(const EmuDecoded *decoded, EmuOp *op)
{
    static EmuOpFn *const rr[4] = EMU_BY_SIZE(cmpxchg_rr);
    static EmuOpFn *const mr[4] = EMU_BY_SIZE(cmpxchg_mr);
    static EmuOpFn *const locked[4] = EMU_BY_SIZE(cmpxchg_locked);
    unsigned size = emu_operand_index(decoded);

    return emu_form(decoded) == EMU_FORM_RR ? rr[size]
           : emu_is_locked(decoded) ? locked[size] : mr[size];
}

/* ---- CMPXCHG8B, CMPXCHG16B: only ZF changes; always atomic here, LOCKed or not ---- */

static void set_zf(EmuCpu *cpu, bool zf)
{
    emu_flags_set(cpu, (emu_flags_get(cpu) & ~(uint32_t)FLAG_ZF) | (zf ? FLAG_ZF : 0));
}

static void cmpxchg8b(EmuCpu *cpu, const EmuOp *op)
{
    uint64_t linear = EMU_TARGET(cpu, op, 64);
    uint64_t expected = cpu->regs[X86_RDX] << 32 | (uint32_t)cpu->regs[X86_RAX];
    uint64_t desired = cpu->regs[X86_RCX] << 32 | (uint32_t)cpu->regs[X86_RBX];
    uint64_t old = locked_swap64(cpu, linear, expected, desired);

    if (old != expected) {
        emu_put_r32(cpu, X86_RAX, old);
        emu_put_r32(cpu, X86_RDX, old >> 32);
    }
    set_zf(cpu, old == expected);
    EMU_NEXT(cpu, op);
}

static __attribute__((noinline)) bool locked_swap128(EmuCpu *cpu, uint64_t linear,
                                                     EmuHost128 *expected, EmuHost128 desired)
{
    EmuLocked locked;
    bool swapped;

    emu_locked_begin(cpu, linear, 16, &locked);
    swapped = emu_host_swap128(locked.host, expected, desired);
    emu_locked_end(cpu, &locked, swapped);
    return swapped;
}

static __attribute__((noinline)) void swap128(EmuCpu *cpu, uint64_t linear)
{
    EmuHost128 expected = { cpu->regs[X86_RAX], cpu->regs[X86_RDX] };
    EmuHost128 desired = { cpu->regs[X86_RBX], cpu->regs[X86_RCX] };
    bool swapped = locked_swap128(cpu, linear, &expected, desired);

    if (!swapped) {
        cpu->regs[X86_RAX] = expected.low;
        cpu->regs[X86_RDX] = expected.high;
    }
    set_zf(cpu, swapped);
}

static void cmpxchg16b(EmuCpu *cpu, const EmuOp *op)
{
    uint64_t linear = emu_operand(cpu, op, 16, EMU_WRITE);

    if (linear & 15) {
        emu_raise(cpu, X86_GP, 0);
    }
    swap128(cpu, linear);
    EMU_NEXT(cpu, op);
}

static EmuOpFn *bind_cmpxchg8b(const EmuDecoded *decoded, EmuOp *op)
{
    return emu_has_feature(decoded->cpu, F_CX8) ? cmpxchg8b : NULL;
}

static EmuOpFn *bind_cmpxchg16b(const EmuDecoded *decoded, EmuOp *op)
{
    return emu_has_feature(decoded->cpu, F_CX16) ? cmpxchg16b : NULL;
}

/* ---- XADD ---- */

static uint64_t rmw_add(uint64_t old, uint64_t source) { return old + source; }

/* The sum goes to the first operand last: it wins if both are one register. */
#define DEFINE_XADD(bits) \
    static void xadd_rr##bits(EmuCpu *cpu, const EmuOp *op) \
    { \
        uint64_t a = emu_get_r##bits(cpu, op->r[0]), b = emu_get_r##bits(cpu, op->r[1]); \
        emu_flags_add(cpu, a, b, a + b, bits); \
        emu_put_r##bits(cpu, op->r[1], a); \
        emu_put_r##bits(cpu, op->r[0], a + b); \
        EMU_NEXT(cpu, op); \
    } \
    static void xadd_mr##bits(EmuCpu *cpu, const EmuOp *op) \
    { \
        uint64_t linear = EMU_TARGET(cpu, op, bits), b = emu_get_r##bits(cpu, op->r[0]); \
        uint64_t a = emu_read_for_write_u##bits(cpu, linear); \
        emu_write_u##bits(cpu, linear, (uint##bits##_t)(a + b)); \
        emu_flags_add(cpu, a, b, a + b, bits); \
        emu_put_r##bits(cpu, op->r[0], a); \
        EMU_NEXT(cpu, op); \
    } \
    static void xadd_locked##bits(EmuCpu *cpu, const EmuOp *op) \
    { \
        uint64_t linear = EMU_TARGET(cpu, op, bits), b = emu_get_r##bits(cpu, op->r[0]); \
        uint64_t a = emu_locked_rmw_u##bits(cpu, linear, rmw_add, b); \
        emu_flags_add(cpu, a, b, a + b, bits); \
        emu_put_r##bits(cpu, op->r[0], a); \
        EMU_NEXT(cpu, op); \
    }
EMU_FOR_SIZES(DEFINE_XADD)

static EmuOpFn *bind_xadd(const EmuDecoded *decoded, EmuOp *op)
{
    static EmuOpFn *const rr[4] = EMU_BY_SIZE(xadd_rr), *const mr[4] = EMU_BY_SIZE(xadd_mr);
    static EmuOpFn *const locked[4] = EMU_BY_SIZE(xadd_locked);
    unsigned size = emu_operand_index(decoded);

    return emu_form(decoded) == EMU_FORM_RR ? rr[size]
           : emu_is_locked(decoded) ? locked[size] : mr[size];
}

static const EmuInsn rows[] = {
    EMU_INT_ROW(CMPXCHG, bind_cmpxchg, NULL),
    EMU_INT_ROW(CMPXCHG8B, bind_cmpxchg8b, NULL),
    EMU_INT_ROW(CMPXCHG16B, bind_cmpxchg16b, NULL),
    EMU_INT_ROW(XADD, bind_xadd, NULL),
};

const EmuInsnTable emu_insns_atomic = EMU_INSN_TABLE(rows);
