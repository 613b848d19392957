/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Local APIC of a P6-and-later CPU, xAPIC and x2APIC (Intel SDM vol. 3, chapter 11).
 *
 * In xAPIC mode the registers are 32 bits wide at 16-byte steps of the page 0xfee00000, each CPU
 * seeing its own; in x2APIC mode they are MSRs 0x800 + n. `registers` below lists them by number:
 *
 *   02 ID, 03 version, 08 TPR, 09 APR, 0a PPR, 0b EOI, 0c RRD, 0d LDR, 0e DFR, 0f SVR,
 *   10-17 ISR, 18-1f TMR, 20-27 IRR (256 bits each), 28 ESR, 30-31 ICR,
 *   32-37 LVT: timer, thermal, performance, LINT0, LINT1, error,
 *   38 initial count, 39 current count, 3e divide configuration, 3f self IPI (x2APIC)
 *
 * The rest of the megabyte, and the page's first 16 bytes, are where devices write MSIs. The page
 * does not move: IA32_APIC_BASE's address field is stored only.
 *
 * A request sets IRR; while its priority class is above PPR's the CPU's line HARD is up; the CPU's
 * acknowledge moves it to ISR; EOI clears the highest of ISR and, if TMR says level, tells the I/O
 * APIC.
 */
#include "hw/intc/apic-internal.h"

#include "hw/core/msi.h"
#include "memory/memory.h"
#include "util/error.h"
#include "util/log.h"

#define LVT_COUNT_FIELD ((LVT__MAX - 1) << 16)
#define X2APIC_MSR_BASE 0x800
#define BASE_ADDRESS MASK_ULL(51, 12)

enum { REG_MMIO = 1, REG_X2 = 2, REG_BOTH = 3 };

typedef struct RegisterSpec {
    uint8_t modes; /* REG_*: where it exists */
    uint32_t (*read)(Apic *apic, unsigned reg); /* NULL: reads as zero; x2APIC: #GP */
    void (*write)(Apic *apic, unsigned reg, uint32_t value); /* NULL: read-only; x2APIC: #GP */
    uint32_t x2_writable; /* bits that an MSR write may have set, read-only ones too; else #GP */
} RegisterSpec;

static const uint32_t lvt_writable[LVT__MAX] = {
    [LVT_TIMER] = 0x700ff,
    [LVT_THERMAL] = 0x107ff,
    [LVT_PERFMON] = 0x107ff,
    [LVT_LINT0] = 0x1a7ff,
    [LVT_LINT1] = 0x1a7ff,
    [LVT_ERROR] = 0x100ff,
};

static const VCpuApicOps apic_cpu_ops;

Apic *apic_of_cpu(const VCpu *cpu)
{
    return cpu && cpu->apic_ops == &apic_cpu_ops ? cpu->apic : NULL;
}

static bool bit_test(const uint32_t *bits, uint8_t n)
{
    return bits[n / 32] & BIT(n % 32);
}

static void bit_put(uint32_t *bits, uint8_t n, bool on)
{
    if (on) {
        bits[n / 32] |= BIT(n % 32);
    } else {
        bits[n / 32] &= ~BIT(n % 32);
    }
}

int apic_highest(const uint32_t bits[APIC_BANKS])
{
    for (int i = APIC_BANKS - 1; i >= 0; i--) {
        if (bits[i]) {
            return i * 32 + 31 - __builtin_clz(bits[i]);
        }
    }
    return -1;
}

uint8_t apic_ppr(const Apic *apic)
{
    int serving = MAX(apic_highest(apic->isr), 0);

    return apic->tpr >> 4 >= serving >> 4 ? apic->tpr : serving & 0xf0;
}

/* The vector that the CPU may take now, or -1. */
static int deliverable(const Apic *apic)
{
    int vector = apic_highest(apic->irr);

    if (!apic_enabled(apic) || !(apic->svr & SVR_ENABLE) || vector < 0 ||
        vector >> 4 <= apic_ppr(apic) >> 4) {
        return -1;
    }
    return vector;
}

/* Does the PIC's INTR reach this CPU? A disabled APIC leaves the boot CPU's pin as INTR. */
static bool takes_pic_intr(const Apic *apic)
{
    uint32_t lint0 = apic->lvt[LVT_LINT0];

    if (!apic->wiring->pic) {
        return false;
    }
    if (!apic_enabled(apic)) {
        return apic->cpu->index == 0;
    }
    return !(lint0 & LVT_MASKED) && (lint0 >> 8 & 7) == DELIVER_EXTINT;
}

void apic_update(Apic *apic)
{
    const ApicWiring *wiring = apic->wiring;
    bool ext_int = apic->ext_int_message ||
                   (takes_pic_intr(apic) && wiring->pic_intr(wiring->pic));
    uint32_t lines = __atomic_load_n(&apic->cpu->irq_lines, __ATOMIC_RELAXED);
    uint32_t want = (deliverable(apic) >= 0 ? VCPU_IRQ_HARD : 0) | (ext_int ? VCPU_IRQ_EXTINT : 0);
    uint32_t off = lines & ~want & (VCPU_IRQ_HARD | VCPU_IRQ_EXTINT);
    uint32_t on = want & ~lines;

    if (off) {
        vcpu_set_irq(apic->cpu, off, false);
    }
    if (on) {
        vcpu_set_irq(apic->cpu, on, true);
    }
}

void apic_request(Apic *apic, uint8_t vector, bool level)
{
    bit_put(apic->tmr, vector, level);
    bit_put(apic->irr, vector, true);
    apic_update(apic);
}

void apic_error(Apic *apic, enum ApicError error)
{
    uint32_t lvt = apic->lvt[LVT_ERROR];
    bool news = !(apic->errors & error);

    apic->errors |= error;
    /* An illegal vector in the error entry itself must not call back here. */
    if (news && (uint8_t)lvt >= APIC_FIRST_VECTOR) {
        apic_local(apic, LVT_ERROR);
    }
}

void apic_accept(Apic *apic, enum ApicDelivery mode, uint8_t vector, bool level)
{
    switch (mode) {
    case DELIVER_FIXED:
    case DELIVER_LOWEST:
        if (!(apic->svr & SVR_ENABLE)) {
            return;
        }
        if (vector < APIC_FIRST_VECTOR) {
            apic_error(apic, ESR_RECEIVE_ILLEGAL);
            return;
        }
        apic_request(apic, vector, level);
        break;
    case DELIVER_SMI:
        vcpu_set_irq(apic->cpu, VCPU_IRQ_SMI, true);
        break;
    case DELIVER_NMI:
        vcpu_set_irq(apic->cpu, VCPU_IRQ_NMI, true);
        break;
    case DELIVER_INIT:
        vcpu_set_irq(apic->cpu, VCPU_IRQ_INIT, true);
        break;
    case DELIVER_SIPI:
        apic->cpu->sipi_vector = vector;
        vcpu_set_irq(apic->cpu, VCPU_IRQ_SIPI, true);
        break;
    case DELIVER_EXTINT:
        apic->ext_int_message = true;
        apic_update(apic);
        break;
    case DELIVER_RESERVED:
        log_guest_error("apic: message with a reserved delivery mode\n");
        break;
    }
}

bool apic_local(Apic *apic, enum ApicLvt entry)
{
    uint32_t lvt = apic->lvt[entry];
    bool pin = entry == LVT_LINT0 || entry == LVT_LINT1;
    bool has_mode = entry != LVT_TIMER && entry != LVT_ERROR;
    enum ApicDelivery mode = has_mode ? lvt >> 8 & 7 : DELIVER_FIXED;

    if (lvt & LVT_MASKED) {
        return false;
    }
    apic_accept(apic, mode, lvt, pin && (lvt & LVT_LEVEL));
    return true;
}

bool apic_deliver_nmi(VCpu *cpu)
{
    Apic *apic = apic_of_cpu(cpu);

    if (!apic) {
        return accel_ops()->inject_nmi && accel_ops()->inject_nmi(cpu);
    }
    return apic_local(apic, LVT_LINT1);
}

/* ---- registers ---- */

static uint32_t read_id(Apic *apic, unsigned reg)
{
    return apic_x2(apic) ? apic->id : apic->id << 24;
}

static void write_id(Apic *apic, unsigned reg, uint32_t value)
{
    apic->id = value >> 24;
}

static uint32_t read_version(Apic *apic, unsigned reg)
{
    return apic->version | LVT_COUNT_FIELD;
}

static uint32_t read_tpr(Apic *apic, unsigned reg)
{
    return apic->tpr;
}

static void write_tpr(Apic *apic, unsigned reg, uint32_t value)
{
    apic->tpr = value;
    apic_update(apic);
}

static uint32_t read_ppr(Apic *apic, unsigned reg)
{
    return apic_ppr(apic);
}

/* Arbitration priority (SDM vol. 3, 11.6.2.4). */
static uint32_t read_apr(Apic *apic, unsigned reg)
{
    int requested = MAX(apic_highest(apic->irr), 0) & 0xf0;
    int serving = MAX(apic_highest(apic->isr), 0) & 0xf0;

    if ((apic->tpr & 0xf0) >= requested && (apic->tpr & 0xf0) > serving) {
        return apic->tpr;
    }
    return MAX(MAX(apic->tpr & 0xf0, serving), requested);
}

static void write_eoi(Apic *apic, unsigned reg, uint32_t value)
{
    int vector = apic_highest(apic->isr);

    if (vector < 0) {
        return;
    }
    bit_put(apic->isr, vector, false);
    if (bit_test(apic->tmr, vector)) {
        if ((uint8_t)apic->lvt[LVT_LINT0] == vector) {
            apic->lvt[LVT_LINT0] &= ~LVT_REMOTE_IRR;
        }
        if (apic->wiring->ioapic) {
            apic->wiring->eoi(apic->wiring->ioapic, vector);
        }
    }
    apic_update(apic);
}

static uint32_t read_ldr(Apic *apic, unsigned reg)
{
    return apic->ldr;
}

static void write_ldr(Apic *apic, unsigned reg, uint32_t value)
{
    apic->ldr = value & 0xff000000;
}

static uint32_t read_dfr(Apic *apic, unsigned reg)
{
    return apic->dfr;
}

static void write_dfr(Apic *apic, unsigned reg, uint32_t value)
{
    apic->dfr = value | 0x0fffffff;
}

static uint32_t read_svr(Apic *apic, unsigned reg)
{
    return apic->svr;
}

static void write_svr(Apic *apic, unsigned reg, uint32_t value)
{
    apic->svr = value & 0x3ff;
    if (!(value & SVR_ENABLE)) {
        for (int i = 0; i < LVT__MAX; i++) {
            apic->lvt[i] |= LVT_MASKED;
        }
        apic_timer_arm(apic);
    }
    apic_update(apic);
}

static uint32_t read_isr(Apic *apic, unsigned reg)
{
    return apic->isr[reg - APIC_ISR];
}

static uint32_t read_tmr(Apic *apic, unsigned reg)
{
    return apic->tmr[reg - APIC_TMR];
}

static uint32_t read_irr(Apic *apic, unsigned reg)
{
    return apic->irr[reg - APIC_IRR];
}

static uint32_t read_esr(Apic *apic, unsigned reg)
{
    return apic->esr;
}

static void write_esr(Apic *apic, unsigned reg, uint32_t value)
{
    apic->esr = apic->errors;
    apic->errors = 0;
}

static uint32_t read_icr(Apic *apic, unsigned reg)
{
    return apic->icr[reg - APIC_ICR];
}

static void write_icr(Apic *apic, unsigned reg, uint32_t value)
{
    if (reg == APIC_ICR2) {
        apic->icr[1] = value & 0xff000000;
        return;
    }
    apic->icr[0] = value & 0xccfff;
    apic_send_ipi(apic);
}

static uint32_t read_lvt(Apic *apic, unsigned reg)
{
    return apic->lvt[reg - APIC_LVT];
}

static void write_lvt(Apic *apic, unsigned reg, uint32_t value)
{
    enum ApicLvt entry = reg - APIC_LVT;
    uint32_t old = apic->lvt[entry];

    value &= lvt_writable[entry];
    if (entry == LVT_TIMER && LVT_TIMER_MODE(value) == TIMER_RESERVED) {
        value &= ~(3u << 17);
    }
    if (!(apic->svr & SVR_ENABLE)) {
        value |= LVT_MASKED;
    }
    apic->lvt[entry] = value | (old & LVT_REMOTE_IRR);
    if (entry == LVT_TIMER) {
        apic_timer_lvt_changed(apic, old);
    }
    apic_update(apic);
}

static uint32_t read_initial(Apic *apic, unsigned reg)
{
    return apic->timer_initial;
}

static void write_initial(Apic *apic, unsigned reg, uint32_t value)
{
    apic_timer_set_initial(apic, value);
}

static uint32_t read_current(Apic *apic, unsigned reg)
{
    return apic_timer_count(apic);
}

static uint32_t read_divide(Apic *apic, unsigned reg)
{
    return apic->timer_divide;
}

static void write_divide(Apic *apic, unsigned reg, uint32_t value)
{
    apic_timer_set_divide(apic, value);
}

static void write_self_ipi(Apic *apic, unsigned reg, uint32_t value)
{
    apic_send_self(apic, value);
}

static const RegisterSpec registers[APIC_REGISTERS] = {
    [APIC_ID] = { REG_BOTH, read_id, write_id, 0 },
    [APIC_VERSION] = { REG_BOTH, read_version },
    [APIC_TPR] = { REG_BOTH, read_tpr, write_tpr, 0xff },
    [APIC_APR] = { REG_MMIO, read_apr },
    [APIC_PPR] = { REG_BOTH, read_ppr },
    [APIC_EOI] = { REG_BOTH, NULL, write_eoi, 0 },
    [APIC_RRD] = { REG_MMIO },
    [APIC_LDR] = { REG_BOTH, read_ldr, write_ldr },
    [APIC_DFR] = { REG_MMIO, read_dfr, write_dfr },
    [APIC_SVR] = { REG_BOTH, read_svr, write_svr, 0x3ff },
    [APIC_ISR ... APIC_ISR + APIC_BANKS - 1] = { REG_BOTH, read_isr },
    [APIC_TMR ... APIC_TMR + APIC_BANKS - 1] = { REG_BOTH, read_tmr },
    [APIC_IRR ... APIC_IRR + APIC_BANKS - 1] = { REG_BOTH, read_irr },
    [APIC_ESR] = { REG_BOTH, read_esr, write_esr, 0 },
    [APIC_ICR ... APIC_ICR2] = { REG_MMIO, read_icr, write_icr },
    [APIC_LVT ... APIC_LVT + LVT__MAX - 1] = { REG_BOTH, read_lvt, write_lvt, 0x7f7ff },
    [APIC_TMICT] = { REG_BOTH, read_initial, write_initial, UINT32_MAX },
    [APIC_TMCCT] = { REG_BOTH, read_current },
    [APIC_TDCR] = { REG_BOTH, read_divide, write_divide, 0xb },
    [APIC_SELF_IPI] = { REG_X2, NULL, write_self_ipi, 0xff },
};

void apic_read_page(Apic *apic, uint32_t page[APIC_REGISTERS])
{
    for (unsigned i = 0; i < APIC_REGISTERS; i++) {
        page[i] = registers[i].read ? registers[i].read(apic, i) : 0;
    }
}

/* The CPU that makes the access. Under qtest there is none, and the boot CPU stands in. */
static Apic *current_apic(void)
{
    VCpu *cpu = vcpu_current();

    if (!cpu && accel_is("qtest")) {
        cpu = vcpu_get(0);
    }
    return apic_of_cpu(cpu);
}

static bool is_register(uint64_t offset)
{
    return offset >= 0x10 && offset < APIC_REGISTERS * 0x10;
}

static uint64_t window_read(void *opaque, uint64_t offset, unsigned size)
{
    Apic *apic = current_apic();
    unsigned reg = offset / 0x10;

    if (!apic || !apic_enabled(apic) || apic_x2(apic)) {
        return UINT32_MAX;
    }
    if (!is_register(offset) || !(registers[reg].modes & REG_MMIO)) {
        apic_error(apic, ESR_ILLEGAL_REGISTER);
        return 0;
    }
    /* Only the first four bytes of each sixteen hold something. */
    if (!registers[reg].read || offset % 0x10 >= 4) {
        return 0;
    }
    return registers[reg].read(apic, reg) >> (offset % 4 * 8);
}

static void window_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    Apic *apic = current_apic();
    unsigned reg = offset / 0x10;

    if (size != 4) {
        return;
    }
    if (!apic || offset >= 0x1000 || offset < 0x10) {
        apic_receive_msi(offset, value);
        return;
    }
    if (!apic_enabled(apic) || apic_x2(apic)) {
        return;
    }
    if (!is_register(offset) || !(registers[reg].modes & REG_MMIO)) {
        apic_error(apic, ESR_ILLEGAL_REGISTER);
        return;
    }
    if (registers[reg].write && offset % 0x10 == 0) {
        registers[reg].write(apic, reg, value);
    }
}

/* An EOI can make the I/O APIC send the next message while the EOI's write is still going on. */
static const MemoryRegionOps window_ops = {
    .read = window_read,
    .write = window_write,
    .impl = { .min = 1, .max = 4 },
    .reentrant = true,
};

void apic_map_window(Object *owner)
{
    MemoryRegion *window = memory_region_new_io(owner, &window_ops, NULL, "apic-msi",
                                                MSI_ADDRESS_SIZE);

    memory_region_add_overlap(memory_system(), MSI_ADDRESS_BASE, window, 4096);
}

/* ---- the CPU's side ---- */

static int cpu_ack(void *opaque)
{
    Apic *apic = opaque;
    const ApicWiring *wiring = apic->wiring;
    int vector = deliverable(apic);

    if (vector >= 0) {
        bit_put(apic->irr, vector, false);
        bit_put(apic->isr, vector, true);
    } else if (apic->ext_int_message || (takes_pic_intr(apic) && wiring->pic_intr(wiring->pic))) {
        apic->ext_int_message = false;
        vector = wiring->pic ? wiring->pic_ack(wiring->pic) : (uint8_t)apic->svr;
    }
    apic_update(apic);
    return vector;
}

static bool cpu_has_pending(void *opaque)
{
    Apic *apic = opaque;

    return apic->cpu->irq_lines & (VCPU_IRQ_HARD | VCPU_IRQ_EXTINT);
}

static uint8_t cpu_get_tpr(void *opaque)
{
    return ((Apic *)opaque)->tpr >> 4;
}

static void cpu_set_tpr(void *opaque, uint8_t cr8)
{
    write_tpr(opaque, APIC_TPR, (cr8 & 0xf) << 4);
}

static uint64_t cpu_get_base(void *opaque)
{
    return ((Apic *)opaque)->base;
}

/* Everything that INIT resets: all but the ID and IA32_APIC_BASE (SDM vol. 3, 11.4.7.3). */
static void init_registers(Apic *apic)
{
    apic->tpr = 0;
    apic->ldr = 0;
    apic->dfr = UINT32_MAX;
    apic->svr = 0xff;
    memset(apic->isr, 0, sizeof(apic->isr));
    memset(apic->tmr, 0, sizeof(apic->tmr));
    memset(apic->irr, 0, sizeof(apic->irr));
    apic->esr = 0;
    apic->errors = 0;
    memset(apic->icr, 0, sizeof(apic->icr));
    for (int i = 0; i < LVT__MAX; i++) {
        apic->lvt[i] = LVT_MASKED;
    }
    /* The boot CPU starts in virtual wire mode (MP specification 1.4, 3.6.2.2). */
    if (apic->cpu->index == 0) {
        apic->lvt[LVT_LINT0] = DELIVER_EXTINT << 8;
    }
    apic->ext_int_message = false;
    apic_timer_reset(apic);
}

static void enter_x2_mode(Apic *apic)
{
    apic->id = apic->initial_id;
    apic->ldr = apic->id >> 4 << 16 | BIT(apic->id & 0xf);
}

static bool cpu_set_base(void *opaque, uint64_t value)
{
    Apic *apic = opaque;
    uint64_t mode = value & (BASE_ENABLE | BASE_EXTD);
    uint64_t old = apic->base & (BASE_ENABLE | BASE_EXTD);

    /* The legal transitions: SDM vol. 3, figure 11-27. */
    if ((value & ~(BASE_ADDRESS | BASE_ENABLE | BASE_EXTD | BASE_BSP)) || mode == BASE_EXTD ||
        (!old && mode == (BASE_ENABLE | BASE_EXTD)) ||
        (old == (BASE_ENABLE | BASE_EXTD) && mode == BASE_ENABLE)) {
        return false;
    }
    if ((value & BASE_ADDRESS) != BASE_DEFAULT && mode) {
        log_unimplemented("apic: registers stay at 0xfee00000\n");
    }
    apic->base = value;
    if (!mode && old) {
        apic->id = (uint8_t)apic->initial_id;
        init_registers(apic);
    } else if (mode != old && apic_x2(apic)) {
        enter_x2_mode(apic);
    }
    apic_update(apic);
    return true;
}

static bool cpu_msr_read(void *opaque, uint32_t index, uint64_t *value)
{
    Apic *apic = opaque;
    unsigned reg = index - X2APIC_MSR_BASE;

    if (!apic_x2(apic) || reg >= APIC_REGISTERS) {
        return false;
    }
    if (reg == APIC_ICR) {
        *value = (uint64_t)apic->icr[1] << 32 | apic->icr[0];
        return true;
    }
    if (!(registers[reg].modes & REG_X2) || !registers[reg].read) {
        return false;
    }
    *value = registers[reg].read(apic, reg);
    return true;
}

static bool cpu_msr_write(void *opaque, uint32_t index, uint64_t value)
{
    Apic *apic = opaque;
    unsigned reg = index - X2APIC_MSR_BASE;
    bool fixed = reg == APIC_ID || reg == APIC_LDR;

    if (!apic_x2(apic) || reg >= APIC_REGISTERS) {
        return false;
    }
    if (reg == APIC_ICR) {
        if ((uint32_t)value & ~0xccfffu) {
            return false;
        }
        apic->icr[1] = value >> 32;
        apic->icr[0] = value;
        apic_send_ipi(apic);
        return true;
    }
    if (!(registers[reg].modes & REG_X2) || !registers[reg].write || fixed ||
        (value & ~(uint64_t)registers[reg].x2_writable)) {
        return false;
    }
    registers[reg].write(apic, reg, value);
    return true;
}

static void cpu_eoi_broadcast(void *opaque, uint8_t vector)
{
    Apic *apic = opaque;

    if (apic->wiring->ioapic) {
        apic->wiring->eoi(apic->wiring->ioapic, vector);
    }
}

static void cpu_set_deadline(void *opaque, int64_t virtual_ns)
{
    apic_timer_set_deadline(opaque, virtual_ns);
}

static void cpu_init_reset(void *opaque)
{
    Apic *apic = opaque;

    init_registers(apic);
    if (apic_x2(apic)) {
        enter_x2_mode(apic);
    }
    apic_update(apic);
}

static const VCpuApicOps apic_cpu_ops = {
    .ack = cpu_ack,
    .has_pending = cpu_has_pending,
    .get_tpr = cpu_get_tpr,
    .set_tpr = cpu_set_tpr,
    .get_base = cpu_get_base,
    .set_base = cpu_set_base,
    .msr_read = cpu_msr_read,
    .msr_write = cpu_msr_write,
    .eoi_broadcast = cpu_eoi_broadcast,
    .set_deadline = cpu_set_deadline,
    .init_reset = cpu_init_reset,
};

/* ---- the device ---- */

static void apic_reset(Device *dev)
{
    Apic *apic = (Apic *)dev;

    apic->base = BASE_DEFAULT | BASE_ENABLE | (apic->cpu->index == 0 ? BASE_BSP : 0);
    apic->id = (uint8_t)apic->initial_id;
    apic->lowest_turn = 0;
    init_registers(apic);
    apic_update(apic);
}

static bool apic_realize(Device *dev, GError **error)
{
    Apic *apic = (Apic *)dev;

    if (!apic->cpu) {
        error_setf(error, "apic: belongs to a CPU and cannot be made alone");
        return false;
    }
    apic->timer = timer_new_virtual(apic_timer_fired, apic);
    return true;
}

static void apic_unrealize(Device *dev)
{
    timer_del(((Apic *)dev)->timer);
}

static void apic_finalize(Object *obj)
{
    g_clear_pointer(&((Apic *)obj)->timer, timer_free);
}

static bool apic_post_load(void *opaque, int version, GError **error)
{
    Apic *apic = opaque;

    if (apic->timer_start < 0 || apic->timer_start > INT64_MAX / 2) {
        error_setf(error, "apic: the saved timer's start is out of range");
        return false;
    }
    apic->timer_divide &= 0xb;
    apic_timer_arm(apic);
    apic_update(apic);
    return true;
}

static const VmState apic_vmstate = {
    .name = "apic",
    .version = 1,
    .minimum_version = 1,
    .post_load = apic_post_load,
    .fields = (const VmStateField[]) {
        VMSTATE_U64(Apic, base),
        VMSTATE_U32(Apic, id),
        VMSTATE_U8(Apic, tpr),
        VMSTATE_U32(Apic, ldr),
        VMSTATE_U32(Apic, dfr),
        VMSTATE_U32(Apic, svr),
        VMSTATE_U32_ARRAY(Apic, isr),
        VMSTATE_U32_ARRAY(Apic, tmr),
        VMSTATE_U32_ARRAY(Apic, irr),
        VMSTATE_U32(Apic, esr),
        VMSTATE_U32(Apic, errors),
        VMSTATE_U32_ARRAY(Apic, icr),
        VMSTATE_U32_ARRAY(Apic, lvt),
        VMSTATE_U32(Apic, timer_initial),
        VMSTATE_U32(Apic, timer_divide),
        VMSTATE_I64(Apic, timer_start),
        VMSTATE_I64(Apic, deadline_ns),
        VMSTATE_BOOL(Apic, ext_int_message),
        VMSTATE_U64(Apic, lowest_turn),
        VMSTATE_END
    },
};

static const Property apic_properties[] = {
    PROP_UINT32("id", Apic, initial_id, 0, "its ID after reset"),
    PROP_UINT8("version", Apic, version, 0x14, "what the version register reports"),
    PROP_BOOL("vapic", Apic, vapic, true, "accepted, without effect"),
    PROP_END
};

static const DeviceHooks apic_hooks = {
    .realize = apic_realize,
    .unrealize = apic_unrealize,
    .reset = apic_reset,
    .vmstate = &apic_vmstate,
    .no_user = true,
};

static const TypeInfo apic_type = {
    .name = TYPE_APIC,
    .parent = TYPE_SYS_DEVICE,
    .description = "local APIC",
    .instance_size = sizeof(Apic),
    .properties = apic_properties,
    .instance_finalize = apic_finalize,
    .hooks = &apic_hooks,
};
QOM_TYPE(apic_type);

bool apic_model_attach(VCpu *cpu, const ApicWiring *wiring, GError **error)
{
    Object *obj = object_new(TYPE_APIC);
    Apic *apic = (Apic *)obj;

    apic->cpu = cpu;
    apic->wiring = wiring;
    apic->initial_id = cpu->apic_id;
    if (!device_realize_and_unref((Device *)obj, bus_system(), error)) {
        return false;
    }
    cpu->apic = apic;
    cpu->apic_ops = &apic_cpu_ops;
    return true;
}
