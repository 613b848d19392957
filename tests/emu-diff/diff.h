/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The differential test of the software CPU: the same code, from the same state, on the host's
 * processor (native.c, in a process of its own) and on accel/emu (guest.c).
 *
 * Memory of a case, at the same linear addresses on both sides, below 4 GiB so that 32-bit
 * addresses reach it; the pages around are not mapped:
 *   code   2 pages, read and execute; INT3 but for the case's code
 *   ro     1 page, read only, followed at once by
 *   data   2 pages, read and write
 *   stack  2 pages, read and write
 * A case ends with the first exception: the INT3 behind its code at the latest.
 *
 * Code is of 64, 32 or 16 bits; the latter two are compatibility mode, with segments of the GDT
 * that Linux gives its processes and of an LDT (segments.c), which both sides have.
 */
#ifndef VIREO_TESTS_EMU_DIFF_DIFF_H
#define VIREO_TESTS_EMU_DIFF_DIFF_H

#include <stdbool.h>
#include <stdint.h>

#include <Zydis/Zydis.h>

#define PAGE 4096u
#define CODE_AT 0x10000000ull
#define CODE_SIZE (2 * PAGE)
#define RO_AT 0x10010000ull
#define RO_SIZE PAGE
#define DATA_AT (RO_AT + RO_SIZE)
#define DATA_SIZE (2 * PAGE)
#define STACK_AT 0x10020000ull
#define STACK_SIZE (2 * PAGE)

#define LINE 64u
#define LINES ((DATA_SIZE + STACK_SIZE) / LINE)
#define MAX_LINES 40u       /* stored; beyond, only their hash is compared */
#define MAX_CODE 320u
#define MAX_INSNS 17u
#define MAX_STEPS 3000u     /* of a single-stepped case */
#define KEPT_STEPS 64u      /* of which report.c can tell something */
#define BATCH 256u

enum {
    DIFF_RAX, DIFF_RCX, DIFF_RDX, DIFF_RBX, DIFF_RSP, DIFF_RBP, DIFF_RSI, DIFF_RDI, DIFF_R15 = 15,
};

/* In encoding order; the same as X86SegReg. */
enum { DIFF_ES, DIFF_CS, DIFF_SS, DIFF_DS, DIFF_FS, DIFF_GS, DIFF_SEGS };

typedef enum CodeMode { CODE_64, CODE_32, CODE_16, CODE_MODES } CodeMode;

/* Offsets in the XSAVE area (standard form). */
enum {
    XS_FCW = 0, XS_FSW = 2, XS_FTW = 4, XS_FOP = 6, XS_FIP = 8, XS_FDP = 16, XS_MXCSR = 24,
    XS_ST = 32, XS_XMM = 160, XS_LEGACY = 416, XS_HEADER = 512, XS_YMM = 576, XS_SIZE = 832,
};

/* Everything that CPL 3 can see of the processor. */
typedef struct State {
    uint64_t gpr[16]; /* in encoding order */
    uint64_t rip, rflags;
    uint64_t fs_base, gs_base;
    uint16_t selector[DIFF_SEGS];
    uint8_t x[XS_SIZE]; /* without header and reserved bytes: zero */
} State;

typedef struct Image {
    uint8_t ro[RO_SIZE], data[DATA_SIZE], stack[STACK_SIZE];
} Image;

typedef struct Case {
    State start;
    uint8_t mode;         /* CodeMode */
    bool step;            /* RFLAGS.TF all the way: the state after every instruction counts */
    uint16_t code_offset, code_len;
    uint8_t insns;
    struct {
        uint16_t offset;  /* in code */
        uint8_t length;
        uint16_t mnemonic;
    } insn[MAX_INSNS];
    uint8_t code[MAX_CODE];
} Case;

typedef enum Status {
    STATUS_NONE,
    STATUS_FAULT,   /* the case ended, as it should */
    STATUS_TIMEOUT,
    STATUS_SKIP,    /* it did something that this test does not cover (a system call) */
    STATUS_CRASH,
} Status;

typedef struct Result {
    uint8_t status, vector;
    uint32_t error;
    uint64_t cr2;         /* 0 unless a page fault */
    State end;
    uint32_t steps;
    uint64_t trace;       /* hash of the states after all steps */
    struct {
        uint64_t rip, rflags, hash;
    } step[KEPT_STEPS];
    uint32_t line_count;  /* of memory that changed */
    uint64_t line_hash;
    uint16_t line[MAX_LINES];
    uint8_t bytes[MAX_LINES][LINE];
} Result;

/* One batch, shared by both sides. */
typedef struct Batch {
    Image image;
    uint32_t count;
    uint32_t next;        /* which case runs natively now */
    Case cases[BATCH];
    Result results[BATCH];
} Batch;

/* ---- Random numbers ---- */

typedef struct Random {
    uint64_t state;
} Random;

static inline uint64_t next64(Random *r)
{
    uint64_t z = r->state += 0x9e3779b97f4a7c15ull;

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ z >> 27) * 0x94d049bb133111ebull;
    return z ^ z >> 31;
}

static inline uint32_t below(Random *r, uint32_t limit)
{
    return (next64(r) >> 32) * limit >> 32;
}

static inline bool chance(Random *r, uint32_t percent)
{
    return below(r, 100) < percent;
}

/* ---- Segments (segments.c) ---- */

/* Selectors of the GDT. */
enum { SEL_USER32_CS = 0x23, SEL_USER_DS = 0x2b, SEL_USER_CS = 0x33,
       SEL_CPU_NUMBER = 0x7b };

/* Descriptors of the LDT. */
typedef enum LdtEntry {
    LDT_FLAT, LDT_LOW, LDT_DATA, LDT_DATA_SHORT, LDT_READ_ONLY, LDT_DOWN, LDT_DOWN16, LDT_BASED,
    LDT_ABSENT, LDT_STACK16, LDT_STACK_DOWN, LDT_CODE, LDT_CODE_EXECUTE_ONLY, LDT_CODE_BASED,
    LDT_CODE16, LDT_COUNT
} LdtEntry;

#define LDT_SELECTOR(entry) ((entry) << 3 | 7)
#define GDT_BYTES 0x80u

typedef struct Segment {
    uint32_t base, limit;      /* the limit in bytes, or in pages */
    bool code, down, pages;
    bool readable;             /* code; data: writable */
    bool big, absent;
} Segment;

const Segment *ldt_segment(LdtEntry entry);
/* As the processor reads it; 0 if no user may know more of it. */
uint64_t descriptor_of(uint16_t selector);
uint32_t descriptor_base(uint64_t descriptor);
/* Any return to an outer level, so any interrupt, makes null selectors 0. */
static inline uint16_t settled_selector(uint16_t selector)
{
    return selector & ~3 ? selector : 0;
}

/* One that there is, mostly. */
uint16_t random_selector(Random *r);

/* ---- What both sides compute alike (common.c) ---- */

uint64_t mix(uint64_t hash, uint64_t value);
void note_step(Result *result, const State *state);
/* Find lines of data and stack that differ from the image, note them in the result, restore. */
void collect_lines(const Image *image, uint8_t *data, uint8_t *stack, Result *result);

/* ---- Forms of instructions (forms.c) ---- */

typedef struct Form {
    uint16_t mnemonic;
    uint8_t vex;          /* else legacy */
    uint8_t map;          /* 0: one byte, 1: 0F, 2: 0F38, 3: 0F3A */
    uint8_t opcode;
    uint8_t prefix;       /* 0, 0x66, 0xf2, 0xf3 */
    uint8_t w, l;
    bool has_modrm, memory;
    bool reg_free, rm_free; /* ModRM fields that name registers */
    bool vsib, lockable;
    uint8_t reg, rm;
} Form;

typedef struct Forms {
    CodeMode mode;
    Form *rows;           /* by mnemonic */
    uint32_t count;
    uint32_t *first;      /* of each mnemonic that has any */
    uint32_t mnemonics;
} Forms;

void init_decoder(CodeMode mode, ZydisDecoder *decoder);
/* Why a mnemonic that accel/emu implements is not tested; NULL: it is. */
const char *not_tested(CodeMode mode, ZydisMnemonic mnemonic);
/* Does this host execute it as the guest's CPUID promises? */
bool host_has(const ZydisDecodedInstruction *insn);
/* May this run in the native process, and does accel/emu claim to implement it? */
bool is_testable(CodeMode mode, const ZydisDecodedInstruction *insn,
                 const ZydisDecodedOperand *operands);
Forms *forms_new(CodeMode mode);
void forms_free(Forms *forms);

/* ---- Cases (generate.c, state-gen.c) ---- */

typedef struct Features {
    bool fsgsbase;
    bool split_locks;     /* the kernel lets LOCKed accesses cross cache lines */
    bool code32;          /* and gives processes segments */
} Features;

/* What a case wants of its registers. */
typedef struct Plan {
    CodeMode mode;
    uint16_t pointers, indices; /* masks of registers */
    bool loop;            /* the counter counts: R15, or EBP */
    bool fs_allowed;
} Plan;

void make_image(Random *r, Image *image);
void make_state(Random *r, const Plan *plan, State *state);
void make_case(Random *r, const Forms *forms, const Features *features, Case *test);
/* A random address in or around the case's memory. */
uint64_t random_address(Random *r);

static inline unsigned loop_counter(CodeMode mode)
{
    return mode == CODE_64 ? DIFF_R15 : DIFF_RBP;
}

/* ---- The host's side (native.c) ---- */

typedef struct Native Native;

Native *native_new(unsigned slots, Batch **batches, Features *features);
void native_free(Native *native);
/* Begin; results are there after native_wait(). One slot at a time. */
void native_start(Native *native, unsigned slot);
void native_wait(Native *native);
/* Has the process a page there? */
bool native_has_page(const Native *native, uint64_t address);

/* ---- accel/emu's side (guest.c) ---- */

typedef struct Guest Guest;

typedef enum Flavour {
    FLAVOUR_BLOCKS,     /* interpreted */
    FLAVOUR_SINGLE,     /* interpreted, one instruction a block */
    FLAVOUR_TRANSLATED,
    FLAVOUR_AGAIN,      /* the same translation, linked now */
    FLAVOUR_COUNT
} Flavour;

Guest *guest_new(void);
void guest_free(Guest *guest);
bool guest_translates(const Guest *guest);
void guest_set_image(Guest *guest, const Image *image);
/* FLAVOUR_AGAIN must follow FLAVOUR_TRANSLATED of the same case. */
void guest_run(Guest *guest, const Case *test, Flavour flavour, Result *result);

/* ---- Comparing (report.c) ---- */

/* True: equal, but for what docs/devel/emu-testing.md excepts. */
bool results_equal(const Case *test, const Result *native, const Result *guest);
void report_mismatch(const char *where, const Case *test, const Image *image, Flavour flavour,
                     const Result *native, const Result *guest);

#endif
