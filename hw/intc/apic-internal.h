/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The local APIC model's state and the calls between its parts: apic.c (registers and the CPU's
 * side), apic-bus.c (messages between APICs and from devices), apic-timer.c.
 */
#ifndef VIREO_HW_INTC_APIC_INTERNAL_H
#define VIREO_HW_INTC_APIC_INTERNAL_H

#include "hw/intc/apic.h"

#include "util/bits.h"
#include "util/timer.h"

#define APIC_VECTORS 256
#define APIC_BANKS (APIC_VECTORS / 32)
#define APIC_FIRST_VECTOR 16 /* lower ones are illegal */

/* Register numbers: MMIO offset / 16, and MSR 0x800 + number (SDM vol. 3, table 11-1, 11-6). */
enum ApicRegister {
    APIC_ID = 0x02, APIC_VERSION = 0x03, APIC_TPR = 0x08, APIC_APR = 0x09, APIC_PPR = 0x0a,
    APIC_EOI = 0x0b, APIC_RRD = 0x0c, APIC_LDR = 0x0d, APIC_DFR = 0x0e, APIC_SVR = 0x0f,
    APIC_ISR = 0x10, APIC_TMR = 0x18, APIC_IRR = 0x20, APIC_ESR = 0x28, APIC_ICR = 0x30,
    APIC_ICR2 = 0x31, APIC_LVT = 0x32, APIC_TMICT = 0x38, APIC_TMCCT = 0x39, APIC_TDCR = 0x3e,
    APIC_SELF_IPI = 0x3f, APIC_REGISTERS = 0x40,
};

/* Local vector table, in register order from APIC_LVT. */
enum ApicLvt {
    LVT_TIMER, LVT_THERMAL, LVT_PERFMON, LVT_LINT0, LVT_LINT1, LVT_ERROR, LVT__MAX,
};
#define LVT_MASKED BIT(16)
#define LVT_LEVEL BIT(15)
#define LVT_REMOTE_IRR BIT(14)
#define LVT_TIMER_MODE(lvt) ((lvt) >> 17 & 3)
enum ApicTimerMode { TIMER_ONE_SHOT, TIMER_PERIODIC, TIMER_TSC_DEADLINE, TIMER_RESERVED };

/* Delivery modes, in LVT, ICR, MSI data and redirection entries alike. */
enum ApicDelivery {
    DELIVER_FIXED, DELIVER_LOWEST, DELIVER_SMI, DELIVER_RESERVED, DELIVER_NMI, DELIVER_INIT,
    DELIVER_SIPI, DELIVER_EXTINT,
};

#define BASE_BSP BIT_ULL(8)
#define BASE_EXTD BIT_ULL(10)
#define BASE_ENABLE BIT_ULL(11)
#define BASE_DEFAULT 0xfee00000ull
#define SVR_ENABLE BIT(8)

enum ApicError { ESR_SEND_ILLEGAL = 0x20, ESR_RECEIVE_ILLEGAL = 0x40, ESR_ILLEGAL_REGISTER = 0x80 };

typedef struct Apic {
    Device parent_obj;
    uint32_t initial_id; /* property "id" */
    uint8_t version;     /* property */
    bool vapic;          /* property; accepted for compatibility */
    VCpu *cpu;
    const ApicWiring *wiring;

    uint64_t base;       /* IA32_APIC_BASE */
    uint32_t id;         /* x2APIC: 32 bits; else the 8-bit ID, not shifted */
    uint8_t tpr;
    uint32_t ldr, dfr, svr;
    uint32_t isr[APIC_BANKS], tmr[APIC_BANKS], irr[APIC_BANKS];
    uint32_t esr;        /* as the last write to ESR latched it */
    uint32_t errors;     /* seen since */
    uint32_t icr[2];     /* low, high */
    uint32_t lvt[LVT__MAX];
    uint32_t timer_initial, timer_divide;
    int64_t timer_start; /* ns: when timer_initial was loaded */
    int64_t deadline_ns; /* of the virtual clock, in TSC-deadline mode; 0: none */
    Timer *timer;
    bool ext_int_message; /* an ExtINT message waits for the CPU's INTA */
    uint64_t lowest_turn; /* when it last took a lowest-priority message; ties go to the smallest */
} Apic;

static inline bool apic_enabled(const Apic *apic)
{
    return apic->base & BASE_ENABLE;
}
static inline bool apic_x2(const Apic *apic)
{
    return (apic->base & (BASE_ENABLE | BASE_EXTD)) == (BASE_ENABLE | BASE_EXTD);
}

/* The model behind a vCPU, or NULL. */
Apic *apic_of_cpu(const VCpu *cpu);
/* Make a model for the CPU. */
bool apic_model_attach(VCpu *cpu, const ApicWiring *wiring, GError **error);
/* The register page, as reads would give it. */
void apic_read_page(Apic *apic, uint32_t page[APIC_REGISTERS]);
/* Highest vector set in a 256-bit register, or -1. */
int apic_highest(const uint32_t bits[APIC_BANKS]);
uint8_t apic_ppr(const Apic *apic);
/* Request a vector here; sets the trigger mode bit too. */
void apic_request(Apic *apic, uint8_t vector, bool level);
/* Act on a message or local source of any delivery mode. */
void apic_accept(Apic *apic, enum ApicDelivery mode, uint8_t vector, bool level);
/* Deliver a local source as its LVT entry says; false if it is masked. */
bool apic_local(Apic *apic, enum ApicLvt entry);
void apic_error(Apic *apic, enum ApicError error);
/* Show the CPU whether there is something to take. */
void apic_update(Apic *apic);

/* apic-bus.c */
void apic_send_ipi(Apic *apic);
void apic_send_self(Apic *apic, uint8_t vector);
/* A message written to 0xfee00000 + offset. */
void apic_receive_msi(uint32_t offset, uint32_t data);

/* apic-timer.c */
uint32_t apic_timer_count(const Apic *apic);
void apic_timer_set_initial(Apic *apic, uint32_t count);
void apic_timer_set_divide(Apic *apic, uint32_t divide);
void apic_timer_lvt_changed(Apic *apic, uint32_t old);
void apic_timer_set_deadline(Apic *apic, int64_t virtual_ns);
void apic_timer_fired(void *opaque);
/* Stop and forget what it counted. */
void apic_timer_reset(Apic *apic);
/* Arm for the state at hand (after load). */
void apic_timer_arm(Apic *apic);

#endif
