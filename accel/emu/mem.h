/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Guest memory as instructions see it. "linear" functions take linear addresses and apply paging
 * with the privilege of explicit data accesses now (cpu->tlb.current); the "implicit" ones apply
 * that of descriptor tables, TSS and interrupt stacks at CPL 0. All raise #PF (or #AC) through
 * emu_raise() and have then changed nothing. Accesses are little-endian, of any alignment, and to
 * RAM atomic as the architecture promises; ordering is TSO.
 */
#ifndef VIREO_ACCEL_EMU_MEM_H
#define VIREO_ACCEL_EMU_MEM_H

#include <string.h>

#include "accel/emu/op.h"
#include "util/bits.h"

#define EMU_LIKELY(x) __builtin_expect(!!(x), 1)
#define EMU_UNLIKELY(x) __builtin_expect(!!(x), 0)

/* ---- Segmentation: from an op's memory operand to a linear address (segment.c) ---- */

typedef enum EmuAccess { EMU_READ, EMU_WRITE, EMU_EXEC } EmuAccess;

/*
 * The checks of one logical access outside EMU_MODE_FLAT, and FS/GS in 64-bit code: presence, type,
 * limit, canonical form; raises #GP(0) or #SS(0).
 */
uint64_t emu_segment_address(EmuCpu *cpu, unsigned seg, uint64_t offset, unsigned size,
                             EmuAccess access);

/*
 * Linear address of `size` bytes at `offset` in `seg`. In flat modes ES, SS and DS cost nothing (CS
 * does: it cannot be written outside 64-bit code); a non-canonical address then misses the TLB, and
 * the slow path raises #GP or #SS (`seg` reaches it as cpu->op->seg).
 */
static inline uint64_t emu_linear(EmuCpu *cpu, unsigned seg, uint64_t offset, unsigned size,
                                  EmuAccess access)
{
    const unsigned open = 1u << X86_ES | 1u << X86_SS | 1u << X86_DS;

    if (EMU_LIKELY((cpu->mode & EMU_MODE_FLAT) && open >> seg & 1)) {
        return offset;
    }
    return emu_segment_address(cpu, seg, offset, size, access);
}

/* Linear address of the op's memory operand. */
static inline uint64_t emu_operand(EmuCpu *cpu, const EmuOp *op, unsigned size, EmuAccess access)
{
    return emu_linear(cpu, op->seg, emu_effective(cpu, op), size, access);
}

/* ---- Loads and stores (mem.c has the slow paths) ---- */

uint64_t emu_read_slow(EmuCpu *cpu, uint64_t linear, unsigned size, EmuTlbKind kind);
void emu_write_slow(EmuCpu *cpu, uint64_t linear, uint64_t value, unsigned size, EmuTlbKind kind);
/* Reads what a write follows: raises the write's fault. */
uint64_t emu_read_for_write_slow(EmuCpu *cpu, uint64_t linear, unsigned size, EmuTlbKind kind);

static inline unsigned emu_tlb_index(uint64_t linear)
{
    return linear >> EMU_PAGE_BITS & (EMU_TLB_SIZE - 1);
}

static inline bool emu_tlb_hit(const EmuTlbTable *table, uint64_t linear, unsigned size)
{
    return linear + (size - 1) + table->negated[emu_tlb_index(linear)] < EMU_PAGE_SIZE;
}

/* The host address if it hits, else NULL. */
static inline void *emu_tlb_look_up(const EmuTlbTable *table, uint64_t linear, unsigned size)
{
    return EMU_LIKELY(emu_tlb_hit(table, linear, size))
               ? (void *)(linear + table->addend[emu_tlb_index(linear)]) : NULL;
}

/* Host address of RAM that hits, else NULL. */
static inline void *emu_fast_read_ptr(EmuCpu *cpu, uint64_t linear, unsigned size, EmuTlbKind kind)
{
    return emu_tlb_look_up(&cpu->tlb.kind[kind].read, linear, size);
}

static inline void *emu_fast_write_ptr(EmuCpu *cpu, uint64_t linear, unsigned size,
                                       EmuTlbKind kind)
{
    return emu_tlb_look_up(&cpu->tlb.kind[kind].write, linear, size);
}

/*
 * Relaxed loads and stores are TSO on x86 hosts, and misaligned words single accesses as the guest
 * has them; elsewhere acquire and release are what keeps the guest's order, and atomic accesses
 * must be aligned.
 */
#if defined(__x86_64__)
#define EMU_HOST_ATOMIC(host, bits) true
#define EMU_LOAD_ORDER __ATOMIC_RELAXED
#define EMU_STORE_ORDER __ATOMIC_RELAXED
#else
#define EMU_HOST_ATOMIC(host, bits) IS_ALIGNED((uintptr_t)(host), (bits) / 8)
#define EMU_LOAD_ORDER __ATOMIC_ACQUIRE
#define EMU_STORE_ORDER __ATOMIC_RELEASE
#endif

#define EMU_DEFINE_ACCESS(bits) \
    static inline uint##bits##_t emu_read_kind_u##bits(EmuCpu *cpu, uint64_t linear, \
                                                       EmuTlbKind kind) \
    { \
        const uint##bits##_t *host = emu_fast_read_ptr(cpu, linear, bits / 8, kind); \
        return EMU_LIKELY(host) ? emu_host_load_u##bits(host) \
                                : emu_read_slow(cpu, linear, bits / 8, kind); \
    } \
    static inline void emu_write_kind_u##bits(EmuCpu *cpu, uint64_t linear, \
                                              uint##bits##_t value, EmuTlbKind kind) \
    { \
        uint##bits##_t *host = emu_fast_write_ptr(cpu, linear, bits / 8, kind); \
        if (EMU_LIKELY(host)) { \
            emu_host_store_u##bits(host, value); \
        } else { \
            emu_write_slow(cpu, linear, value, bits / 8, kind); \
        } \
    } \
    static inline uint##bits##_t emu_read_u##bits(EmuCpu *cpu, uint64_t linear) \
    { \
        return emu_read_kind_u##bits(cpu, linear, cpu->tlb.current); \
    } \
    static inline void emu_write_u##bits(EmuCpu *cpu, uint64_t linear, uint##bits##_t value) \
    { \
        emu_write_kind_u##bits(cpu, linear, value, cpu->tlb.current); \
    } \
    /* The first half of a read-modify-write (not LOCKed); emu_write follows at the same place. */ \
    static inline uint##bits##_t emu_read_for_write_u##bits(EmuCpu *cpu, uint64_t linear) \
    { \
        const uint##bits##_t *host = emu_fast_write_ptr(cpu, linear, bits / 8, cpu->tlb.current); \
        return EMU_LIKELY(host) ? emu_host_load_u##bits(host) \
                                : emu_read_for_write_slow(cpu, linear, bits / 8, \
                                                          cpu->tlb.current); \
    } \
    static inline uint##bits##_t emu_implicit_read_u##bits(EmuCpu *cpu, uint64_t linear) \
    { \
        return emu_read_kind_u##bits(cpu, linear, emu_implicit_kind(cpu)); \
    } \
    static inline void emu_implicit_write_u##bits(EmuCpu *cpu, uint64_t linear, \
                                                  uint##bits##_t value) \
    { \
        emu_write_kind_u##bits(cpu, linear, value, emu_implicit_kind(cpu)); \
    }

#define EMU_DEFINE_HOST_ACCESS(bits) \
    typedef uint##bits##_t emu_unaligned_u##bits __attribute__((aligned(1), may_alias)); \
    static inline uint##bits##_t emu_host_load_u##bits(const void *host) \
    { \
        uint##bits##_t value; \
        if (EMU_HOST_ATOMIC(host, bits)) { \
            return __atomic_load_n((const emu_unaligned_u##bits *)host, EMU_LOAD_ORDER); \
        } \
        value = *(const emu_unaligned_u##bits *)host; \
        __atomic_thread_fence(EMU_LOAD_ORDER); \
        return value; \
    } \
    static inline void emu_host_store_u##bits(void *host, uint##bits##_t value) \
    { \
        if (EMU_HOST_ATOMIC(host, bits)) { \
            __atomic_store_n((emu_unaligned_u##bits *)host, value, EMU_STORE_ORDER); \
            return; \
        } \
        __atomic_thread_fence(EMU_STORE_ORDER); \
        *(emu_unaligned_u##bits *)host = value; \
    }

EMU_DEFINE_HOST_ACCESS(8)
EMU_DEFINE_HOST_ACCESS(16)
EMU_DEFINE_HOST_ACCESS(32)
EMU_DEFINE_HOST_ACCESS(64)

/* Implicit supervisor accesses ignore RFLAGS.AC: CR4.SMAP alone puts user pages out of reach. */
static inline EmuTlbKind emu_implicit_kind(const EmuCpu *cpu)
{
    return cpu->cr4 & CR4_SMAP ? EMU_TLB_SUPER_SMAP : EMU_TLB_SUPER;
}

EMU_DEFINE_ACCESS(8)
EMU_DEFINE_ACCESS(16)
EMU_DEFINE_ACCESS(32)
EMU_DEFINE_ACCESS(64)

/*
 * Up to 4096 bytes; a fault anywhere leaves nothing written and raises for the first bad byte.
 * (Vectors, XSAVE areas, descriptors.)
 */
void emu_read_bytes_slow(EmuCpu *cpu, uint64_t linear, void *buf, unsigned len);
void emu_write_bytes_slow(EmuCpu *cpu, uint64_t linear, const void *buf, unsigned len);

static inline void emu_read_bytes(EmuCpu *cpu, uint64_t linear, void *buf, unsigned len)
{
    const void *host = emu_fast_read_ptr(cpu, linear, len, cpu->tlb.current);

    if (EMU_LIKELY(host)) {
        memcpy(buf, host, len);
    } else {
        emu_read_bytes_slow(cpu, linear, buf, len);
    }
}

static inline void emu_write_bytes(EmuCpu *cpu, uint64_t linear, const void *buf, unsigned len)
{
    void *host = emu_fast_write_ptr(cpu, linear, len, cpu->tlb.current);

    if (EMU_LIKELY(host)) {
        memcpy(host, buf, len);
    } else {
        emu_write_bytes_slow(cpu, linear, buf, len);
    }
}

/*
 * Raise the fault that writing (reading) [linear, linear + len) would. Instructions that do more
 * than one store, or store what they cannot get twice (INS), probe first: a store over the code
 * that follows may run the whole instruction anew (EmuCpu.step_once), and then the probe does it
 * already.
 */
void emu_probe_write(EmuCpu *cpu, uint64_t linear, unsigned len);
void emu_probe_read(EmuCpu *cpu, uint64_t linear, unsigned len);
void emu_implicit_probe_write(EmuCpu *cpu, uint64_t linear, unsigned len);

/*
 * A LOCKed read-modify-write of 1 to 16 bytes. begin raises the write's faults, then gives a host
 * address to work on with __atomic builtins; `atomic` false says that the address is a private copy
 * and that (but for I/O) every other vCPU is held out of guest code until end, which writes the
 * copy back if `changed`. An atomic one may be misaligned on x86 hosts, but is within a cache line;
 * 16 bytes are aligned. Nothing between begin and end raises.
 */
typedef struct EmuLocked {
    void *host;
    bool atomic;
    bool slow;          /* private, like all below: end has something to do */
    bool exclusive;
    unsigned size;
    uint64_t linear;
    uint64_t physical[2]; /* of the first byte, and of the next page's if it crosses */
    uint8_t copy[16] __attribute__((aligned(16)));
} EmuLocked;
void emu_locked_begin_slow(EmuCpu *cpu, uint64_t linear, unsigned size, EmuLocked *locked);
void emu_locked_end_slow(EmuCpu *cpu, EmuLocked *locked, bool changed);

static inline void emu_locked_begin(EmuCpu *cpu, uint64_t linear, unsigned size,
                                    EmuLocked *locked)
{
    locked->host = emu_fast_write_ptr(cpu, linear, size, cpu->tlb.current);
    if (EMU_LIKELY(locked->host && IS_ALIGNED(linear, size))) {
        locked->atomic = true;
        locked->slow = false;
    } else {
        emu_locked_begin_slow(cpu, linear, size, locked);
    }
}

static inline void emu_locked_end(EmuCpu *cpu, EmuLocked *locked, bool changed)
{
    if (EMU_UNLIKELY(locked->slow)) {
        emu_locked_end_slow(cpu, locked, changed);
    }
}

/* ---- Paging and the second-level TLB (mmu.c, tlb.c) ---- */

/*
 * Register the CPU with the memory map, whose changes then request flushes (listener.c). cpu->vcpu
 * is set. On its thread, VM lock held.
 */
void emu_tlb_init(EmuCpu *cpu);
void emu_tlb_cleanup(EmuCpu *cpu);
/* The tables of explicit data accesses in a mode: emu_update_mode() sets cpu->tlb.current to it. */
static inline EmuTlbKind emu_tlb_kind(uint32_t mode)
{
    if ((mode & EMU_MODE_CPL) == 3) {
        return mode & EMU_MODE_ALIGN ? EMU_TLB_USER_ALIGN : EMU_TLB_USER;
    }
    return mode & EMU_MODE_SMAP ? EMU_TLB_SUPER_SMAP : EMU_TLB_SUPER;
}
/* MOV CR3 without bit 63: what belongs to the current PCID and is not global. */
void emu_tlb_flush_local(EmuCpu *cpu);
/* First level: what is not global (a MOV CR3 that keeps the PCID's entries). */
void emu_tlb_switch(EmuCpu *cpu);
/* All of the first level: a change of SMAP, WP, of a watched address (DR0-3, DR7, a debugger's). */
void emu_tlb_flush_first(EmuCpu *cpu);
/* Everything: CR0.PG/WP, CR4.PGE/PAE/PSE/SMEP..., EFER.NXE, memory map, A20, entering and leaving
   SMM. */
void emu_tlb_flush_all(EmuCpu *cpu);
/* INVLPG: one page in the current PCID, global ones too. */
void emu_tlb_flush_page(EmuCpu *cpu, uint64_t linear);
/* INVPCID types 0 to 3. */
void emu_tlb_invpcid(EmuCpu *cpu, unsigned type, unsigned pcid, uint64_t linear);

/* Where an instruction fetch leads. Raises #PF (with I/D set), #GP for non-canonical addresses. */
typedef struct EmuFetch {
    /*
     * Stands for the page: RAM and ROM have one value wherever and through whichever view (PAM,
     * SMM) they are seen, so that what was decoded from it stays valid when the memory map changes.
     */
    uint64_t physical;
    bool global;         /* the translation is the same in every address space */
    const uint8_t *host; /* of the page; NULL: not RAM or ROM, read bytes by emu_fetch_byte */
} EmuFetch;
void emu_fetch_page(EmuCpu *cpu, uint64_t linear, EmuFetch *fetch);
uint8_t emu_fetch_byte(EmuCpu *cpu, const EmuFetch *fetch, unsigned page_offset);

/* PAE: load PDPTRs for MOV CR3 and friends; raises #GP(0) for reserved bits. */
void emu_load_pdptrs(EmuCpu *cpu, uint64_t cr3);
/* Physical accesses as the CPU makes them now (A20, SMM view). */
uint64_t emu_phys_read(EmuCpu *cpu, uint64_t physical, unsigned size);
void emu_phys_write(EmuCpu *cpu, uint64_t physical, uint64_t value, unsigned size);

/*
 * ---- Code pages (code-pages.c): who has decoded blocks of which RAM page ----
 * Pages are named by EmuFetch.physical.
 */

/* Before bytes of a page are decoded: from now on every CPU's writes to it are slow and noticed. */
void emu_code_page_protect(EmuCpu *cpu, uint64_t physical_page);
/* No block of this CPU comes from the page any more. */
void emu_code_page_release(EmuCpu *cpu, uint64_t physical_page);
/*
 * A write of this CPU (or, cpu NULL, of a device) reached [physical, +len) of a protected page:
 * drop blocks there, of all CPUs. True: blocks of this CPU went, perhaps the running one.
 */
bool emu_code_page_written(EmuCpu *cpu, uint64_t physical, unsigned len);
/* Serve EMU_REQUEST_INVALIDATE: drop blocks from what others wrote since. */
void emu_code_pages_serve(EmuCpu *cpu);

#endif
