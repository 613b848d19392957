/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A vCPU's state, to and from cpu->state. The order of writing matters to KVM: control registers
 * before MSRs (EFER decides what they mean), the APIC base before the APIC page, events last,
 * because setting the others may clear them.
 */
#include "accel/kvm/kvm-internal.h"

#include <string.h>

#include "util/bits.h"
#include "util/error.h"

#define ATTR_UNUSABLE BIT(16)

static bool fail(GError **error, int ret, const char *what)
{
    error_set_errno(error, -ret, "%s", what);
    return false;
}

static void get_segment(X86Segment *out, const struct kvm_segment *in)
{
    *out = (X86Segment) {
        .base = in->base,
        .limit = in->limit,
        .selector = in->selector,
        .attr = in->type | in->s << 4 | in->dpl << 5 | in->present << 7 | in->avl << 12 |
                in->l << 13 | in->db << 14 | in->g << 15 | (in->unusable ? ATTR_UNUSABLE : 0),
    };
}

static void set_segment(struct kvm_segment *out, const X86Segment *in)
{
    *out = (struct kvm_segment) {
        .base = in->base,
        .limit = in->limit,
        .selector = in->selector,
        .type = in->attr & 0xf,
        .s = in->attr >> 4 & 1,
        .dpl = in->attr >> 5 & 3,
        .present = in->attr >> 7 & 1,
        .avl = in->attr >> 12 & 1,
        .l = in->attr >> 13 & 1,
        .db = in->attr >> 14 & 1,
        .g = in->attr >> 15 & 1,
        .unusable = (in->attr & ATTR_UNUSABLE) != 0,
    };
}

static bool get_general(VCpu *cpu, GError **error)
{
    X86CpuState *state = &cpu->state;
    struct kvm_regs regs;
    int ret = kvm_ioctl(kvm_vcpu(cpu)->fd, KVM_GET_REGS, &regs);

    if (ret < 0) {
        return fail(error, ret, "KVM_GET_REGS");
    }
    const uint64_t values[X86_REG__MAX] = {
        regs.rax, regs.rcx, regs.rdx, regs.rbx, regs.rsp, regs.rbp, regs.rsi, regs.rdi,
        regs.r8, regs.r9, regs.r10, regs.r11, regs.r12, regs.r13, regs.r14, regs.r15,
    };
    memcpy(state->regs, values, sizeof(values));
    state->rip = regs.rip;
    state->rflags = regs.rflags;
    return true;
}

static bool set_general(VCpu *cpu, GError **error)
{
    const uint64_t *r = cpu->state.regs;
    struct kvm_regs regs = {
        .rax = r[X86_RAX], .rcx = r[X86_RCX], .rdx = r[X86_RDX], .rbx = r[X86_RBX],
        .rsp = r[X86_RSP], .rbp = r[X86_RBP], .rsi = r[X86_RSI], .rdi = r[X86_RDI],
        .r8 = r[X86_R8], .r9 = r[X86_R9], .r10 = r[X86_R10], .r11 = r[X86_R11],
        .r12 = r[X86_R12], .r13 = r[X86_R13], .r14 = r[X86_R14], .r15 = r[X86_R15],
        .rip = cpu->state.rip, .rflags = cpu->state.rflags,
    };
    int ret = kvm_ioctl(kvm_vcpu(cpu)->fd, KVM_SET_REGS, &regs);

    return ret < 0 ? fail(error, ret, "KVM_SET_REGS") : true;
}

/* Segment fields of struct kvm_sregs and kvm_sregs2, which begin alike. */
static void get_segments(X86CpuState *state, const struct kvm_sregs2 *sregs)
{
    const struct kvm_segment *segments[X86_SEG__MAX] = {
        &sregs->es, &sregs->cs, &sregs->ss, &sregs->ds,
        &sregs->fs, &sregs->gs, &sregs->ldt, &sregs->tr,
    };

    for (unsigned i = 0; i < X86_SEG__MAX; i++) {
        get_segment(&state->segs[i], segments[i]);
    }
    state->gdt = (X86Table) { sregs->gdt.base, sregs->gdt.limit };
    state->idt = (X86Table) { sregs->idt.base, sregs->idt.limit };
}

static void set_segments(struct kvm_sregs2 *sregs, const X86CpuState *state)
{
    struct kvm_segment *segments[X86_SEG__MAX] = {
        &sregs->es, &sregs->cs, &sregs->ss, &sregs->ds,
        &sregs->fs, &sregs->gs, &sregs->ldt, &sregs->tr,
    };

    for (unsigned i = 0; i < X86_SEG__MAX; i++) {
        set_segment(segments[i], &state->segs[i]);
    }
    sregs->gdt.base = state->gdt.base;
    sregs->gdt.limit = state->gdt.limit;
    sregs->idt.base = state->idt.base;
    sregs->idt.limit = state->idt.limit;
}

static bool get_special(VCpu *cpu, GError **error)
{
    X86CpuState *state = &cpu->state;
    union {
        struct kvm_sregs one;
        struct kvm_sregs2 two;
    } sregs = { 0 };
    bool has2 = kvm_accel()->has_sregs2;
    int ret = kvm_ioctl(kvm_vcpu(cpu)->fd, has2 ? KVM_GET_SREGS2 : KVM_GET_SREGS, &sregs);

    if (ret < 0) {
        return fail(error, ret, has2 ? "KVM_GET_SREGS2" : "KVM_GET_SREGS");
    }
    /* All but the tails (interrupt_bitmap; flags and PDPTRs) of the two structs is the same. */
    get_segments(state, &sregs.two);
    state->cr0 = sregs.two.cr0;
    state->cr2 = sregs.two.cr2;
    state->cr3 = sregs.two.cr3;
    state->cr4 = sregs.two.cr4;
    state->cr8 = sregs.two.cr8;
    state->efer = sregs.two.efer;
    state->apic_base = sregs.two.apic_base;
    state->pdptrs_valid = has2 && (sregs.two.flags & KVM_SREGS2_FLAGS_PDPTRS_VALID);
    if (state->pdptrs_valid) {
        memcpy(state->pdptrs, sregs.two.pdptrs, sizeof(state->pdptrs));
    }
    return true;
}

static bool set_special(VCpu *cpu, GError **error)
{
    const X86CpuState *state = &cpu->state;
    union {
        struct kvm_sregs one;
        struct kvm_sregs2 two;
    } sregs = { 0 };
    bool has2 = kvm_accel()->has_sregs2;
    int ret;

    set_segments(&sregs.two, state);
    sregs.two.cr0 = state->cr0;
    sregs.two.cr2 = state->cr2;
    sregs.two.cr3 = state->cr3;
    sregs.two.cr4 = state->cr4;
    sregs.two.cr8 = state->cr8;
    sregs.two.efer = state->efer;
    sregs.two.apic_base = state->apic_base;
    if (has2 && state->pdptrs_valid) {
        sregs.two.flags = KVM_SREGS2_FLAGS_PDPTRS_VALID;
        memcpy(sregs.two.pdptrs, state->pdptrs, sizeof(state->pdptrs));
    }
    ret = kvm_ioctl(kvm_vcpu(cpu)->fd, has2 ? KVM_SET_SREGS2 : KVM_SET_SREGS, &sregs);
    return ret < 0 ? fail(error, ret, has2 ? "KVM_SET_SREGS2" : "KVM_SET_SREGS") : true;
}

G_STATIC_ASSERT(sizeof(struct kvm_xsave) == X86_XSAVE_MAX);
G_STATIC_ASSERT(offsetof(struct kvm_sregs, apic_base) == offsetof(struct kvm_sregs2, apic_base));

static bool get_extended(VCpu *cpu, GError **error)
{
    struct kvm_xcrs xcrs = { 0 };
    int ret = kvm_ioctl(kvm_vcpu(cpu)->fd, KVM_GET_XSAVE, cpu->state.xsave);

    if (ret < 0) {
        return fail(error, ret, "KVM_GET_XSAVE");
    }
    cpu->state.xsave_size = X86_XSAVE_MAX;
    cpu->state.xcr0 = 1;
    if (!kvm_accel()->has_xcrs) {
        return true;
    }
    ret = kvm_ioctl(kvm_vcpu(cpu)->fd, KVM_GET_XCRS, &xcrs);
    if (ret < 0) {
        return fail(error, ret, "KVM_GET_XCRS");
    }
    for (uint32_t i = 0; i < MIN(xcrs.nr_xcrs, KVM_MAX_XCRS); i++) {
        if (xcrs.xcrs[i].xcr == 0) {
            cpu->state.xcr0 = xcrs.xcrs[i].value;
        }
    }
    return true;
}

static bool set_extended(VCpu *cpu, GError **error)
{
    struct kvm_xcrs xcrs = { .nr_xcrs = 1, .xcrs[0].value = cpu->state.xcr0 };
    int ret = kvm_ioctl(kvm_vcpu(cpu)->fd, KVM_SET_XSAVE, cpu->state.xsave);

    if (ret < 0) {
        return fail(error, ret, "KVM_SET_XSAVE");
    }
    if (kvm_accel()->has_xcrs) {
        ret = kvm_ioctl(kvm_vcpu(cpu)->fd, KVM_SET_XCRS, &xcrs);
    }
    return ret < 0 ? fail(error, ret, "KVM_SET_XCRS") : true;
}

static bool get_events(VCpu *cpu, GError **error)
{
    X86Events *out = &cpu->state.events;
    struct kvm_vcpu_events in = { 0 };
    int ret = kvm_ioctl(kvm_vcpu(cpu)->fd, KVM_GET_VCPU_EVENTS, &in);

    if (ret < 0) {
        return fail(error, ret, "KVM_GET_VCPU_EVENTS");
    }
    *out = (X86Events) {
        .exception_pending = in.exception.pending,
        .exception_injected = in.exception.injected,
        .exception_has_error = in.exception.has_error_code,
        .exception_vector = in.exception.nr,
        .exception_error = in.exception.error_code,
        .exception_has_payload = in.exception_has_payload,
        .exception_payload = in.exception_payload,
        .interrupt_injected = in.interrupt.injected,
        .interrupt_soft = in.interrupt.soft,
        .interrupt_vector = in.interrupt.nr,
        .interrupt_shadow = in.interrupt.shadow,
        .nmi_pending = in.nmi.pending,
        .nmi_injected = in.nmi.injected,
        .nmi_masked = in.nmi.masked,
        .sipi_vector = in.sipi_vector,
        .smi_pending = in.smi.pending,
        .in_smm = in.smi.smm,
        .smm_inside_nmi = in.smi.smm_inside_nmi,
        .init_latched = in.smi.latched_init,
        .triple_fault_pending = in.triple_fault.pending,
    };
    return true;
}

static bool set_events(VCpu *cpu, GError **error)
{
    const KvmAccel *kvm = kvm_accel();
    const X86Events *in = &cpu->state.events;
    struct kvm_vcpu_events out = {
        .exception.pending = in->exception_pending && kvm->has_payload,
        .exception.injected = in->exception_injected ||
                              (in->exception_pending && !kvm->has_payload),
        .exception.has_error_code = in->exception_has_error,
        .exception.nr = in->exception_vector,
        .exception.error_code = in->exception_error,
        .exception_has_payload = in->exception_has_payload,
        .exception_payload = in->exception_payload,
        .interrupt.injected = in->interrupt_injected,
        .interrupt.soft = in->interrupt_soft,
        .interrupt.nr = in->interrupt_vector,
        .interrupt.shadow = in->interrupt_shadow,
        .nmi.pending = in->nmi_pending,
        .nmi.injected = in->nmi_injected,
        .nmi.masked = in->nmi_masked,
        .sipi_vector = in->sipi_vector,
        .flags = KVM_VCPUEVENT_VALID_NMI_PENDING | KVM_VCPUEVENT_VALID_SHADOW,
    };
    int ret;

    if (kvm_has_lapic()) {
        out.flags |= KVM_VCPUEVENT_VALID_SIPI_VECTOR;
    }
    if (kvm->has_payload) {
        out.flags |= KVM_VCPUEVENT_VALID_PAYLOAD;
    }
    if (kvm->has_smm) {
        out.flags |= KVM_VCPUEVENT_VALID_SMM;
        out.smi.smm = in->in_smm;
        out.smi.pending = in->smi_pending;
        out.smi.smm_inside_nmi = in->smm_inside_nmi;
        out.smi.latched_init = in->init_latched && kvm_has_lapic();
    }
    if (kvm->has_triple_fault_event) {
        out.flags |= KVM_VCPUEVENT_VALID_TRIPLE_FAULT;
        out.triple_fault.pending = in->triple_fault_pending;
    }
    ret = kvm_ioctl(kvm_vcpu(cpu)->fd, KVM_SET_VCPU_EVENTS, &out);
    return ret < 0 ? fail(error, ret, "KVM_SET_VCPU_EVENTS") : true;
}

static bool get_debug(VCpu *cpu, GError **error)
{
    struct kvm_debugregs regs = { 0 };
    int ret;

    if (!kvm_accel()->has_debugregs) {
        return true;
    }
    ret = kvm_ioctl(kvm_vcpu(cpu)->fd, KVM_GET_DEBUGREGS, &regs);
    if (ret < 0) {
        return fail(error, ret, "KVM_GET_DEBUGREGS");
    }
    memcpy(cpu->state.dr, regs.db, sizeof(regs.db));
    cpu->state.dr[6] = regs.dr6;
    cpu->state.dr[7] = regs.dr7;
    return true;
}

static bool set_debug(VCpu *cpu, GError **error)
{
    struct kvm_debugregs regs = { .dr6 = cpu->state.dr[6], .dr7 = cpu->state.dr[7] };
    int ret = 0;

    memcpy(regs.db, cpu->state.dr, sizeof(regs.db));
    if (kvm_accel()->has_debugregs) {
        ret = kvm_ioctl(kvm_vcpu(cpu)->fd, KVM_SET_DEBUGREGS, &regs);
    }
    return ret < 0 ? fail(error, ret, "KVM_SET_DEBUGREGS") : true;
}

static const struct {
    X86MpState ours;
    uint32_t theirs;
} mp_states[] = {
    { X86_MP_RUNNABLE, KVM_MP_STATE_RUNNABLE },
    { X86_MP_WAIT_FOR_SIPI, KVM_MP_STATE_UNINITIALIZED },
    { X86_MP_INIT_RECEIVED, KVM_MP_STATE_INIT_RECEIVED },
    { X86_MP_HALTED, KVM_MP_STATE_HALTED },
    { X86_MP_SIPI_RECEIVED, KVM_MP_STATE_SIPI_RECEIVED },
};

static bool get_local_apic(VCpu *cpu, GError **error)
{
    KvmVCpu *vcpu = kvm_vcpu(cpu);
    struct kvm_mp_state mp = { 0 };
    int ret;

    if (!kvm_has_lapic()) {
        cpu->state.mp_state = vcpu->wait_for_sipi ? X86_MP_WAIT_FOR_SIPI :
                              cpu->halted ? X86_MP_HALTED : X86_MP_RUNNABLE;
        return true;
    }
    ret = kvm_ioctl(vcpu->fd, KVM_GET_MP_STATE, &mp);
    if (ret < 0) {
        return fail(error, ret, "KVM_GET_MP_STATE");
    }
    for (size_t i = 0; i < G_N_ELEMENTS(mp_states); i++) {
        if (mp_states[i].theirs == mp.mp_state) {
            cpu->state.mp_state = mp_states[i].ours;
        }
    }
    ret = kvm_ioctl(vcpu->fd, KVM_GET_LAPIC, cpu->state.lapic);
    if (ret < 0) {
        return fail(error, ret, "KVM_GET_LAPIC");
    }
    memcpy(vcpu->known_lapic, cpu->state.lapic, sizeof(vcpu->known_lapic));
    return true;
}

static bool set_local_apic(VCpu *cpu, GError **error)
{
    KvmVCpu *vcpu = kvm_vcpu(cpu);
    int ret;

    /* Writing the page restarts its timer, so it is left alone if nothing changed. */
    if (!kvm_has_lapic() ||
        memcmp(vcpu->known_lapic, cpu->state.lapic, sizeof(cpu->state.lapic)) == 0) {
        return true;
    }
    ret = kvm_ioctl(vcpu->fd, KVM_SET_LAPIC, cpu->state.lapic);
    if (ret < 0) {
        return fail(error, ret, "KVM_SET_LAPIC");
    }
    memcpy(vcpu->known_lapic, cpu->state.lapic, sizeof(vcpu->known_lapic));
    return true;
}

static bool set_mp_state(VCpu *cpu, GError **error)
{
    struct kvm_mp_state mp = { .mp_state = mp_states[cpu->state.mp_state].theirs };
    int ret;

    if (!kvm_has_lapic()) {
        kvm_vcpu(cpu)->wait_for_sipi = cpu->state.mp_state == X86_MP_WAIT_FOR_SIPI ||
                                       cpu->state.mp_state == X86_MP_INIT_RECEIVED;
        cpu->halted = kvm_vcpu(cpu)->wait_for_sipi || cpu->state.mp_state == X86_MP_HALTED;
        return true;
    }
    ret = kvm_ioctl(kvm_vcpu(cpu)->fd, KVM_SET_MP_STATE, &mp);
    return ret < 0 ? fail(error, ret, "KVM_SET_MP_STATE") : true;
}

bool kvm_get_state(VCpu *cpu, GError **error)
{
    return get_general(cpu, error) && get_special(cpu, error) && get_extended(cpu, error) &&
           kvm_get_msrs(cpu, error) && get_events(cpu, error) && get_debug(cpu, error) &&
           get_local_apic(cpu, error);
}

bool kvm_set_state(VCpu *cpu, GError **error)
{
    /* What the last exit said about accepting interrupts was about the old state. */
    kvm_vcpu(cpu)->run->ready_for_interrupt_injection = 0;
    kvm_vcpu(cpu)->apic_touched = true;
    return set_general(cpu, error) && set_extended(cpu, error) && set_special(cpu, error) &&
           set_local_apic(cpu, error) && kvm_set_msrs(cpu, error) && set_debug(cpu, error) &&
           set_events(cpu, error) && set_mp_state(cpu, error);
}
