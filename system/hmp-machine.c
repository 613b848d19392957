/* SPDX-License-Identifier: Apache-2.0 */
/* Human monitor: guest memory through a CPU's page tables, I/O ports, registers by name. */
#include "system/hmp-machine.h"

#include <string.h>

#include "accel/accel.h"
#include "cpu/x86/disassemble.h"
#include "hw/core/machine.h"
#include "memory/memory.h"
#include "monitor/hmp.h"
#include "util/bits.h"
#include "util/error.h"

#define PAGE 4096u
#define EFER_LMA BIT(10)
#define CS_LONG BIT(13) /* of X86Segment.attr */
#define CS_BIG BIT(14)

static const char *const general_names[X86_REG__MAX] = {
    "rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
    "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15",
};

static const char *const segment_names[X86_SEG__MAX] = {
    "es", "cs", "ss", "ds", "fs", "gs", "ldtr", "tr",
};

/* Registers that are one field of the state. bits: 32 for the old halves ("eip", "eflags"). */
static const struct {
    const char *name;
    size_t offset;
    unsigned bits;
} plain_registers[] = {
    { "rip", offsetof(X86CpuState, rip), 64 },
    { "rflags", offsetof(X86CpuState, rflags), 64 },
    { "eflags", offsetof(X86CpuState, rflags), 32 },
    { "cr0", offsetof(X86CpuState, cr0), 64 },
    { "cr2", offsetof(X86CpuState, cr2), 64 },
    { "cr3", offsetof(X86CpuState, cr3), 64 },
    { "cr4", offsetof(X86CpuState, cr4), 64 },
    { "cr8", offsetof(X86CpuState, cr8), 64 },
    { "efer", offsetof(X86CpuState, efer), 64 },
};

static VCpu *synced_cpu(int index, GError **error)
{
    VCpu *cpu = index < 0 ? NULL : vcpu_get(index);

    if (!cpu) {
        error_setf(error, "There is no CPU %d", index);
        return NULL;
    }
    return vcpu_sync_state(cpu, error) ? cpu : NULL;
}

/* "rax" all of it, "eax" its low half; r8..r15 as they stand. */
static bool general_register(const X86CpuState *state, const char *name, uint64_t *value)
{
    for (unsigned i = 0; i < X86_REG__MAX; i++) {
        const char *known = general_names[i];

        if (!strcmp(name, known)) {
            *value = state->regs[i];
            return true;
        }
        if (i < X86_R8 && name[0] == 'e' && !strcmp(name + 1, known + 1)) {
            *value = (uint32_t)state->regs[i];
            return true;
        }
    }
    return false;
}

/* "cs" is the selector, "cs.base" and "cs.limit" what it loaded. */
static bool segment_register(const X86CpuState *state, const char *name, uint64_t *value)
{
    for (unsigned i = 0; i < X86_SEG__MAX; i++) {
        size_t length = strlen(segment_names[i]);
        const X86Segment *segment = &state->segs[i];

        if (strncmp(name, segment_names[i], length)) {
            continue;
        }
        if (!name[length]) {
            *value = segment->selector;
            return true;
        }
        if (!strcmp(name + length, ".base") || !strcmp(name + length, ".limit")) {
            *value = name[length + 1] == 'b' ? segment->base : segment->limit;
            return true;
        }
    }
    return false;
}

static bool read_register(int index, const char *name, uint64_t *value, GError **error)
{
    VCpu *cpu = synced_cpu(index, error);

    if (!cpu) {
        return false;
    }
    if (general_register(&cpu->state, name, value) || segment_register(&cpu->state, name, value)) {
        return true;
    }
    /* Where code is fetched: what x/i wants. */
    if (!strcmp(name, "pc") || !strcmp(name, "eip")) {
        *value = cpu->state.segs[X86_CS].base + cpu->state.rip;
        return true;
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(plain_registers); i++) {
        if (!strcmp(name, plain_registers[i].name)) {
            memcpy(value, (const char *)&cpu->state + plain_registers[i].offset, sizeof(*value));
            *value &= ~0ULL >> (64 - plain_registers[i].bits);
            return true;
        }
    }
    error_setf(error, "There is no register '%s'", name);
    return false;
}

/* Memory only: a look must not disturb a device. */
static bool read_physical(uint64_t addr, void *buf, size_t len, GError **error)
{
    AddressSpace *as = address_space_memory();

    if (!address_space_is_ram(as, addr, len) || address_space_read(as, addr, buf, len) != MEM_OK) {
        error_setf(error, "There is no memory at 0x%" G_GINT64_MODIFIER "x", addr);
        return false;
    }
    return true;
}

static bool read_virtual(int index, uint64_t addr, void *buf, size_t len, GError **error)
{
    VCpu *cpu = synced_cpu(index, error);
    uint8_t *out = buf;

    while (cpu && len) {
        size_t part = MIN(len, PAGE - addr % PAGE);
        uint64_t physical;

        if (!vcpu_translate(cpu, addr, &physical)) {
            error_setf(error, "CPU %d has nothing mapped at 0x%" G_GINT64_MODIFIER "x", index,
                       addr);
            return false;
        }
        if (!read_physical(physical, out, part, error)) {
            return false;
        }
        addr += part;
        out += part;
        len -= part;
    }
    return cpu != NULL;
}

static bool read_port(uint16_t port, unsigned size, uint32_t *value, GError **error)
{
    uint64_t wide;

    address_space_load(address_space_io(), port, size, &wide); /* nobody there: all ones */
    *value = (uint32_t)wide;
    return true;
}

static bool write_port(uint16_t port, unsigned size, uint32_t value, GError **error)
{
    address_space_store(address_space_io(), port, size, value);
    return true;
}

/* As the CPU would decode it now. */
static char *disassemble(int index, uint64_t addr, const uint8_t *code, size_t len,
                         unsigned *length)
{
    VCpu *cpu = synced_cpu(index, NULL);
    uint32_t attr = cpu ? cpu->state.segs[X86_CS].attr : 0;
    unsigned bits = cpu && (cpu->state.efer & EFER_LMA) && (attr & CS_LONG) ? 64
                    : attr & CS_BIG                                         ? 32
                                                                            : 16;

    return x86_disassemble(code, len, bits, addr, length);
}

/* disassemble is set when there is one. */
static HmpMachine machine = {
    .n_cpus = vcpu_count,
    .read_physical = read_physical,
    .read_virtual = read_virtual,
    .read_register = read_register,
    .read_port = read_port,
    .write_port = write_port,
};

static bool print_registers(Hmp *hmp, int index, GError **error)
{
    VCpu *cpu = synced_cpu(index, error);
    g_autofree char *text = cpu ? x86_cpu_state_describe(&cpu->state, cpu->index) : NULL;

    if (!text) {
        return false;
    }
    hmp_printf(hmp, "%sA20=%d\n", text, accel_a20_mask() == UINT64_MAX);
    return true;
}

static bool info_registers(Hmp *hmp, const HmpValue *values, GError **error)
{
    if (!values[0].present) {
        return print_registers(hmp, hmp_cpu(hmp), error);
    }
    for (unsigned i = 0; i < MAX_CPUS; i++) {
        if (vcpu_get(i) && !print_registers(hmp, i, error)) {
            return false;
        }
    }
    return true;
}

static bool info_qtree(Hmp *hmp, const HmpValue *values, GError **error)
{
    g_autofree char *tree = device_tree_describe();

    hmp_puts(hmp, tree);
    return true;
}

static bool info_jit(Hmp *hmp, const HmpValue *values, GError **error)
{
    g_autofree char *text = NULL;

    if (!accel_current() || !accel_ops()->describe_jit) {
        error_setf(error, "JIT information is only available with accel=tcg");
        return false;
    }
    text = accel_ops()->describe_jit(accel_current());
    hmp_puts(hmp, text);
    return true;
}

static const HmpCommand machine_info[] = {
    { .name = "qtree", .help = "devices by bus, with their properties", .run = info_qtree },
    {
        .name = "registers",
        .help = "registers of the CPU, or (-a) of all",
        .args = { { "-a", HMP_FLAG } },
        .run = info_registers,
    },
    { .name = "jit", .help = "translation of guest code by the software CPU", .run = info_jit },
    { .name = NULL },
};

void hmp_machine_register(void)
{
    machine.disassemble = x86_disassemble_available() ? disassemble : NULL;
    hmp_set_machine(&machine);
    hmp_add_info(machine_info);
    hmp_memory_register();
    hmp_paging_register();
    hmp_chips_register();
}
