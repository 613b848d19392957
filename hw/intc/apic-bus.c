/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages to local APICs: interprocessor interrupts and MSIs (SDM vol. 3, 11.6 and 11.11). A
 * message names its receivers physically (an APIC ID) or logically (a bit mask against LDR, flat or
 * in clusters, as each receiver's DFR or x2APIC mode says), or by a shorthand.
 *
 *   MSI address  19:12 destination, 11:5 destination bits 14:8 (KVM's extension), 3 redirection
 *                hint,
 *                2 logical
 *   MSI data     7:0 vector, 10:8 delivery mode, 14 assert, 15 level-triggered
 */
#include "hw/intc/apic-internal.h"

typedef struct ApicMessage {
    uint32_t dest;
    bool logical;
    bool wide;      /* dest is an x2APIC destination: 32 bits */
    enum ApicDelivery mode;
    uint8_t vector;
    bool level;
} ApicMessage;

enum Shorthand { TO_DEST, TO_SELF, TO_ALL, TO_OTHERS };

/* The APIC of the next CPU after *cpu that has one, which *cpu becomes; NULL after the last. */
static Apic *next_apic(VCpu **cpu)
{
    while ((*cpu = vcpu_next(*cpu))) {
        if (apic_of_cpu(*cpu)) {
            return (*cpu)->apic;
        }
    }
    return NULL;
}
#define FOREACH_APIC(apic) for (VCpu *cpu_ = NULL; (apic = next_apic(&cpu_));)

static bool is_broadcast(const ApicMessage *msg)
{
    return msg->wide ? msg->dest == UINT32_MAX : msg->dest == 0xff;
}

static bool logical_match(const Apic *apic, const ApicMessage *msg)
{
    if (apic_x2(apic)) {
        return msg->dest >> 16 == apic->ldr >> 16 && (msg->dest & apic->ldr & 0xffff);
    }
    if (apic->dfr >> 28 == 0xf) {
        return msg->dest & (apic->ldr >> 24);
    }
    /* Clusters: the high nibble names one, the low nibble members of it. */
    return (msg->dest >> 4 & 0xf) == apic->ldr >> 28 && (msg->dest & (apic->ldr >> 24) & 0xf);
}

static bool is_receiver(const Apic *apic, const ApicMessage *msg)
{
    if (!apic_enabled(apic)) {
        return false;
    }
    if (is_broadcast(msg)) {
        return true;
    }
    return msg->logical ? logical_match(apic, msg) : apic->id == msg->dest;
}

/* Of the receivers that listen, the one with the least urgent work; equals take turns. */
static Apic *lowest_priority(const ApicMessage *msg)
{
    Apic *best = NULL, *apic;
    uint64_t turn = 0;

    FOREACH_APIC(apic) {
        if (!is_receiver(apic, msg) || !(apic->svr & SVR_ENABLE)) {
            continue;
        }
        turn = MAX(turn, apic->lowest_turn);
        if (!best || apic_ppr(apic) >> 4 < apic_ppr(best) >> 4 ||
            (apic_ppr(apic) >> 4 == apic_ppr(best) >> 4 && apic->lowest_turn < best->lowest_turn)) {
            best = apic;
        }
    }
    if (best) {
        best->lowest_turn = turn + 1;
    }
    return best;
}

static void route(const ApicMessage *msg)
{
    Apic *apic;

    if (msg->mode == DELIVER_LOWEST) {
        apic = lowest_priority(msg);
        if (apic) {
            apic_accept(apic, DELIVER_FIXED, msg->vector, msg->level);
        }
        return;
    }
    FOREACH_APIC(apic) {
        if (is_receiver(apic, msg)) {
            apic_accept(apic, msg->mode, msg->vector, msg->level);
        }
    }
}

static bool has_vector(enum ApicDelivery mode)
{
    return mode == DELIVER_FIXED || mode == DELIVER_LOWEST;
}

void apic_send_self(Apic *apic, uint8_t vector)
{
    if (vector < APIC_FIRST_VECTOR) {
        apic_error(apic, ESR_SEND_ILLEGAL);
        return;
    }
    apic_accept(apic, DELIVER_FIXED, vector, false);
}

void apic_send_ipi(Apic *apic)
{
    uint32_t low = apic->icr[0];
    enum Shorthand shorthand = low >> 18 & 3;
    bool assert_level = low & BIT(14), level = low & BIT(15);
    Apic *other;
    ApicMessage msg = {
        .dest = apic_x2(apic) ? apic->icr[1] : apic->icr[1] >> 24,
        .wide = apic_x2(apic),
        .logical = low & BIT(11),
        .mode = low >> 8 & 7,
        .vector = low,
    };

    /* INIT level de-assert only synchronised arbitration IDs of old. */
    if (msg.mode == DELIVER_INIT && level && !assert_level) {
        return;
    }
    if (has_vector(msg.mode) && msg.vector < APIC_FIRST_VECTOR) {
        apic_error(apic, ESR_SEND_ILLEGAL);
        return;
    }
    if (shorthand == TO_DEST) {
        route(&msg);
        return;
    }
    FOREACH_APIC(other) {
        bool self = other == apic;

        if (apic_enabled(other) &&
            (shorthand == TO_ALL || self == (shorthand == TO_SELF))) {
            apic_accept(other, msg.mode == DELIVER_LOWEST ? DELIVER_FIXED : msg.mode, msg.vector,
                        false);
        }
    }
}

void apic_receive_msi(uint32_t offset, uint32_t data)
{
    ApicMessage msg = {
        .dest = (offset >> 12 & 0xff) | (offset >> 5 & 0x7f) << 8,
        .logical = offset & BIT(2),
        .mode = data >> 8 & 7,
        .vector = data,
        .level = data & BIT(15),
    };

    /* The redirection hint with a logical destination picks one receiver. */
    if ((offset & BIT(3)) && msg.logical && msg.mode == DELIVER_FIXED) {
        msg.mode = DELIVER_LOWEST;
    }
    route(&msg);
}

void apic_pic_intr_changed(bool level)
{
    Apic *apic;

    if (accel_irqchip() == ACCEL_IRQCHIP_SPLIT) {
        VCpu *boot = vcpu_get(0);

        if (boot) {
            vcpu_set_irq(boot, VCPU_IRQ_EXTINT, level);
        }
        return;
    }
    FOREACH_APIC(apic) {
        if ((apic->lvt[LVT_LINT0] >> 8 & 7) == DELIVER_FIXED && level) {
            apic_local(apic, LVT_LINT0);
        }
        apic_update(apic);
    }
}
