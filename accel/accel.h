/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The interface between the machine and what runs its CPUs: `kvm`, `emu` (alias tcg), `qtest`.
 *
 * One accelerator per process, chosen by -accel from a list (first that works). The machine asks it
 * for vCPUs; each runs on its own thread (accel/vcpu.c owns the thread's loop: stop, kick, queued
 * work), or, for qtest, on none.
 */
#ifndef VIREO_ACCEL_ACCEL_H
#define VIREO_ACCEL_ACCEL_H

#include <glib.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "cpu/x86/cpu-model.h"
#include "cpu/x86/cpu-state.h"
#include "qom/object.h"
#include "util/event-notifier.h"

/*
 * Four guest pages that KVM uses itself on Intel hosts (real-mode TSS and page table). The board
 * reports them to the guest as reserved and puts nothing there.
 */
#define ACCEL_RESERVED_BASE 0xfeffc000u
#define ACCEL_RESERVED_SIZE 0x4000u

#define TYPE_ACCEL "accel" /* types are named "<name>-accel"; options of -accel are properties */

typedef struct Accel Accel;
typedef struct VCpu VCpu;
typedef struct AccelOps AccelOps;

/* Where interrupt controllers live (-machine kernel-irqchip=). */
typedef enum AccelIrqchip {
    ACCEL_IRQCHIP_OFF,   /* all in userspace models */
    ACCEL_IRQCHIP_SPLIT, /* local APICs in the kernel; IOAPIC, PIC, PIT are models */
    ACCEL_IRQCHIP_ON,    /* all in the kernel */
} AccelIrqchip;

/* What the board wants, given to init. */
typedef struct AccelConfig {
    AccelIrqchip irqchip;
    bool irqchip_explicit;   /* the user said so: no silent fallback */
    unsigned max_cpus;
    bool needs_pit;          /* with ACCEL_IRQCHIP_ON: an in-kernel PIT */
    bool cpu_pm;              /* guests may idle the host's CPU: HLT, MWAIT, PAUSE do not exit */
} AccelConfig;

typedef struct AccelProbe {
    bool usable;              /* can run an ordinary guest */
    bool firmware_only;       /* works, but only for small bare guests (PVM-kind KVM) */
    char *reason;             /* one line for people; owned by the caller */
} AccelProbe;

struct AccelOps {
    const char *name;
    /* Can it run here? Cheap (under 10 ms), no lasting effect. */
    void (*probe)(Accel *accel, AccelProbe *probe);
    /* Create the VM. memory_init() has run; registers its memory listeners here. */
    bool (*init)(Accel *accel, const AccelConfig *config, GError **error);
    void (*cleanup)(Accel *accel);
    bool (*cpu_caps)(Accel *accel, X86AccelCaps *caps, GError **error);

    /* vCPU life cycle. create and destroy: on the vCPU's own thread, VM lock held. */
    bool (*vcpu_create)(VCpu *cpu, GError **error);
    void (*vcpu_destroy)(VCpu *cpu);
    /*
     * Run until something wants this thread: returns 0 to be called again (after a kick or exit),
     * or -errno after vm_report_internal_error(). Called without the VM lock; device accesses go
     * through memory/, which takes it.
     */
    int (*vcpu_run)(VCpu *cpu);
    /* Make vcpu_run return soon. Any thread. NULL: a signal to the thread is enough. */
    void (*vcpu_kick)(VCpu *cpu);
    /* Has a halted vCPU a reason to run again (an accepted interrupt, NMI, INIT, SIPI)? VM lock
       held. */
    bool (*has_work)(VCpu *cpu);
    /* Copy to / from cpu->state. On the vCPU's thread, VM lock held. */
    bool (*get_state)(VCpu *cpu, GError **error);
    bool (*set_state)(VCpu *cpu, GError **error);
    bool (*inject_nmi)(VCpu *cpu);

    /* Interrupts. gsi lines exist with ON (0..23). NULL when the irqchip is OFF. */
    void (*set_gsi)(Accel *accel, unsigned gsi, bool level);
    /* Deliver an MSI; < 0: -errno. NULL: written to the memory space, where the APIC model sees
       it. */
    int (*msi_send)(Accel *accel, uint64_t address, uint32_t data);
    /* MSI routes for irqfd; virq >= 0 or -errno. commit makes the table active. */
    int (*route_add_msi)(Accel *accel, uint64_t address, uint32_t data);
    int (*route_update_msi)(Accel *accel, int virq, uint64_t address, uint32_t data);
    void (*route_del)(Accel *accel, int virq);
    int (*route_commit)(Accel *accel);
    int (*irqfd_add)(Accel *accel, EventNotifier *trigger, EventNotifier *resample, int virq);
    int (*irqfd_del)(Accel *accel, EventNotifier *trigger, int virq);
    /* SPLIT: the IOAPIC model tells which entries route where, so that EOIs exit (MSI form). */
    void (*ioapic_routes)(Accel *accel, const uint64_t *msi_address, const uint32_t *msi_data,
                          const bool *valid, unsigned count);
    /* Chip state in the kernel's layout, for reset and saved state (struct
       kvm_irqchip/pit_state2). */
    bool (*irqchip_get)(Accel *accel, unsigned chip, void *data, size_t size, GError **error);
    bool (*irqchip_set)(Accel *accel, unsigned chip, const void *data, size_t size, GError **error);
    bool (*pit_get)(Accel *accel, void *data, size_t size, GError **error);
    bool (*pit_set)(Accel *accel, const void *data, size_t size, GError **error);
    /* Make up for timer ticks that the guest missed (the default), or let them go. */
    bool (*pit_set_reinject)(Accel *accel, bool on, GError **error);

    /* The virtual clock stopped or started: kvmclock and the TSC must not run ahead. */
    void (*vm_state_changed)(Accel *accel, bool running);
    /* After all vCPUs and devices exist. */
    bool (*machine_done)(Accel *accel, GError **error);
    /* Make VCpu.debug so; false if it cannot. NULL: no debugging. VM lock held. */
    bool (*update_debug)(VCpu *cpu, GError **error);
    /*
     * How many points update_debug takes, each of 1, 2, 4 or 8 bytes, aligned, not VCPU_BREAK_READ;
     * breakpoints beyond that are INT3s in memory. 0: any number of any kind and length.
     */
    unsigned debug_points;
    /* Can its CPUs enter SMM, with a view of memory of its own? NULL: they can. */
    bool (*has_smm)(Accel *accel);
    /* accel_a20_mask() is another than before. VM lock held. NULL: its CPUs have no A20M# pin. */
    void (*a20_changed)(Accel *accel);
    /* How guest code is translated, as text for people (the caller's). NULL: it is not. */
    char *(*describe_jit)(Accel *accel);
};

struct Accel {
    Object parent;
    AccelConfig config; /* as granted */
    AccelIrqchip irqchip_prop; /* -accel kvm,kernel-irqchip= */
    bool irqchip_prop_set;
    bool a20_closed; /* atomic */
    bool ignne;      /* atomic */
    void (*ferr)(void *opaque);
    void *ferr_opaque;
};

/* The one in use; NULL before accel_select(). */
Accel *accel_current(void);
const AccelOps *accel_ops(void);
static inline bool accel_is(const char *name)
{
    return accel_ops() && g_str_equal(accel_ops()->name, name);
}
AccelIrqchip accel_irqchip(void);

bool accel_has_smm(void);

/*
 * The A20 gate: one line to all CPUs, which port 0x92 and the keyboard controller drive; the last
 * one to speak wins. Closed, physical addresses lose bit 20 on their way out of a CPU (not those of
 * DMA). Open after reset. set: VM lock held. mask: what to AND addresses with; any thread.
 */
void accel_set_a20(bool open);
uint64_t accel_a20_mask(void);

/*
 * How a PC of the old kind learns of x87 exceptions while CR0.NE is clear (SDM vol. 1, appendix D):
 * the processor raises FERR#, for which the board connects fn, when an instruction waits with an
 * unmasked exception pending, unless the board asserts IGNNE#. The processor takes IGNNE# for
 * deasserted once no exception is pending. connect, raise: VM lock held; the others: any thread.
 */
void accel_connect_ferr(void (*fn)(void *opaque), void *opaque);
void accel_raise_ferr(void);
void accel_set_ignne(bool asserted);
bool accel_ignne(void);

/*
 * Choose and initialise the first of `list` ("kvm:emu", or several "kvm,prop=v" strings; NULL or
 * empty: ACCEL_DEFAULT_LIST) that works. allow_firmware_only: a KVM that runs only bare guests
 * counts as usable (no -kernel Linux given). An unusable one's reason is said in one line. -accel
 * help: accel_help(). VM lock held.
 */
#define ACCEL_DEFAULT_LIST "kvm:emu"
bool accel_select(const char *const *list, const AccelConfig *config, bool allow_firmware_only,
                  GError **error);
/* After the last vCPU is freed. */
void accel_cleanup(void);
char *accel_help(void);
/* -accel NAME,help: the properties. The caller's. */
char *accel_properties_help(const char *name, GError **error);
/* Is an accelerator of this name (or alias) part of this program? */
bool accel_is_built(const char *name);

/* ---- vCPUs (accel/vcpu.c) ---- */

/* Lines from an APIC/PIC model to its CPU; with in-kernel APICs only NMI and (SPLIT) EXTINT
   matter. */
typedef enum VCpuIrq {
    VCPU_IRQ_HARD = 1u << 0,   /* the APIC model has a deliverable vector */
    VCPU_IRQ_EXTINT = 1u << 1, /* the PIC's INTR reaches this CPU */
    VCPU_IRQ_NMI = 1u << 2,
    VCPU_IRQ_SMI = 1u << 3,
    VCPU_IRQ_INIT = 1u << 4,
    VCPU_IRQ_SIPI = 1u << 5,
} VCpuIrq;

/*
 * How the CPU asks its interrupt controller models back. VM lock held. With ACCEL_IRQCHIP_SPLIT
 * only ack and has_pending (for the PIC's EXTINT, on the boot CPU) and eoi_broadcast (for the
 * IOAPIC) are used; the other slots may then be NULL.
 */
typedef struct VCpuApicOps {
    /* The vector to deliver now, acknowledged; -1: none (spurious is a vector). */
    int (*ack)(void *apic);
    bool (*has_pending)(void *apic);
    uint8_t (*get_tpr)(void *apic); /* CR8 */
    void (*set_tpr)(void *apic, uint8_t cr8);
    uint64_t (*get_base)(void *apic);
    /* IA32_APIC_BASE write; false: #GP */
    bool (*set_base)(void *apic, uint64_t value);
    /* x2APIC MSRs 0x800..0x8ff; false: #GP */
    bool (*msr_read)(void *apic, uint32_t index, uint64_t *value);
    bool (*msr_write)(void *apic, uint32_t index, uint64_t value);
    void (*eoi_broadcast)(void *apic, uint8_t vector);
    /*
     * IA32_TSC_DEADLINE was written: the time of the virtual clock at which the CPU's TSC will have
     * reached it (a past one fires at once); 0: disarmed.
     */
    void (*set_deadline)(void *apic, int64_t virtual_ns);
    void (*init_reset)(void *apic);
} VCpuApicOps;

typedef enum VCpuBreakpointKind {
    VCPU_BREAK_EXECUTE = 0, /* numbers as in DR7's R/W fields (SDM vol. 3, 18.2.4) */
    VCPU_BREAK_WRITE = 1,
    VCPU_BREAK_READ = 2,    /* which DR7 has no number for */
    VCPU_BREAK_ACCESS = 3,
} VCpuBreakpointKind;

typedef struct VCpuBreakpoint {
    uint64_t address; /* linear */
    VCpuBreakpointKind kind;
    uint32_t length;  /* 1 for execute */
} VCpuBreakpoint;

typedef enum VCpuStop {
    VCPU_STOP_NONE,
    VCPU_STOP_STEP,  /* one instruction was run, or an exception's handler entered */
    VCPU_STOP_INT3,  /* the next instruction is an INT3 of the debugger's */
    VCPU_STOP_POINT, /* points[hit_point]: before an instruction, or after a data access */
} VCpuStop;

/* What a debugger has set on a CPU; accel_ops()->update_debug() makes it so. */
typedef struct VCpuDebug {
    bool hold;                 /* stays stopped while the others run; needs no update_debug */
    bool single_step;
    bool holds_interrupts;     /* takes none while it steps */
    bool software_breakpoints; /* INT3 belongs to the debugger, who wrote it */
    unsigned count;
    const VCpuBreakpoint *points; /* borrowed; may be changed while no CPU runs */
    /* How the last run ended: set by the accelerator, cleared by the debugger. */
    VCpuStop stop;
    unsigned hit_point;
    uint64_t hit_address; /* linear address of the next instruction */
    bool passes;          /* an execute point at hit_address has been reported: once it is passed */
} VCpuDebug;

struct VCpu {
    unsigned index;
    uint32_t apic_id;
    Object *device;           /* the CPU's device in the object tree; borrowed */
    X86CpuConfig *config;
    X86Topology topology;
    X86CpuState state;        /* valid while state_valid: the accelerator's is not newer then */
    bool state_valid;
    bool state_dirty;         /* must be pushed by set_state before the next run */

    const VCpuApicOps *apic_ops; /* set before the CPU runs; NULL with ACCEL_IRQCHIP_ON */
    void *apic;
    uint32_t irq_lines;       /* VCpuIrq bits, atomic */
    VCpuDebug debug;
    uint8_t sipi_vector;      /* set by the APIC model before it raises VCPU_IRQ_SIPI */

    /* private to accel/vcpu.c and the accelerator */
    pthread_t thread;
    int tid;
    bool has_thread, created, stop_requested, stopped, unplug, exit_request;
    bool halted;              /* waits for ops->has_work; set by the accelerator */
    GQueue work;
    pthread_cond_t wake;
    void *accel_data;
};

/* Create the vCPU and its thread; it starts stopped. VM lock held. The device is borrowed. */
VCpu *vcpu_new(Object *device, unsigned index, uint32_t apic_id, X86CpuConfig *config,
               const X86Topology *topology, GError **error);
/*
 * Takes it out of the machine: when this returns, its thread has ended and nobody finds it any
 * more; vcpu_free() is left to do. Lock held, released while waiting. Not from its own thread.
 */
void vcpu_retire(VCpu *cpu);
/* Retires it first, if that has not been done. NULL is ignored. */
void vcpu_free(VCpu *cpu);
/* A CPU that came while the machine runs, and has been reset, runs as the others do. Lock held. */
void vcpu_join_others(VCpu *cpu);
unsigned vcpu_count(void);
VCpu *vcpu_get(unsigned index); /* NULL if there is none */
/* All that there are, by index: the first after NULL; NULL after the last. */
VCpu *vcpu_next(const VCpu *cpu);
VCpu *vcpu_by_apic_id(uint32_t apic_id);
VCpu *vcpu_current(void);       /* of this thread, or NULL */

/* VM lock held (released while waiting). pause returns when no vCPU runs guest code. */
void vcpus_pause_all(void);
void vcpus_resume_all(void);
/* On the vCPU's own thread: run no more guest code until vcpus_resume_all(). With or without the
   lock. */
void vcpu_stop_self(VCpu *cpu);
/* Leave guest code and look at irq_lines, work and requests. Any thread. */
void vcpu_kick(VCpu *cpu);
/* Run fn on the vCPU's thread with the VM lock held; waits. */
void vcpu_run_on(VCpu *cpu, void (*fn)(VCpu *cpu, void *opaque), void *opaque);
/* Make cpu->state valid (get_state on the right thread). VM lock held. */
bool vcpu_sync_state(VCpu *cpu, GError **error);
/* Call after changing cpu->state (synced before): it is pushed before the CPU runs. */
void vcpu_state_changed(VCpu *cpu);
/* RESET# on one CPU: state, APIC base, mp_state (AP waits). VM stopped or on its thread. */
void vcpu_reset(VCpu *cpu);
/*
 * Raise or lower lines of VCpuIrq and kick. VM lock held. HARD and EXTINT are levels that their
 * models lower; NMI, SMI, INIT and SIPI are edges, which the CPU clears when it takes them.
 */
void vcpu_set_irq(VCpu *cpu, uint32_t lines, bool level);
/* CPL0 linear address -> physical through the CPU's current page tables; false if not mapped. */
bool vcpu_translate(VCpu *cpu, uint64_t linear, uint64_t *physical);

#endif
