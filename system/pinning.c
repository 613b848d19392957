/* SPDX-License-Identifier: Apache-2.0 */
/* -pin, set-thread-affinity and query-thread-affinity: which threads run on which host CPUs. */
#include <unistd.h>

#include "backends/iothread.h"
#include "qapi/qapi-commands-affinity.h"
#include "system/machine-setup.h"
#include "util/error.h"
#include "util/host-cpus.h"

static bool pin_main(const HostCpus *cpus, GError **error)
{
    if (!host_cpus_count(cpus)) {
        host_cpus_unpin(getpid());
        return true;
    }
    if (!host_cpus_pin(getpid(), cpus, error)) {
        g_prefix_error(error, "main thread: ");
        return false;
    }
    return true;
}

static bool pin_iothread(const char *id, const HostCpus *cpus, GError **error)
{
    g_autoptr(Object) iothread = (Object *)iothread_find(id, error);

    return iothread && iothread_pin((IoThread *)iothread, cpus, error);
}

/* ---- -pin ---- */

/* The n-th of the set, counted on from its beginning when it ends. */
static HostCpus nth_cpu(const HostCpus *cpus, unsigned n)
{
    HostCpus one = { 0 };
    unsigned cpu = 0;

    for (n %= host_cpus_count(cpus);; cpu++) {
        if (host_cpus_test(cpus, cpu) && n-- == 0) {
            CPU_SET(cpu, &one.set);
            return one;
        }
    }
}

/* A list of vCPUs has the shape of a list of host CPUs. */
static bool parse_vcpus(const char *text, HostCpus *vcpus, GError **error)
{
    unsigned max = machine_current()->smp.max_cpus;

    if (g_str_equal(text, "all")) {
        *vcpus = (HostCpus) { 0 };
        return max == 0 || host_cpus_add(vcpus, 0, max - 1, error);
    }
    if (!host_cpus_parse(text, vcpus, error)) {
        g_prefix_error(error, "vcpu=%s: ", text);
        return false;
    }
    return true;
}

static bool pin_vcpus(const char *text, const HostCpus *cpus, bool each, GError **error)
{
    HostCpus vcpus;
    unsigned n = 0;

    if (!parse_vcpus(text, &vcpus, error) || !host_cpus_check(cpus, error)) {
        return false;
    }
    for (unsigned index = 0; index < HOST_CPUS_MAX; index++) {
        HostCpus own = each ? nth_cpu(cpus, n) : *cpus;

        if (!host_cpus_test(&vcpus, index)) {
            continue;
        }
        n++;
        if (!machine_pin_vcpu(machine_current(), index, &own, error)) {
            return false;
        }
    }
    return true;
}

typedef struct Pin {
    const char *vcpu, *iothread;
    bool main, each;
    HostCpus cpus;
} Pin;

static bool check_names(json_object *json, GError **error)
{
    static const char *const names[] = { "vcpu", "iothread", "main", "cpus", "each", NULL };

    json_object_object_foreach (json, name, value) {
        if (value && !g_strv_contains(names, name)) {
            error_setf(error, "Invalid parameter '%s'", name);
            error_append_nearest(error, name, names);
            return false;
        }
    }
    return true;
}

static bool parse_pin(json_object *json, Pin *pin, GError **error)
{
    const char *cpus = options_member(json, "cpus");

    *pin = (Pin) {
        .vcpu = options_member(json, "vcpu"), .iothread = options_member(json, "iothread"),
    };
    if (!check_names(json, error) || !options_switch(json, "main", &pin->main, error) ||
        !options_switch(json, "each", &pin->each, error)) {
        return false;
    }
    if (!!pin->vcpu + !!pin->iothread + pin->main != 1) {
        error_setf(error, "needs one of vcpu=, iothread= and main");
        return false;
    }
    if (pin->each && !pin->vcpu) {
        error_setf(error, "each=on is for vcpu=");
        return false;
    }
    if (!cpus) {
        error_setf(error, "needs cpus=, the host CPUs to run on");
        return false;
    }
    if (!host_cpus_parse(cpus, &pin->cpus, error)) {
        g_prefix_error(error, "cpus=%s: ", cpus);
        return false;
    }
    return true;
}

/* main: only its pins, else only the others. */
static bool apply_pins(const VmOptions *options, bool main, GError **error)
{
    for (unsigned i = 0; i < options->pin->len; i++) {
        const OptionValue *value = g_ptr_array_index(options->pin, i);
        bool ok;
        Pin pin;

        ok = parse_pin(value->json, &pin, error);
        if (ok && pin.main == main) {
            ok = pin.main       ? pin_main(&pin.cpus, error)
                 : pin.iothread ? pin_iothread(pin.iothread, &pin.cpus, error)
                                : pin_vcpus(pin.vcpu, &pin.cpus, pin.each, error);
        }
        if (!ok) {
            g_prefix_error(error, "-pin: ");
            return false;
        }
    }
    return true;
}

bool setup_pins(VmOptions *options, GError **error)
{
    return apply_pins(options, false, error);
}

bool setup_main_pin(VmOptions *options, GError **error)
{
    return apply_pins(options, true, error);
}

/* ---- QMP ---- */

static bool check_target(VmThreadKind kind, bool has_index, bool has_iothread, GError **error)
{
    bool is_vcpu = kind == VM_THREAD_KIND_VCPU, is_iothread = kind == VM_THREAD_KIND_IOTHREAD;

    if (has_index != is_vcpu) {
        error_setf(error, is_vcpu ? "kind 'vcpu' needs cpu-index" : "cpu-index is for kind 'vcpu'");
        return false;
    }
    if (has_iothread != is_iothread) {
        error_setf(error, is_iothread ? "kind 'iothread' needs iothread"
                                      : "iothread is for kind 'iothread'");
        return false;
    }
    return true;
}

bool qmp_set_thread_affinity(VmThreadKind kind, bool has_cpu_index, int64_t cpu_index,
                             const char *iothread, GArray *host_cpus, GError **error)
{
    HostCpus cpus = { 0 };

    if (!check_target(kind, has_cpu_index, iothread != NULL, error)) {
        return false;
    }
    for (guint i = 0; i < host_cpus->len; i++) {
        uint16_t cpu = g_array_index(host_cpus, uint16_t, i);

        if (!host_cpus_add(&cpus, cpu, cpu, error)) {
            return false;
        }
    }
    if (kind == VM_THREAD_KIND_MAIN) {
        return pin_main(&cpus, error);
    }
    if (kind == VM_THREAD_KIND_IOTHREAD) {
        return pin_iothread(iothread, &cpus, error);
    }
    if (cpu_index < 0 || cpu_index > UINT16_MAX) {
        error_setf(error, "there is no vCPU %" G_GINT64_FORMAT, cpu_index);
        return false;
    }
    return machine_pin_vcpu(machine_current(), (unsigned)cpu_index, &cpus, error);
}

static ThreadAffinity *describe(VmThreadKind kind, int tid)
{
    ThreadAffinity *info = g_new0(ThreadAffinity, 1);
    HostCpus cpus;

    info->kind = kind;
    info->thread_id = tid;
    info->host_cpus = g_array_new(FALSE, FALSE, sizeof(uint16_t));
    host_cpus_of_thread(tid, &cpus);
    for (uint16_t cpu = 0; cpu < HOST_CPUS_MAX; cpu++) {
        if (host_cpus_test(&cpus, cpu)) {
            g_array_append_val(info->host_cpus, cpu);
        }
    }
    return info;
}

static bool describe_iothread(Object *child, void *opaque)
{
    if (object_is_a(child, TYPE_IOTHREAD)) {
        ThreadAffinity *info = describe(VM_THREAD_KIND_IOTHREAD,
                                        iothread_tid((const IoThread *)child));

        info->iothread = g_strdup(child->name);
        g_ptr_array_add(opaque, info);
    }
    return true;
}

GPtrArray *qmp_query_thread_affinity(GError **error)
{
    GPtrArray *list = ThreadAffinity_list_new();

    g_ptr_array_add(list, describe(VM_THREAD_KIND_MAIN, getpid()));
    for (const VCpu *cpu = vcpu_next(NULL); cpu; cpu = vcpu_next(cpu)) {
        if (cpu->has_thread) {
            ThreadAffinity *info = describe(VM_THREAD_KIND_VCPU, cpu->tid);

            info->has_cpu_index = true;
            info->cpu_index = cpu->index;
            g_ptr_array_add(list, info);
        }
    }
    object_foreach_child(object_container("/objects"), describe_iothread, list);
    return list;
}
