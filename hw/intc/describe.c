/* SPDX-License-Identifier: Apache-2.0 */
#include "hw/intc/describe.h"

#include <inttypes.h>

#include "hw/intc/apic-internal.h"

#define RTE_LOGICAL BIT(11)
#define RTE_ACTIVE_LOW BIT(13)
#define RTE_REMOTE_IRR BIT(14)
#define RTE_LEVEL BIT(15)
#define RTE_MASKED BIT(16)

/* Of an LVT entry, ICR or redirection entry. */
static const char *delivery_name(uint32_t entry)
{
    static const char *const names[8] = { "fixed", "lowest", "SMI", "reserved", "NMI", "INIT",
                                          "SIPI", "ExtINT" };

    return names[entry >> 8 & 7];
}

/* Polarity, trigger and mask have the same bits in all kinds of entries. */
static void describe_pin(GString *out, uint32_t entry)
{
    g_string_append_printf(out, "%s %-5s %-6s ",
                           entry & RTE_ACTIVE_LOW ? "active-lo" : "active-hi",
                           entry & RTE_LEVEL ? "level" : "edge",
                           entry & RTE_MASKED ? "masked" : "");
}

void i8259_describe(GString *out, unsigned index, const I8259Text *pic)
{
    g_string_append_printf(out, "pic%u: irr=%02x imr=%02x isr=%02x hprio=%u irq_base=%02x "
                           "rr_sel=%d elcr=%02x fnm=%d\n", index, pic->irr, pic->imr, pic->isr,
                           pic->top, pic->vector_base, pic->read_isr, pic->elcr,
                           pic->special_nested);
}

/* " 4 9" or " (none)". */
static void describe_bits(GString *out, const uint32_t *words, unsigned count)
{
    bool any = false;

    for (unsigned i = 0; i < count; i++) {
        if (words[i / 32] & BIT(i % 32)) {
            g_string_append_printf(out, " %u", i);
            any = true;
        }
    }
    g_string_append(out, any ? "\n" : " (none)\n");
}

void ioapic_describe(GString *out, uint8_t version, unsigned id, uint8_t select, uint32_t irr,
                     const uint64_t *redir, unsigned pins)
{
    uint32_t remote_irr = 0;

    g_string_append_printf(out, "ioapic0: ver=0x%02x id=0x%02x sel=0x%02x", version, id, select);
    if (select >= 0x10) {
        g_string_append_printf(out, " (redir[%u])", (select - 0x10) / 2);
    }
    g_string_append_c(out, '\n');
    for (unsigned i = 0; i < pins; i++) {
        uint32_t entry = (uint32_t)redir[i];

        g_string_append_printf(out, "  pin %-2u 0x%016" PRIx64 " dest=%u vec=%-3u ", i, redir[i],
                               (unsigned)(redir[i] >> 56), entry & 0xff);
        describe_pin(out, entry);
        g_string_append_printf(out, "%-6s %s\n", delivery_name(entry),
                               entry & RTE_LOGICAL ? "logical" : "physical");
        remote_irr |= entry & RTE_REMOTE_IRR ? BIT(i) : 0;
    }
    g_string_append(out, "  IRR     ");
    describe_bits(out, &irr, pins);
    g_string_append(out, "  Remote IRR");
    describe_bits(out, &remote_irr, pins);
}

static void describe_lvt(GString *out, const char *name, uint32_t entry, bool timer)
{
    static const char *const modes[4] = { "one-shot", "periodic", "tsc-deadline", "reserved" };

    g_string_append_printf(out, "%-8s 0x%08x ", name, entry);
    describe_pin(out, entry);
    g_string_append_printf(out, "%-12s %-6s", timer ? modes[LVT_TIMER_MODE(entry)] : "",
                           delivery_name(entry));
    if ((entry >> 8 & 7) != DELIVER_NMI) {
        g_string_append_printf(out, " (vec %u)", entry & 0xff);
    }
    g_string_append_c(out, '\n');
}

static void describe_icr(GString *out, uint32_t low, uint32_t high)
{
    static const char *const shorthand[4] = { "", " self", " all", " all-but-self" };

    g_string_append_printf(out, "ICR      0x%08x %s %s %s%s %s vec %u\nICR2     0x%08x\n", low,
                           low & BIT(11) ? "logical" : "physical",
                           low & BIT(15) ? "level" : "edge", low & BIT(14) ? "assert" : "de-assert",
                           shorthand[low >> 18 & 3], delivery_name(low), low & 0xff, high);
}

void apic_describe_registers(GString *out, unsigned cpu, const uint32_t registers[64])
{
    static const struct {
        const char *name;
        enum ApicLvt entry;
    } lvts[] = {
        { "LVT0", LVT_LINT0 },      { "LVT1", LVT_LINT1 },      { "LVTPC", LVT_PERFMON },
        { "LVTERR", LVT_ERROR },    { "LVTTHMR", LVT_THERMAL }, { "LVTT", LVT_TIMER },
    };
    uint32_t tdcr = registers[APIC_TDCR];
    unsigned divide = ((tdcr & 3) | (tdcr >> 1 & 4));
    uint32_t svr = registers[APIC_SVR];

    g_string_append_printf(out, "local APIC of CPU %u\n\n", cpu);
    for (size_t i = 0; i < G_N_ELEMENTS(lvts); i++) {
        describe_lvt(out, lvts[i].name, registers[APIC_LVT + lvts[i].entry],
                     lvts[i].entry == LVT_TIMER);
    }
    g_string_append_printf(out, "Timer    DCR=0x%x (divide by %u) initial_count = %u "
                           "current_count = %u\n", tdcr, divide == 7 ? 1 : 2u << divide,
                           registers[APIC_TMICT], registers[APIC_TMCCT]);
    g_string_append_printf(out, "SPIV     0x%08x APIC %s, focus=%s, spurious vec %u\n", svr,
                           svr & SVR_ENABLE ? "enabled" : "disabled", svr & BIT(9) ? "on" : "off",
                           svr & 0xff);
    describe_icr(out, registers[APIC_ICR], registers[APIC_ICR2]);
    g_string_append_printf(out, "ESR      0x%08x\nISR     ", registers[APIC_ESR]);
    describe_bits(out, &registers[APIC_ISR], APIC_VECTORS);
    g_string_append(out, "IRR     ");
    describe_bits(out, &registers[APIC_IRR], APIC_VECTORS);
    g_string_append_printf(out, "\nAPR 0x%02x TPR 0x%02x DFR 0x%02x LDR 0x%02x PPR 0x%02x\n",
                           registers[APIC_APR] & 0xff, registers[APIC_TPR] & 0xff,
                           registers[APIC_DFR] >> 28, registers[APIC_LDR] >> 24,
                           registers[APIC_PPR] & 0xff);
}
