/* SPDX-License-Identifier: Apache-2.0 */
/*
 * x87, SSE and AVX registers stand in the state's XSAVE image (SDM vol. 1, 13.4), where a component
 * whose bit in XSTATE_BV is clear has its initial value whatever the bytes say.
 */
#include "gdbstub/registers.h"

#include <string.h>

#include "cpu/x86/features.h"
#include "util/bits.h"

#define RFLAGS_VM BIT(17)
#define CR0_PE BIT(0)
#define CR0_PG BIT_ULL(31)
#define EFER_LMA BIT(10)
#define MSR_KERNEL_GS_BASE 0xc0000102u
#define RFLAGS_FIXED 2u

/* The XSAVE image. */
enum {
    XSAVE_FCW = 0, XSAVE_FSW = 2, XSAVE_FTW = 4, XSAVE_FOP = 6, XSAVE_FIP = 8, XSAVE_FCS = 12,
    XSAVE_FDP = 16, XSAVE_FDS = 20, XSAVE_MXCSR = 24, XSAVE_ST = 32, XSAVE_XMM = 160,
    XSAVE_BV = 512, XSAVE_YMMH = 576, XSAVE_AVX_END = 832, XSAVE_SLOT = 16,
    COMPONENT_X87 = 1u << 0, COMPONENT_SSE = 1u << 1, COMPONENT_AVX = 1u << 2,
    FCW_INIT = 0x37f,
};

typedef enum RegKind {
    K_GENERAL, K_IP, K_FLAGS, K_SEGMENT, K_SEGMENT_BASE, K_KERNEL_GS_BASE,
    K_ST, K_FCW, K_FSW, K_FTW, K_FISEG, K_FIOFF, K_FOSEG, K_FOOFF, K_FOP,
    K_XMM, K_MXCSR, K_YMMH,
    K_CR0, K_CR2, K_CR3, K_CR4, K_CR8, K_EFER, K_XCR0, K_GDT, K_IDT,
} RegKind;

typedef enum RegFeature { FEATURE_CORE, FEATURE_SSE, FEATURE_SEGMENTS, FEATURE_SYSTEM,
                          FEATURE_AVX } RegFeature;

struct GdbRegister {
    const char *name;
    uint8_t bits, kind, index, feature;
    const char *type;
};

static const char *const feature_names[] = {
    [FEATURE_CORE] = "org.gnu.gdb.i386.core",
    [FEATURE_SSE] = "org.gnu.gdb.i386.sse",
    [FEATURE_SEGMENTS] = "org.gnu.gdb.i386.segments",
    [FEATURE_SYSTEM] = "org.vireo.i386.system",
    [FEATURE_AVX] = "org.gnu.gdb.i386.avx",
};

#define CORE(n, b, k, i, t) { n, b, k, i, FEATURE_CORE, t }
#define GENERAL(n, b, i) CORE(n, b, K_GENERAL, X86_##i, "int" #b)
#define SEGMENTS                                                                                   \
    CORE("cs", 32, K_SEGMENT, X86_CS, "int32"), CORE("ss", 32, K_SEGMENT, X86_SS, "int32"),        \
    CORE("ds", 32, K_SEGMENT, X86_DS, "int32"), CORE("es", 32, K_SEGMENT, X86_ES, "int32"),        \
    CORE("fs", 32, K_SEGMENT, X86_FS, "int32"), CORE("gs", 32, K_SEGMENT, X86_GS, "int32")
#define ST(i) CORE("st" #i, 80, K_ST, i, "i387_ext")
#define X87                                                                                        \
    ST(0), ST(1), ST(2), ST(3), ST(4), ST(5), ST(6), ST(7),                                        \
    CORE("fctrl", 32, K_FCW, 0, "int"), CORE("fstat", 32, K_FSW, 0, "int"),                        \
    CORE("ftag", 32, K_FTW, 0, "int"), CORE("fiseg", 32, K_FISEG, 0, "int"),                       \
    CORE("fioff", 32, K_FIOFF, 0, "int"), CORE("foseg", 32, K_FOSEG, 0, "int"),                    \
    CORE("fooff", 32, K_FOOFF, 0, "int"), CORE("fop", 32, K_FOP, 0, "int")
#define XMM(i) { "xmm" #i, 128, K_XMM, i, FEATURE_SSE, "vec128" }
#define XMM_LOW XMM(0), XMM(1), XMM(2), XMM(3), XMM(4), XMM(5), XMM(6), XMM(7)
#define XMM_HIGH XMM(8), XMM(9), XMM(10), XMM(11), XMM(12), XMM(13), XMM(14), XMM(15)
#define MXCSR { "mxcsr", 32, K_MXCSR, 0, FEATURE_SSE, "i386_mxcsr" }
#define SYSTEM(n, b, k, i) { n, b, k, i, FEATURE_SYSTEM, "uint" #b }
#define SYSTEM_COMMON(b)                                                                           \
    SYSTEM("cr0", b, K_CR0, 0), SYSTEM("cr2", b, K_CR2, 0), SYSTEM("cr3", b, K_CR3, 0),            \
    SYSTEM("cr4", b, K_CR4, 0), SYSTEM("efer", 64, K_EFER, 0),                                     \
    SYSTEM("xcr0", 64, K_XCR0, 0), SYSTEM("gdt_base", b, K_GDT, 0),                                \
    SYSTEM("idt_base", b, K_IDT, 0),                                                               \
    SYSTEM("tss_base", b, K_SEGMENT_BASE, X86_TR),                                                 \
    SYSTEM("ldt_base", b, K_SEGMENT_BASE, X86_LDTR)
#define YMMH(i) { "ymm" #i "h", 128, K_YMMH, i, FEATURE_AVX, "uint128" }
#define YMMH_LOW YMMH(0), YMMH(1), YMMH(2), YMMH(3), YMMH(4), YMMH(5), YMMH(6), YMMH(7)
#define YMMH_HIGH YMMH(8), YMMH(9), YMMH(10), YMMH(11), YMMH(12), YMMH(13), YMMH(14), YMMH(15)

static const GdbRegister registers64[] = {
    GENERAL("rax", 64, RAX), GENERAL("rbx", 64, RBX), GENERAL("rcx", 64, RCX),
    GENERAL("rdx", 64, RDX), GENERAL("rsi", 64, RSI), GENERAL("rdi", 64, RDI),
    CORE("rbp", 64, K_GENERAL, X86_RBP, "data_ptr"),
    CORE("rsp", 64, K_GENERAL, X86_RSP, "data_ptr"),
    GENERAL("r8", 64, R8), GENERAL("r9", 64, R9), GENERAL("r10", 64, R10),
    GENERAL("r11", 64, R11), GENERAL("r12", 64, R12), GENERAL("r13", 64, R13),
    GENERAL("r14", 64, R14), GENERAL("r15", 64, R15),
    CORE("rip", 64, K_IP, 0, "code_ptr"), CORE("eflags", 32, K_FLAGS, 0, "i386_eflags"),
    SEGMENTS, X87, XMM_LOW, XMM_HIGH, MXCSR,
    { "fs_base", 64, K_SEGMENT_BASE, X86_FS, FEATURE_SEGMENTS, "int" },
    { "gs_base", 64, K_SEGMENT_BASE, X86_GS, FEATURE_SEGMENTS, "int" },
    SYSTEM_COMMON(64), SYSTEM("k_gs_base", 64, K_KERNEL_GS_BASE, 0),
    SYSTEM("cr8", 64, K_CR8, 0),
    YMMH_LOW, YMMH_HIGH,
};

static const GdbRegister registers32[] = {
    GENERAL("eax", 32, RAX), GENERAL("ecx", 32, RCX), GENERAL("edx", 32, RDX),
    GENERAL("ebx", 32, RBX), CORE("esp", 32, K_GENERAL, X86_RSP, "data_ptr"),
    CORE("ebp", 32, K_GENERAL, X86_RBP, "data_ptr"), GENERAL("esi", 32, RSI),
    GENERAL("edi", 32, RDI),
    CORE("eip", 32, K_IP, 0, "code_ptr"), CORE("eflags", 32, K_FLAGS, 0, "i386_eflags"),
    SEGMENTS, X87, XMM_LOW, MXCSR,
    SYSTEM_COMMON(32),
    SYSTEM("fs_base", 32, K_SEGMENT_BASE, X86_FS),
    SYSTEM("gs_base", 32, K_SEGMENT_BASE, X86_GS),
    YMMH_LOW,
};

/* ---- Layouts ---- */

static bool has_feature(const VCpu *cpu, X86FeatureId id)
{
    return !cpu->config ||
           (x86_cpu_config_word(cpu->config, x86_feature_word(id)) & x86_feature_mask(id));
}

GdbLayout gdb_layout_for(VCpu *cpu)
{
    const X86CpuState *state = &cpu->state;
    bool synced = vcpu_sync_state(cpu, NULL);
    bool is32 = !has_feature(cpu, F_LM) ||
                (synced && (state->cr0 & CR0_PG) && !(state->efer & EFER_LMA));
    GdbLayout layout = {
        .architecture = is32 ? "i386" : "i386:x86-64",
        .registers = is32 ? registers32 : registers64,
        .count = is32 ? G_N_ELEMENTS(registers32) : G_N_ELEMENTS(registers64),
        .avx = has_feature(cpu, F_AVX),
    };

    if (!layout.avx) {
        layout.count -= is32 ? 8 : 16;
    }
    return layout;
}

void gdb_layout_expedited(const GdbLayout *layout, unsigned numbers[3])
{
    for (unsigned n = 0; n < layout->count; n++) {
        const GdbRegister *reg = &layout->registers[n];

        if (reg->kind == K_IP) {
            numbers[0] = n;
        } else if (reg->kind == K_GENERAL && reg->index == X86_RSP) {
            numbers[1] = n;
        } else if (reg->kind == K_GENERAL && reg->index == X86_RBP) {
            numbers[2] = n;
        }
    }
}

/* ---- The description ---- */

static const char flags_types[] =
    "<flags id=\"i386_eflags\" size=\"4\">"
    "<field name=\"CF\" start=\"0\" end=\"0\"/><field name=\"\" start=\"1\" end=\"1\"/>"
    "<field name=\"PF\" start=\"2\" end=\"2\"/><field name=\"AF\" start=\"4\" end=\"4\"/>"
    "<field name=\"ZF\" start=\"6\" end=\"6\"/><field name=\"SF\" start=\"7\" end=\"7\"/>"
    "<field name=\"TF\" start=\"8\" end=\"8\"/><field name=\"IF\" start=\"9\" end=\"9\"/>"
    "<field name=\"DF\" start=\"10\" end=\"10\"/><field name=\"OF\" start=\"11\" end=\"11\"/>"
    "<field name=\"NT\" start=\"14\" end=\"14\"/><field name=\"RF\" start=\"16\" end=\"16\"/>"
    "<field name=\"VM\" start=\"17\" end=\"17\"/><field name=\"AC\" start=\"18\" end=\"18\"/>"
    "<field name=\"VIF\" start=\"19\" end=\"19\"/><field name=\"VIP\" start=\"20\" end=\"20\"/>"
    "<field name=\"ID\" start=\"21\" end=\"21\"/></flags>";

static const char sse_types[] =
    "<vector id=\"v4f\" type=\"ieee_single\" count=\"4\"/>"
    "<vector id=\"v2d\" type=\"ieee_double\" count=\"2\"/>"
    "<vector id=\"v16i8\" type=\"int8\" count=\"16\"/>"
    "<vector id=\"v8i16\" type=\"int16\" count=\"8\"/>"
    "<vector id=\"v4i32\" type=\"int32\" count=\"4\"/>"
    "<vector id=\"v2i64\" type=\"int64\" count=\"2\"/>"
    "<union id=\"vec128\"><field name=\"v4_float\" type=\"v4f\"/>"
    "<field name=\"v2_double\" type=\"v2d\"/><field name=\"v16_int8\" type=\"v16i8\"/>"
    "<field name=\"v8_int16\" type=\"v8i16\"/><field name=\"v4_int32\" type=\"v4i32\"/>"
    "<field name=\"v2_int64\" type=\"v2i64\"/><field name=\"uint128\" type=\"uint128\"/></union>"
    "<flags id=\"i386_mxcsr\" size=\"4\">"
    "<field name=\"IE\" start=\"0\" end=\"0\"/><field name=\"DE\" start=\"1\" end=\"1\"/>"
    "<field name=\"ZE\" start=\"2\" end=\"2\"/><field name=\"OE\" start=\"3\" end=\"3\"/>"
    "<field name=\"UE\" start=\"4\" end=\"4\"/><field name=\"PE\" start=\"5\" end=\"5\"/>"
    "<field name=\"DAZ\" start=\"6\" end=\"6\"/><field name=\"IM\" start=\"7\" end=\"7\"/>"
    "<field name=\"DM\" start=\"8\" end=\"8\"/><field name=\"ZM\" start=\"9\" end=\"9\"/>"
    "<field name=\"OM\" start=\"10\" end=\"10\"/><field name=\"UM\" start=\"11\" end=\"11\"/>"
    "<field name=\"PM\" start=\"12\" end=\"12\"/><field name=\"FZ\" start=\"15\" end=\"15\"/>"
    "</flags>";

char *gdb_layout_describe(const GdbLayout *layout)
{
    GString *xml = g_string_new("<?xml version=\"1.0\"?><!DOCTYPE target SYSTEM "
                                "\"gdb-target.dtd\"><target version=\"1.0\">");
    int feature = -1;

    g_string_append_printf(xml, "<architecture>%s</architecture>", layout->architecture);
    for (unsigned n = 0; n < layout->count; n++) {
        const GdbRegister *reg = &layout->registers[n];

        if (reg->feature != feature) {
            g_string_append_printf(xml, "%s\n<feature name=\"%s\">",
                                   feature < 0 ? "" : "</feature>", feature_names[reg->feature]);
            g_string_append(xml, reg->feature == FEATURE_CORE ? flags_types :
                                 reg->feature == FEATURE_SSE ? sse_types : "");
            feature = reg->feature;
        }
        g_string_append_printf(xml, "\n<reg name=\"%s\" bitsize=\"%u\" type=\"%s\""
                               " regnum=\"%u\"%s/>", reg->name, reg->bits, reg->type, n,
                               reg->feature == FEATURE_SYSTEM ? " group=\"system\"" : "");
    }
    g_string_append(xml, "</feature></target>\n");
    return g_string_free(xml, false);
}

/* ---- The XSAVE image ---- */

static bool in_use(const X86CpuState *state, uint64_t component)
{
    return ldq_le(state->xsave + XSAVE_BV) & component;
}

/* Before one register of a component is set, the others get the values that they have. */
static void make_used(X86CpuState *state, uint64_t component)
{
    if (in_use(state, component)) {
        return;
    }
    if (component == COMPONENT_X87) {
        memset(state->xsave, 0, XSAVE_MXCSR);
        memset(state->xsave + XSAVE_ST, 0, XSAVE_XMM - XSAVE_ST);
        stw_le(state->xsave + XSAVE_FCW, FCW_INIT);
    } else if (component == COMPONENT_SSE) {
        memset(state->xsave + XSAVE_XMM, 0, 16 * XSAVE_SLOT);
    } else {
        memset(state->xsave + XSAVE_YMMH, 0, XSAVE_AVX_END - XSAVE_YMMH);
    }
    stq_le(state->xsave + XSAVE_BV, ldq_le(state->xsave + XSAVE_BV) | component);
}

/* What FSAVE's tag says of a value: 0 valid, 1 zero, 2 special. */
static unsigned tag_of(const uint8_t *st)
{
    unsigned exponent = ldw_le(st + 8) & 0x7fff;
    uint64_t significand = ldq_le(st);

    if (exponent == 0 && significand == 0) {
        return 1;
    }
    return exponent == 0x7fff || !(significand >> 63) ? 2 : 0;
}

/* The full tag word, by physical register, from the image's bit per register. */
static uint16_t full_tags(const X86CpuState *state)
{
    unsigned top = ldw_le(state->xsave + XSAVE_FSW) >> 11 & 7;
    uint16_t tags = 0;

    for (unsigned i = 0; i < 8; i++) {
        unsigned tag = 3;

        if (in_use(state, COMPONENT_X87) && (state->xsave[XSAVE_FTW] & 1u << i)) {
            tag = tag_of(state->xsave + XSAVE_ST + ((i - top) & 7) * XSAVE_SLOT);
        }
        tags |= tag << 2 * i;
    }
    return tags;
}

static uint8_t abridged_tags(uint16_t tags)
{
    uint8_t bits = 0;

    for (unsigned i = 0; i < 8; i++) {
        bits |= (tags >> 2 * i & 3) != 3 ? 1u << i : 0;
    }
    return bits;
}

/* Where a register stands in the image, and how many bytes of it; 0: elsewhere. */
static unsigned image_place(const GdbRegister *reg, unsigned *offset, uint64_t *component)
{
    static const struct {
        uint16_t offset;
        uint8_t len, component;
    } places[] = {
        [K_ST] = { XSAVE_ST, 10, COMPONENT_X87 }, [K_FCW] = { XSAVE_FCW, 2, COMPONENT_X87 },
        [K_FSW] = { XSAVE_FSW, 2, COMPONENT_X87 }, [K_FOP] = { XSAVE_FOP, 2, COMPONENT_X87 },
        [K_FIOFF] = { XSAVE_FIP, 4, COMPONENT_X87 },
        [K_FISEG] = { XSAVE_FCS, 2, COMPONENT_X87 },
        [K_FOOFF] = { XSAVE_FDP, 4, COMPONENT_X87 },
        [K_FOSEG] = { XSAVE_FDS, 2, COMPONENT_X87 },
        [K_XMM] = { XSAVE_XMM, 16, COMPONENT_SSE },
        [K_YMMH] = { XSAVE_YMMH, 16, COMPONENT_AVX },
    };

    if (reg->kind >= G_N_ELEMENTS(places)) {
        return 0;
    }
    *offset = places[reg->kind].offset + reg->index * XSAVE_SLOT;
    *component = places[reg->kind].component;
    return places[reg->kind].len;
}

static void read_image(const GdbRegister *reg, const X86CpuState *state, unsigned offset,
                       unsigned len, uint64_t component, uint8_t *bytes)
{
    if (in_use(state, component)) {
        memcpy(bytes, state->xsave + offset, len);
    } else if (reg->kind == K_FCW) {
        stw_le(bytes, FCW_INIT);
    }
}

/* ---- One register ---- */

static uint64_t kernel_gs_base(const X86CpuState *state)
{
    uint64_t value = 0;

    x86_cpu_state_get_msr(state, MSR_KERNEL_GS_BASE, &value);
    return value;
}

static uint64_t read_value(const GdbRegister *reg, const X86CpuState *state)
{
    switch ((RegKind)reg->kind) {
    case K_GENERAL:
        return state->regs[reg->index];
    case K_IP:
        return state->rip;
    case K_FLAGS:
        return state->rflags;
    case K_SEGMENT:
        return state->segs[reg->index].selector;
    case K_SEGMENT_BASE:
        return state->segs[reg->index].base;
    case K_KERNEL_GS_BASE:
        return kernel_gs_base(state);
    case K_FTW:
        return full_tags(state);
    case K_MXCSR:
        return ldl_le(state->xsave + XSAVE_MXCSR);
    case K_CR0:
        return state->cr0;
    case K_CR2:
        return state->cr2;
    case K_CR3:
        return state->cr3;
    case K_CR4:
        return state->cr4;
    case K_CR8:
        return state->cr8;
    case K_EFER:
        return state->efer;
    case K_XCR0:
        return state->xcr0;
    case K_GDT:
        return state->gdt.base;
    case K_IDT:
        return state->idt.base;
    default:
        return 0;
    }
}

/* Selectors mean something by themselves in real and virtual-8086 mode only. */
static bool write_selector(X86CpuState *state, unsigned seg, uint64_t value)
{
    if (value == state->segs[seg].selector) {
        return true;
    }
    if ((state->cr0 & CR0_PE) && !(state->rflags & RFLAGS_VM)) {
        return false;
    }
    state->segs[seg].selector = (uint16_t)value;
    state->segs[seg].base = (value & 0xffff) << 4;
    return true;
}

static bool write_value(const GdbRegister *reg, X86CpuState *state, uint64_t value)
{
    switch ((RegKind)reg->kind) {
    case K_GENERAL:
        state->regs[reg->index] = value;
        return true;
    case K_IP:
        state->rip = value;
        return true;
    case K_FLAGS:
        state->rflags = value | RFLAGS_FIXED;
        return true;
    case K_SEGMENT:
        return write_selector(state, reg->index, value);
    case K_SEGMENT_BASE:
        state->segs[reg->index].base = value;
        return true;
    case K_KERNEL_GS_BASE:
        return x86_cpu_state_set_msr(state, MSR_KERNEL_GS_BASE, value);
    case K_FTW:
        make_used(state, COMPONENT_X87);
        state->xsave[XSAVE_FTW] = abridged_tags((uint16_t)value);
        return true;
    case K_MXCSR:
        make_used(state, COMPONENT_SSE);
        stl_le(state->xsave + XSAVE_MXCSR, (uint32_t)value & 0xffff);
        return true;
    case K_CR0:
        state->cr0 = value;
        return true;
    case K_CR2:
        state->cr2 = value;
        return true;
    case K_CR3:
        state->cr3 = value;
        return true;
    case K_CR4:
        state->cr4 = value;
        return true;
    case K_CR8:
        state->cr8 = value & 0xf;
        return true;
    case K_EFER:
        state->efer = value;
        return true;
    default:
        return value == read_value(reg, state);
    }
}

unsigned gdb_register_size(const GdbLayout *layout, unsigned n)
{
    return n < layout->count ? layout->registers[n].bits / 8u : 0;
}

unsigned gdb_register_read(const GdbLayout *layout, unsigned n, const X86CpuState *state,
                           uint8_t bytes[GDB_REGISTER_BYTES])
{
    const GdbRegister *reg = &layout->registers[n];
    unsigned offset, len;
    uint64_t component;

    if (n >= layout->count) {
        return 0;
    }
    memset(bytes, 0, GDB_REGISTER_BYTES);
    len = image_place(reg, &offset, &component);
    if (len) {
        read_image(reg, state, offset, len, component, bytes);
    } else {
        stq_le(bytes, read_value(reg, state));
    }
    return reg->bits / 8;
}

bool gdb_register_write(const GdbLayout *layout, unsigned n, X86CpuState *state,
                        const uint8_t bytes[GDB_REGISTER_BYTES])
{
    const GdbRegister *reg = &layout->registers[n];
    unsigned offset, len;
    uint64_t component, value = ldq_le(bytes);
    uint8_t old[GDB_REGISTER_BYTES];

    /* What would not change is no write: the rest of a 64-bit register stays as it is. */
    gdb_register_read(layout, n, state, old);
    if (memcmp(old, bytes, reg->bits / 8) == 0) {
        return true;
    }
    len = image_place(reg, &offset, &component);
    if (len) {
        make_used(state, component);
        memcpy(state->xsave + offset, bytes, len);
        return true;
    }
    if (reg->bits < 64) {
        value &= BIT_ULL(reg->bits) - 1;
    }
    return write_value(reg, state, value);
}
