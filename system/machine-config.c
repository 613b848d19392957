/* SPDX-License-Identifier: Apache-2.0 */
/* Reading -smp, -boot and -rtc into the machine. */
#include <string.h>
#include <time.h>

#include "system/machine-setup.h"
#include "util/bits.h"
#include "util/error.h"
#include "util/parse.h"

/* *value stays as it is if the key is absent. */
static bool get_count(json_object *json, const char *key, unsigned *value, GError **error)
{
    const char *text = options_member(json, key);
    uint64_t number;

    if (!text) {
        return true;
    }
    if (!parse_uint64(text, &number, error)) {
        g_prefix_error(error, "%s: ", key);
        return false;
    }
    if (number == 0 || number > UINT16_MAX) {
        error_setf(error, "%s=%s: must be between 1 and %u", key, text, UINT16_MAX);
        return false;
    }
    *value = number;
    return true;
}

/* What was not given follows from the rest: sockets before cores before threads. */
static void complete_topology(SmpConfig *smp, bool has_cpus)
{
    unsigned product;

    if (!smp->dies) {
        smp->dies = 1;
    }
    if (!smp->max_cpus && !has_cpus) {
        smp->sockets = smp->sockets ? smp->sockets : 1;
        smp->cores = smp->cores ? smp->cores : 1;
        smp->threads = smp->threads ? smp->threads : 1;
    }
    product = smp->max_cpus ? smp->max_cpus : has_cpus ? smp->cpus : 0;
    if (product && !smp->cores) {
        smp->sockets = smp->sockets ? smp->sockets : 1;
        smp->threads = smp->threads ? smp->threads : 1;
        smp->cores = MAX(product / (smp->sockets * smp->dies * smp->threads), 1);
    } else if (product && !smp->sockets) {
        smp->threads = smp->threads ? smp->threads : 1;
        smp->sockets = MAX(product / (smp->dies * smp->cores * smp->threads), 1);
    } else if (product && !smp->threads) {
        smp->threads = MAX(product / (smp->sockets * smp->dies * smp->cores), 1);
    }
    if (!smp->max_cpus) {
        smp->max_cpus = smp->sockets * smp->dies * smp->cores * smp->threads;
    }
    if (!has_cpus) {
        smp->cpus = smp->max_cpus;
    }
}

bool config_smp(Machine *machine, json_object *json, GError **error)
{
    SmpConfig smp = { 0 };
    unsigned clusters = 1;
    bool has_cpus = options_member(json, "cpus") != NULL;

    if (!get_count(json, "cpus", &smp.cpus, error) ||
        !get_count(json, "maxcpus", &smp.max_cpus, error) ||
        !get_count(json, "sockets", &smp.sockets, error) ||
        !get_count(json, "dies", &smp.dies, error) ||
        !get_count(json, "clusters", &clusters, error) ||
        !get_count(json, "cores", &smp.cores, error) ||
        !get_count(json, "threads", &smp.threads, error)) {
        return false;
    }
    if (clusters != 1) {
        error_setf(error, "clusters=%u: x86 CPUs have no clusters", clusters);
        return false;
    }
    complete_topology(&smp, has_cpus);
    if ((uint64_t)smp.sockets * smp.dies * smp.cores * smp.threads != smp.max_cpus) {
        error_setf(error, "sockets (%u) * dies (%u) * cores (%u) * threads (%u) != maxcpus (%u)",
                   smp.sockets, smp.dies, smp.cores, smp.threads, smp.max_cpus);
        return false;
    }
    if (smp.cpus > smp.max_cpus) {
        error_setf(error, "maxcpus (%u) must be at least cpus (%u)", smp.max_cpus, smp.cpus);
        return false;
    }
    if (smp.max_cpus > machine->ops->max_cpus) {
        error_setf(error, "%u CPUs: machine '%s' takes at most %u", smp.max_cpus,
                   machine->parent_obj.type->name, machine->ops->max_cpus);
        return false;
    }
    machine->smp = smp;
    return true;
}

static bool check_boot_letters(const char *letters, GError **error)
{
    uint32_t seen = 0;

    for (const char *p = letters; p && *p; p++) {
        if (*p < 'a' || *p > 'p') {
            error_setf(error, "Invalid boot device '%c': letters a to p are possible", *p);
            return false;
        }
        if (seen & BIT(*p - 'a')) {
            error_setf(error, "Boot device '%c' was given twice", *p);
            return false;
        }
        seen |= BIT(*p - 'a');
    }
    return true;
}

static bool get_ms(json_object *json, const char *key, int64_t min, int64_t max, int64_t *value,
                   GError **error)
{
    const char *text = options_member(json, key);

    if (!text) {
        return true;
    }
    if (!parse_int64(text, value, error)) {
        g_prefix_error(error, "%s: ", key);
        return false;
    }
    if (*value < min || *value > max) {
        error_setf(error, "%s=%s: must be between %" G_GINT64_FORMAT " and %" G_GINT64_FORMAT, key,
                   text, min, max);
        return false;
    }
    return true;
}

bool config_boot(Machine *machine, json_object *json, GError **error)
{
    BootConfig *boot = &machine->boot;

    boot->order = g_strdup(options_member(json, "order"));
    boot->once = g_strdup(options_member(json, "once"));
    boot->splash = g_strdup(options_member(json, "splash"));
    boot->menu_set = options_member(json, "menu") != NULL;
    return check_boot_letters(boot->order, error) && check_boot_letters(boot->once, error) &&
           options_switch(json, "menu", &boot->menu, error) &&
           options_switch(json, "strict", &boot->strict, error) &&
           get_ms(json, "splash-time", 0, UINT16_MAX, &boot->splash_time, error) &&
           get_ms(json, "reboot-timeout", -1, UINT16_MAX, &boot->reboot_timeout, error);
}

/* "2024-01-31T12:00:00" or "2024-01-31", UTC. */
static bool parse_date(const char *text, int64_t *seconds)
{
    struct tm tm = { 0 };
    const char *end = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);

    if (!end || *end) {
        memset(&tm, 0, sizeof(tm));
        end = strptime(text, "%Y-%m-%d", &tm);
    }
    if (!end || *end) {
        return false;
    }
    *seconds = timegm(&tm);
    return true;
}

bool config_rtc(Machine *machine, json_object *json, GError **error)
{
    static const char *const clocks[] = { [VM_CLOCK_REALTIME] = "rt", [VM_CLOCK_VIRTUAL] = "vm",
                                          [VM_CLOCK_HOST] = "host", NULL };
    static const char *const drift_fixes[] = { "none", "slew", NULL };
    const char *base = options_member(json, "base"), *clock = options_member(json, "clock");
    const char *fix = options_member(json, "driftfix");

    if (base && g_str_equal(base, "localtime")) {
        machine->rtc_utc = false;
    } else if (base && !g_str_equal(base, "utc") && !parse_date(base, &machine->rtc_start)) {
        error_setf(error, "base=%s: use utc, localtime, or a date such as 2006-06-17T16:01:21",
                   base);
        return false;
    }
    if (fix && !g_strv_contains(drift_fixes, fix)) {
        error_setf(error, "driftfix=%s: use none or slew", fix);
        return false;
    }
    if (fix) {
        object_add_global("mc146818rtc", "lost_tick_policy",
                          g_str_equal(fix, "slew") ? "slew" : "discard");
    }
    if (!clock) {
        return true;
    }
    for (int i = 0; clocks[i]; i++) {
        if (g_str_equal(clock, clocks[i])) {
            machine->rtc_clock = i;
            return true;
        }
    }
    error_setf(error, "clock=%s: use host, rt or vm", clock);
    return false;
}
