/* SPDX-License-Identifier: Apache-2.0 */
/* Properties that are sets of host CPUs, or of other numbers below HOST_CPUS_MAX. */
#include "qom/object.h"
#include "util/error.h"
#include "util/host-cpus.h"

static bool cpus_set(Object *obj, const Property *prop, void *field, json_object *value,
                     GError **error)
{
    HostCpus cpus = { 0 };

    if (!json_object_is_type(value, json_type_array)) {
        error_setf(error, "property '%s.%s' takes an array of numbers", object_type_name(obj),
                   prop->name);
        return false;
    }
    for (size_t i = 0; i < json_object_array_length(value); i++) {
        json_object *item = json_object_array_get_idx(value, i);
        int64_t number = json_object_is_type(item, json_type_int) ? json_object_get_int64(item)
                                                                  : -1;

        if (!host_cpus_add(&cpus, (uint64_t)number, (uint64_t)number, error)) {
            g_prefix_error(error, "property '%s.%s': ", object_type_name(obj), prop->name);
            return false;
        }
    }
    *(HostCpus *)field = cpus;
    return true;
}

static bool cpus_parse(Object *obj, const Property *prop, void *field, const char *text,
                       GError **error)
{
    HostCpus cpus;

    if (!host_cpus_parse(text, &cpus, error)) {
        g_prefix_error(error, "property '%s.%s': ", object_type_name(obj), prop->name);
        return false;
    }
    *(HostCpus *)field = cpus;
    return true;
}

static json_object *cpus_get(Object *obj, const Property *prop, const void *field)
{
    const HostCpus *cpus = field;
    json_object *array = json_object_new_array();

    for (unsigned cpu = 0; cpu < HOST_CPUS_MAX; cpu++) {
        if (host_cpus_test(cpus, cpu)) {
            json_object_array_add(array, json_object_new_int((int)cpu));
        }
    }
    return array;
}

const PropertyKind prop_kind_host_cpus = {
    .type_name = "int",
    .json_type = "any",
    .set = cpus_set,
    .parse = cpus_parse,
    .get = cpus_get,
};
