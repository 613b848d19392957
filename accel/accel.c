/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Choosing an accelerator: -accel takes "NAME[:NAME...][,prop=value...]" and may be given several
 * times; the candidates are tried in order until one can run a guest here.
 */
#include "accel/accel.h"

#include <string.h>

#include "util/bits.h"
#include "util/error.h"
#include "util/vm-lock.h"

#define TYPE_SUFFIX "-accel"

/* One process runs one VM, so there is one accelerator; every layer above asks for it by call. */
static Accel *current_accel;
static const AccelOps *current_ops;

/* One name to try, with the properties that stood in the same -accel option. */
typedef struct Candidate {
    char *name;
    char **props;           /* "key=value" words */
    bool shared_props;      /* the list had several names: a property need not fit all of them */
} Candidate;

/* Accelerators that a user may name though this program was built without them. */
static const struct {
    const char *name;
    const char *canonical;
    const char *description;
} known_names[] = {
    { "kvm", "kvm", "the host's KVM" },
    { "emu", "emu", "the software CPU" },
    { "tcg", "emu", "the software CPU" },
    { "qtest", "qtest", "the qtest protocol" },
};

Accel *accel_current(void)
{
    return current_accel;
}

const AccelOps *accel_ops(void)
{
    return current_ops;
}

AccelIrqchip accel_irqchip(void)
{
    return current_accel ? current_accel->config.irqchip : ACCEL_IRQCHIP_OFF;
}

bool accel_has_smm(void)
{
    return current_accel && (!current_ops->has_smm || current_ops->has_smm(current_accel));
}

void accel_set_a20(bool open)
{
    g_assert(vm_lock_held());
    if (!current_accel || __atomic_exchange_n(&current_accel->a20_closed, !open,
                                              __ATOMIC_SEQ_CST) == !open) {
        return;
    }
    if (current_ops->a20_changed) {
        current_ops->a20_changed(current_accel);
    }
}

uint64_t accel_a20_mask(void)
{
    bool closed = current_accel && __atomic_load_n(&current_accel->a20_closed, __ATOMIC_RELAXED);

    return closed ? ~BIT_ULL(20) : UINT64_MAX;
}

void accel_connect_ferr(void (*fn)(void *opaque), void *opaque)
{
    g_assert(vm_lock_held());
    if (current_accel) {
        current_accel->ferr = fn;
        current_accel->ferr_opaque = opaque;
    }
}

void accel_raise_ferr(void)
{
    g_assert(vm_lock_held());
    if (current_accel->ferr) {
        current_accel->ferr(current_accel->ferr_opaque);
    }
}

void accel_set_ignne(bool asserted)
{
    if (current_accel) {
        __atomic_store_n(&current_accel->ignne, asserted, __ATOMIC_RELAXED);
    }
}

bool accel_ignne(void)
{
    return current_accel && __atomic_load_n(&current_accel->ignne, __ATOMIC_RELAXED);
}

static const char *canonical_name(const char *name)
{
    for (size_t i = 0; i < G_N_ELEMENTS(known_names); i++) {
        if (g_str_equal(known_names[i].name, name)) {
            return known_names[i].canonical;
        }
    }
    return NULL;
}

static const TypeInfo *find_type(const char *name)
{
    g_autofree char *type_name = g_strconcat(name, TYPE_SUFFIX, NULL);
    const TypeInfo *type = type_find(type_name);

    return type && type_is_a(type, TYPE_ACCEL) && !type->is_abstract ? type : NULL;
}

bool accel_is_built(const char *name)
{
    const char *canonical = canonical_name(name);

    return canonical && find_type(canonical);
}

/* The type for a name as typed; the error says whether it is unknown or merely not built. */
static const TypeInfo *lookup(const char *name, GError **error)
{
    const char *names[G_N_ELEMENTS(known_names) + 1] = { NULL };
    const char *canonical = canonical_name(name);
    const TypeInfo *type = canonical ? find_type(canonical) : NULL;

    if (type) {
        return type;
    }
    for (size_t i = 0; i < G_N_ELEMENTS(known_names); i++) {
        if (g_str_equal(known_names[i].name, name)) {
            error_setf(error, "accelerator '%s' (%s) is not part of this build", name,
                       known_names[i].description);
            return NULL;
        }
        names[i] = known_names[i].name;
    }
    error_setf(error, "unknown accelerator '%s'", name);
    error_append_nearest(error, name, names);
    return NULL;
}

static void candidate_free(void *data)
{
    Candidate *candidate = data;

    g_free(candidate->name);
    g_strfreev(candidate->props);
    g_free(candidate);
}

/* Split one -accel argument into candidates. */
static void add_candidates(GPtrArray *candidates, const char *option)
{
    g_auto(GStrv) words = g_strsplit(option, ",", -1);
    g_auto(GStrv) names = NULL;

    if (!words[0]) {
        return;
    }
    names = g_strsplit(g_str_has_prefix(words[0], "accel=") ? words[0] + 6 : words[0], ":", -1);
    for (unsigned i = 0; names[i]; i++) {
        Candidate *candidate = g_new0(Candidate, 1);

        candidate->name = g_strdup(names[i]);
        candidate->props = g_strdupv(words + 1);
        candidate->shared_props = names[1] != NULL;
        g_ptr_array_add(candidates, candidate);
    }
}

/* Does another accelerator have this property? Then one that lacks it may skip it in a shared
   list. */
static bool property_exists_elsewhere(const char *name)
{
    g_autoptr(GPtrArray) types = type_list(TYPE_ACCEL, false);

    for (unsigned i = 0; i < types->len; i++) {
        if (type_find_property(g_ptr_array_index(types, i), name)) {
            return true;
        }
    }
    return false;
}

static bool apply_properties(Object *accel, const Candidate *candidate, GError **error)
{
    for (char **word = candidate->props; *word; word++) {
        g_auto(GStrv) pair = g_strsplit(*word, "=", 2);
        const char *value = pair[0] && pair[1] ? pair[1] : "on";

        if (!pair[0] || !*pair[0]) {
            continue;
        }
        if (candidate->shared_props && !type_find_property(accel->type, pair[0]) &&
            property_exists_elsewhere(pair[0])) {
            continue;
        }
        if (!object_property_parse(accel, pair[0], value, error)) {
            g_prefix_error(error, "-accel %s: ", candidate->name);
            return false;
        }
    }
    return object_apply_globals(accel, error);
}

/* What the board asked for, with the user's -accel kernel-irqchip= over it. */
static AccelConfig effective_config(const Accel *accel, const AccelConfig *config)
{
    AccelConfig effective = *config;

    if (accel->irqchip_prop_set) {
        effective.irqchip = accel->irqchip_prop;
        effective.irqchip_explicit = true;
    }
    return effective;
}

/*
 * Probe and start one. False without *reason set only for errors that no other accelerator can mend
 * (a wrong property), which are in error.
 */
static bool try_candidate(const Candidate *candidate, const AccelConfig *config,
                          bool allow_firmware_only, char **reason, GError **error)
{
    g_autoptr(GError) local = NULL;
    const TypeInfo *type = lookup(candidate->name, &local);
    AccelProbe probe = { 0 };
    g_autoptr(Object) obj = NULL;
    const AccelOps *ops;
    AccelConfig effective;
    Accel *accel;

    if (!type) {
        *reason = g_strdup(local->message);
        return false;
    }
    obj = object_new_with_type(type);
    accel = (Accel *)obj;
    ops = object_ops(obj);
    if (!apply_properties(obj, candidate, error)) {
        return false;
    }
    /* A guest that runs anywhere needs no trial run of one: init explains what else is wrong. */
    if (!allow_firmware_only) {
        ops->probe(accel, &probe);
        if (!probe.usable) {
            *reason = probe.reason ? g_steal_pointer(&probe.reason) : g_strdup("not usable here");
            return false;
        }
    }
    effective = effective_config(accel, config);
    accel->config = effective;
    current_accel = accel;
    current_ops = ops;
    if (!ops->init(accel, &effective, &local)) {
        current_accel = NULL;
        current_ops = NULL;
        *reason = g_strdup(local->message);
        return false;
    }
    g_steal_pointer(&obj);
    return true;
}

/* What was misspelt is an error even if another candidate would have worked. */
static bool check_candidate(const Candidate *candidate, GError **error)
{
    const TypeInfo *type = lookup(candidate->name, canonical_name(candidate->name) ? NULL : error);
    g_autoptr(Object) obj = type ? object_new_with_type(type) : NULL;

    return type ? apply_properties(obj, candidate, error) : canonical_name(candidate->name) != NULL;
}

static GPtrArray *parse_list(const char *const *list, GError **error)
{
    g_autoptr(GPtrArray) candidates = g_ptr_array_new_with_free_func(candidate_free);

    for (; list && *list; list++) {
        add_candidates(candidates, *list);
    }
    if (!candidates->len) {
        add_candidates(candidates, ACCEL_DEFAULT_LIST);
    }
    for (unsigned i = 0; i < candidates->len; i++) {
        if (!check_candidate(g_ptr_array_index(candidates, i), error)) {
            return NULL;
        }
    }
    return g_steal_pointer(&candidates);
}

bool accel_select(const char *const *list, const AccelConfig *config, bool allow_firmware_only,
                  GError **error)
{
    g_autoptr(GPtrArray) candidates = parse_list(list, error);
    g_autoptr(GString) reasons = g_string_new(NULL);

    g_assert(!current_accel);
    if (!candidates) {
        return false;
    }
    for (unsigned i = 0; i < candidates->len; i++) {
        const Candidate *candidate = g_ptr_array_index(candidates, i);
        g_autofree char *reason = NULL;

        if (try_candidate(candidate, config, allow_firmware_only, &reason, error)) {
            if (reasons->len) {
                warn_report("%s; using %s", reasons->str, candidate->name);
            }
            return true;
        }
        if (!reason) {
            return false;
        }
        if (g_str_has_prefix(reason, "accelerator ")) {
            g_string_append_printf(reasons, "%s%s", reasons->len ? "; " : "", reason);
        } else {
            g_string_append_printf(reasons, "%s%s: %s", reasons->len ? "; " : "",
                                   candidate->name, reason);
        }
    }
    error_setf(error, "no accelerator can run this guest: %s", reasons->str);
    return false;
}

void accel_cleanup(void)
{
    if (!current_accel) {
        return;
    }
    if (current_ops->cleanup) {
        current_ops->cleanup(current_accel);
    }
    object_unref(OBJECT(current_accel));
    current_accel = NULL;
    current_ops = NULL;
}

static const char *short_name(const TypeInfo *type, char buf[64])
{
    g_strlcpy(buf, type->name, 64);
    if (g_str_has_suffix(buf, TYPE_SUFFIX)) {
        buf[strlen(buf) - strlen(TYPE_SUFFIX)] = '\0';
    }
    return buf;
}

char *accel_help(void)
{
    g_autoptr(GPtrArray) types = type_list(TYPE_ACCEL, false);
    GString *text = g_string_new("Accelerators in this program:\n");

    for (unsigned i = 0; i < types->len; i++) {
        const TypeInfo *type = g_ptr_array_index(types, i);
        char name[64];

        g_string_append_printf(text, "%-8s %s\n", short_name(type, name),
                               type->description ? type->description : "");
    }
    g_string_append(text, "Properties of one: -accel NAME,help\n");
    return g_string_free(text, FALSE);
}

static bool describe_property(const TypeInfo *owner, const Property *prop, void *opaque)
{
    if (!(prop->flags & PROP_HIDDEN) && !g_str_equal(owner->name, TYPE_OBJECT)) {
        g_string_append_printf(opaque, "  %s=<%s>  %s\n", prop->name, prop->kind->type_name,
                               prop->description ? prop->description : "");
    }
    return true;
}

char *accel_properties_help(const char *name, GError **error)
{
    const TypeInfo *type = lookup(name, error);
    GString *text;
    char buf[64];

    if (!type) {
        return NULL;
    }
    text = g_string_new(NULL);
    g_string_append_printf(text, "Properties of -accel %s:\n", short_name(type, buf));
    type_foreach_property(type, describe_property, text);
    return g_string_free(text, FALSE);
}

static const TypeInfo accel_type = {
    .name = TYPE_ACCEL,
    .parent = TYPE_OBJECT,
    .description = "what runs the guest's CPUs",
    .instance_size = sizeof(Accel),
    .is_abstract = true,
};
QOM_TYPE(accel_type);
