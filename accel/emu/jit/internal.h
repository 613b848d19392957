/* SPDX-License-Identifier: Apache-2.0 */
/* What the translator's files share. */
#ifndef VIREO_ACCEL_EMU_JIT_INTERNAL_H
#define VIREO_ACCEL_EMU_JIT_INTERNAL_H

#include <Zydis/Zydis.h>

#include "accel/emu/decode.h"
#include "accel/emu/jit/asm.h"
#include "accel/emu/jit/jit.h"
#include "accel/emu/jit/track.h"
#include "accel/emu/mem.h"

/*
 * RBP is the EmuCpu's address plus this, so that what is used most is within a byte's displacement.
 * An EmuCpu begins at a multiple of 64: so a shift by RBP, which counts its low six bits, makes a
 * page's number of an address.
 */
#define JIT_BIAS (128 + EMU_PAGE_BITS)
#define JIT_CPU(field) ((int32_t)offsetof(EmuCpu, field) - JIT_BIAS)
#define JIT_REG(n) ((int32_t)((n) * 8) - JIT_BIAS)

/*
 * Linear address -> code, one table for each kind of TLB (that is: CPL and SMAP). Compilers align
 * functions, and returns mostly do without: the lowest bits of the address tell little.
 */
#define JIT_JUMP_SHIFT 4
#define JIT_JUMP_BITS 13
#define JIT_JUMPS (1u << JIT_JUMP_BITS)
#define JIT_NO_JUMP (-(1ull << JIT_JUMP_SHIFT)) /* in entry 0: of another one's address */
typedef struct JitJumpTable {
    uint64_t negated[JIT_JUMPS]; /* -(linear address); 0: empty (entry 0: JIT_NO_JUMP) */
    const void *code[JIT_JUMPS];
    uint64_t used[JIT_JUMPS / 64 / 64]; /* one bit for 64 entries */
    uint32_t mode;               /* EmuMode for which it is filled */
    bool local;                  /* leads through pages that are not global */
} JitJumpTable;

/* What translated code has on the host's stack at most; its own begins at a multiple. Then and when
   it is full the low 16 bits of its pointer are zero. */
#define JIT_RETURNS_BYTES 0x10000

static inline unsigned jit_jump_index(uint64_t linear)
{
    return linear >> JIT_JUMP_SHIFT & (JIT_JUMPS - 1);
}

/* Ways to host pages that the accesses of a block share: EmuCpu.jit_slots. */
#define JIT_SLOTS 4

/* A slot that code behind a slow path counts on. size 0: it does not. */
typedef struct JitReuseSlot {
    uint16_t size;          /* from EmuCpu.jit_slot_linear */
    bool write;
    bool host;              /* a host address, else host address - linear address */
} JitReuseSlot;

typedef struct JitReuse {
    const void *back;       /* where to go on if all hold */
    unsigned next_op;       /* else the interpreter goes on here */
    JitReuseSlot slots[JIT_SLOTS];
} JitReuse;

/* Instructions that their handlers do, as ops of their own: one, or several that follow. */
typedef struct JitCallout {
    EmuBlock *block;
    JitReuse *reuse;        /* of a slow path that slots must outlive, else NULL */
    bool keeps_flags;       /* the handlers neither read nor write arithmetic flags */
    EmuOp ops[];            /* the last is emu_op_stop's */
} JitCallout;

/*
 * A way out of a block to a known place. Until it is linked it leaves with this; in the same page
 * the link then leads straight to the successor. Into another page (RAX holds the target) it leads
 * to the successor's far entry while both pages are global, else through the jump table.
 */
typedef struct JitExit {
    EmuBlock *block;
    uint8_t *jump;          /* displacement of the jump to patch (writable address) */
    uint8_t *leave;         /* where it leads unlinked */
    int32_t target;         /* from the start of the block's page */
    bool crosses;           /* into another page */
    bool backward;          /* the link leads to the entry that looks at attention */
} JitExit;

/*
 * What the translator keeps for a block (writable addresses); EmuBlock.code is `far_entry`'s run
 * address.
 */
typedef struct JitBlock {
    uint8_t *far_entry;     /* RAX = RIP: sets EMU_REG_PAGE_RIP, then as checked_entry */
    uint8_t *checked_entry; /* leaves if attention is set */
    uint8_t *entry;         /* five bytes to be patched when the block retires */
    uint8_t *leave;         /* cpu->rip = this block's first byte; back to the run loop */
    uint8_t *end;
    bool repeatable;        /* the checking mode may run it twice, */
    uint32_t check_runs;    /* and how often it came to it */
    bool plain;             /* no slots: they failed too often */
    unsigned failures;      /* reuse.c */
    uint64_t failures_since;
} JitBlock;

/* Code that all blocks share; run addresses. */
typedef struct JitStubs {
    void *(*enter)(EmuCpu *cpu, const void *code); /* returns the JitExit that was taken, or NULL */
    const void *leave;      /* cpu->rip is set */
    const void *leave_exit; /* RAX = JitExit */
    const void *callout;    /* RDX = JitCallout; called */
    const void *callout_end; /* RDX = JitCallout of an op that ends its block; jumped to */
    const void *callout_reuse; /* as callout_end, but the block goes on if its slots hold */
    const void *find;       /* RAX = RIP, which the jump table does not know */
    const void *dispatch;   /* RAX = RIP: through the jump table, or by `find` */
    const void *unpaired;   /* RAX = RIP: a RET found no frame (stubs.c) */
} JitStubs;

/* Blocks that have retired and are not yet renewed, by hash of where they began: the last each. */
#define JIT_RETIRED 1024u

struct EmuJit {
    EmuCpu *cpu;
    uint8_t *write, *run;   /* two mappings of the code */
    size_t size, stubs_size;
    JitAsm as;
    JitStubs stubs;
    uint8_t *data;          /* JitBlocks, callouts, exits: emptied with the code */
    size_t data_size, data_used;
    JitExit *taken;         /* how emu_jit_run() left last, */
    uint64_t taken_rip;     /* and for where */
    GPtrArray *crossing;    /* JitExit * linked into other pages */
    EmuBlock *retired[JIT_RETIRED];
    bool slow_pext;         /* PEXT is microcode on this host */
    bool inside;
    bool flags_in_host;     /* a handler runs, and the guest's flags are in cpu->host_flags */
    bool overflow;          /* the code or its data is full: flush before translating more */
    JitJumpTable jumps[EMU_TLB_KINDS];
};

/* ---- code.c ---- */
bool jit_code_map(EmuJit *jit, size_t size, GError **error);
void jit_code_unmap(EmuJit *jit);
/* NULL when it is full. */
void *jit_data_take(EmuJit *jit, size_t size);

static inline const void *jit_run_address(const JitAsm *as, const uint8_t *write)
{
    return write + as->delta;
}

/* ---- stubs.c ---- */
void jit_make_stubs(EmuJit *jit);
/* Called by the callout stubs. The second gives the code to go on with. */
void jit_do_callout(EmuCpu *cpu, JitCallout *callout);
const void *jit_do_callout_end(EmuCpu *cpu, JitCallout *callout);
/* Where cpu->rip goes on: as jit_find_code(), with the guest's flags in cpu->host_flags. */
const void *jit_find_next(EmuCpu *cpu);
/* reuse.c */
const void *jit_do_callout_reuse(EmuCpu *cpu, JitCallout *callout);
/* run.c: code for cpu->rip, or the stub that leaves. May raise. */
const void *jit_find_code(EmuCpu *cpu);
/* The arithmetic flags between flags.h's form and cpu->host_flags. */
void jit_flags_to_host(EmuCpu *cpu);
void jit_flags_from_host(EmuCpu *cpu);
/* run.c: `block` was translated: what led to one that it takes the place of leads to it. */
void jit_renew(EmuJit *jit, const EmuBlock *block);

/* The host register that holds a guest register, HOST_NONE if it lives in the EmuCpu. */
extern const int8_t jit_host_reg[16];

/* t->op and `count` - 1 that follow it for their handlers; t->failed if there is no room. */
typedef struct JitTranslation JitTranslation;
JitCallout *jit_make_callout(JitTranslation *t, unsigned count);
/* Is it done by the unit of x87 and MMX registers? */
bool jit_is_x87(const EmuDecoded *decoded);

/*
 * Run a block's host code alone, without regard to attention: links have not been made, and `jumps`
 * leads nowhere. cpu->rip and EMU_REG_PAGE_RIP are the block's.
 */
void emu_jit_run_alone(EmuCpu *cpu, EmuBlock *block, const JitJumpTable *jumps);

/* Of the jump that becomes of a JCC. */
#define JIT_JCC_BYTES 6

/* ---- translate.c ---- */

/* A place where the fast path gave up: what to emit behind the block. */
typedef struct JitSlowPath {
    uint8_t *jump;          /* displacement of the jump that leads here */
    uint8_t *back;          /* where the instruction is done; NULL: it ends the block */
    bool ends;              /* it ends the block though the fast path does not */
    JitCallout *callout;
    uint32_t vec_spill, vec_reload; /* vector registers to save before, load after */
    int8_t cached[3];       /* as JitTranslation's, to load after */
} JitSlowPath;

#define JIT_MAX_SLOW (EMU_BLOCK_MAX_OPS * 3)

/* A JCC, whose way out is emitted behind the block. */
typedef struct JitFork {
    uint8_t *jump;
    int32_t target;
    uint32_t vec_spill;
} JitFork;

/* Indexes of JitTranslation.cached, and what is there besides guest registers. */
enum { JIT_CACHE_RCX, JIT_CACHE_RDX, JIT_CACHE_RAX };
#define JIT_CACHED_SLOT(n) (EMU_REG_COUNT + (int)(n))

/* What EmuCpu.jit_slots[] has for the ops up to `last`. */
typedef struct JitSlot {
    bool used;
    bool write, host;       /* as JitReuseSlot's */
    uint16_t size;
    JitPlace place;         /* of the first byte */
    unsigned last;
} JitSlot;

struct JitTranslation {
    EmuJit *jit;
    EmuCpu *cpu;
    EmuBlock *block;
    JitBlock *info;
    JitAsm *as;
    const EmuOp *op;
    unsigned index;         /* which of the block */
    EmuDecoded decoded;
    EmuDecoded *all_decoded; /* of each op that does not only raise */
    JitTrack track;         /* as `op` begins */
    JitMem mem;             /* the host address of its memory operand */
    /* What RCX, RDX, RAX hold as the EmuCpu does: a guest register, JIT_CACHED_SLOT(), or -1. */
    int8_t cached[3];
    bool keeps_cached;      /* `op` has done its part for that */
    JitSlot slots[JIT_SLOTS];
    JitAccess expected[EMU_BLOCK_MAX_OPS * 2];
    unsigned expected_count;
    JitSlowPath slow[JIT_MAX_SLOW];
    unsigned slow_count, slow_before; /* now; as `op` began */
    JitFork forks[EMU_BLOCK_MAX_OPS];
    unsigned fork_count;
    bool narrow;            /* 32-bit code, */
    uint8_t word;           /* whose addresses and stack have 4 bytes; else 8 */
    bool wide;              /* 256-bit vectors: registers are kept whole */
    uint32_t vec_loaded, vec_dirty;
    uint32_t vec_dirty_before; /* as `op` began */
    bool failed;            /* no room */
    bool ended;             /* the block's end was emitted */
    bool stale;             /* the code is no longer what was decoded */
    uint8_t code[EMU_BLOCK_MAX_OPS * 15]; /* the block's bytes: other CPUs may write to them */
};

/* A translator of one instruction: false: nothing was emitted, let the handler do it. */
typedef bool JitEmit(JitTranslation *t);

/* The handler does the op, and what comes next begins another block. */
void jit_emit_ending_callout(JitTranslation *t);
/* The one for a decoded instruction; NULL: its handler does it. */
JitEmit *jit_find_emitter(const EmuDecoded *decoded, const EmuOp *op);

/* ---- operand.c ---- */

/* A guest register's value in a host register: its own, or loaded into `scratch`. */
HostReg jit_get_reg(JitTranslation *t, unsigned guest, HostReg scratch);
/* The scratch registers are somebody else's now. */
void jit_forget_cached(JitTranslation *t);
/* None of them holds this any longer: it changes. */
void jit_forget_copies(JitTranslation *t, int what);
/* The scratch register (JIT_CACHE_RCX...) got what the guest register holds now. */
void jit_note_cached(JitTranslation *t, unsigned scratch, unsigned guest);
/* Behind a slow path: what is cached again. */
void jit_load_cached(JitTranslation *t, const int8_t cached[3]);
/* Store what was computed in `host` if the register lives in the EmuCpu or elsewhere. */
void jit_put_reg(JitTranslation *t, unsigned guest, HostReg host);
/* The linear address: in RAX, or the register that is all of it. RAX and RCX are lost. */
HostReg jit_linear(JitTranslation *t, const JitWhere *where);
/* LEA. RCX is lost. */
void jit_effective(JitTranslation *t, const JitWhere *where, HostReg dst, bool wide);

/* ---- memory.c ---- */

/*
 * t->mem = the host address of a memory operand, or to the slow path of this op. It uses RAX, RDX
 * and registers that hold guest registers; RCX is lost. align: power of two that the address must
 * be a multiple of, else slow; 1: none.
 */
void jit_access(JitTranslation *t, const JitWhere *where, unsigned size, bool is_write,
                unsigned align);
/* The same for the linear address in RAX, of which nothing is known. */
void jit_access_linear(JitTranslation *t, unsigned size, bool is_write, unsigned align);
/* t->mem = [RAX]. */
void jit_settle_address(JitTranslation *t);
/* RAX = the host address of the op's memory operand. */
void jit_operand_address(JitTranslation *t, unsigned size, bool is_write, unsigned align);
/* Where a slot's value is from RBP. */
static inline int32_t jit_slot_value(unsigned n)
{
    return JIT_CPU(jit_slots) + (int32_t)(n * sizeof(uint64_t));
}
/* From now on accesses look for themselves. */
void jit_forget_slots(JitTranslation *t);
/* To the slow path unless RCX is zero. */
void jit_slow_unless_zero(JitTranslation *t);
/* A jump to the slow path that is not fallen into, for short jumps of this instruction. */
uint8_t *jit_slow_place(JitTranslation *t);
/* The slow path's return comes here: the instruction is done. */
void jit_slow_done(JitTranslation *t);

/* ---- reencode.c ---- */

/* Copy the instruction with other registers; its memory operand becomes t->mem. */
JitEmit jit_emit_copy, jit_emit_bit_test, jit_emit_bit_scan, jit_emit_inc_dec, jit_emit_mov;
/* What the general registers of an instruction become. */
typedef struct JitRename {
    HostReg reg, rm, vvvv; /* by place in the encoding; HOST_NONE: as it is */
    bool memory;            /* rm is t->mem */
} JitRename;
void jit_copy_bytes(JitTranslation *t, const JitRename *rename);
/*
 * In 32-bit code the W of a VEX prefix means nothing where it would be the width of a general
 * register or of a number in memory: would it give the host's instruction 64 bits?
 */
bool jit_is_wider_on_host(const JitTranslation *t);
/*
 * What the memory operand must be aligned to, as a locked one's: across cache lines it would lock
 * the host's bus, which hosts may answer with a signal.
 */
unsigned jit_lock_alignment(const JitTranslation *t);

/* ---- branch.c, stack.c, fixed.c, privileged.c, vector.c ---- */

/* t->mem = the word at a guest register plus `disp`. */
void jit_stack_access(JitTranslation *t, unsigned base, int32_t disp, bool is_write);
JitEmit jit_emit_jcc, jit_emit_jmp, jit_emit_call, jit_emit_ret;
JitEmit jit_emit_push, jit_emit_pop, jit_emit_leave, jit_emit_pushf, jit_emit_popf;
JitEmit jit_emit_lea, jit_emit_nop, jit_emit_shift_cl, jit_emit_muldiv, jit_emit_extend_acc,
    jit_emit_div, jit_emit_cmpxchg, jit_emit_cmpxchg_pair, jit_emit_mulx, jit_emit_xchg_acc,
    jit_emit_ah_flags;
JitEmit jit_emit_swapgs, jit_emit_cli, jit_emit_sti, jit_emit_cld, jit_emit_fence;
JitEmit jit_emit_vector;
/* As jit_emit_copy, for vector instructions: their memory operand must be aligned to `align`. */
bool jit_emit_aligned_copy(JitTranslation *t, unsigned align);

/* RAX = RIP: on to its code by the jump table, or leave. (stubs.c) */
void jit_put_dispatch(const EmuJit *jit, JitAsm *as);
/* The same as a host CALL, which comes back behind it. */
void jit_put_dispatched_call(const EmuJit *jit, JitAsm *as);
/* The ways out of t->forks. */
void jit_emit_forks(JitTranslation *t);
/* Leave the block for a place `target` bytes from its page's start (may lie outside the page). */
void jit_emit_exit(JitTranslation *t, int64_t target);
/* Vector registers back to the EmuCpu, before leaving or calling out. */
void jit_vec_spill(JitTranslation *t, uint32_t mask);
void jit_vec_load(JitTranslation *t, uint32_t mask);

#endif
