/* SPDX-License-Identifier: Apache-2.0 */
/*
 * -object throttle-group: a group with a name that a person gave it. `limits` is all of it as one
 * value, which may be set at any time; x-iops-total and so on are its members, for -object only.
 */
#include <string.h>

#include "block/throttle-group.h"
#include "qom/object.h"
#include "util/error.h"

typedef struct ThrottleGroupObject {
    Object parent;
    ThrottleConfig config; /* until it is complete */
    ThrottleGroup *group;
} ThrottleGroupObject;

static void current_config(ThrottleGroupObject *object, ThrottleConfig *config)
{
    if (object->group) {
        throttle_group_get_config(object->group, config);
    } else {
        *config = object->config;
    }
}

static json_object *get_limits(Object *obj, const Property *prop)
{
    g_autoptr(ThrottleLimits) limits = NULL;
    ThrottleConfig config;

    current_config((ThrottleGroupObject *)obj, &config);
    limits = throttle_config_to_limits(&config);
    return ThrottleLimits_to_json(limits);
}

/* Members from a command line are text. */
static QapiFlags flags_of(json_object *value)
{
    if (json_object_is_type(value, json_type_object)) {
        json_object_object_foreach(value, key, member) {
            if (key && json_object_is_type(member, json_type_string)) {
                return QAPI_KEYVAL;
            }
        }
    }
    return QAPI_JSON;
}

static bool set_limits(Object *obj, const Property *prop, json_object *value, GError **error)
{
    ThrottleGroupObject *object = (ThrottleGroupObject *)obj;
    g_autoptr(ThrottleLimits) limits = NULL;
    ThrottleConfig config;

    if (!ThrottleLimits_from_json(value, flags_of(value), &limits, error)) {
        g_prefix_error(error, "property '%s.%s': ", obj->type->name, prop->name);
        return false;
    }
    current_config(object, &config);
    throttle_config_from_limits(&config, limits);
    if (!throttle_config_check(&config, error)) {
        return false;
    }
    if (object->group) {
        throttle_group_set_config(object->group, &config);
    } else {
        object->config = config;
    }
    return true;
}

/* ---- Single numbers: a property's bit says which ---- */

enum { PART_AVG, PART_MAX, PART_MAX_LENGTH, N_PARTS };

#define NUMBER_OF(kind, part) ((kind) * N_PARTS + (part))
#define NUMBER_IOPS_SIZE NUMBER_OF(THROTTLE_KINDS, PART_AVG)

static int64_t *number_in(ThrottleConfig *config, unsigned which)
{
    ThrottleLimit *limit;

    if (which == NUMBER_IOPS_SIZE) {
        return &config->iops_size;
    }
    limit = &config->limits[which / N_PARTS];
    switch (which % N_PARTS) {
    case PART_AVG:
        return &limit->avg;
    case PART_MAX:
        return &limit->max;
    default:
        return &limit->max_length;
    }
}

static json_object *get_number(Object *obj, const Property *prop)
{
    ThrottleConfig config;

    current_config((ThrottleGroupObject *)obj, &config);
    return json_object_new_int64(*number_in(&config, prop->bit));
}

static bool set_number(Object *obj, const Property *prop, json_object *value, GError **error)
{
    int64_t number = json_object_get_int64(value);

    if (!json_object_is_type(value, json_type_int)) {
        error_setf(error, "property '%s.%s' must be a number", obj->type->name, prop->name);
        return false;
    }
    if (number < 0) {
        error_setf(error, "property '%s.%s' cannot be negative", obj->type->name, prop->name);
        return false;
    }
    *number_in(&((ThrottleGroupObject *)obj)->config, prop->bit) = number;
    return true;
}

#define NUMBER(name_, which, desc)                                                                 \
    {                                                                                              \
        .name = (name_), .kind = &prop_kind_int64, .get = get_number, .set = set_number,           \
        .bit = (which), .description = (desc),                                                     \
    }
#define NUMBERS(name, kind, what)                                                                  \
    NUMBER("x-" name, NUMBER_OF(kind, PART_AVG), what " a second"),                                \
    NUMBER("x-" name "-max", NUMBER_OF(kind, PART_MAX), what " a second in bursts"),               \
    NUMBER("x-" name "-max-length", NUMBER_OF(kind, PART_MAX_LENGTH),                              \
           "seconds that a burst of " what " may last")

static const Property throttle_group_properties[] = {
    PROP_COMPUTED("limits", prop_kind_json, get_limits, set_limits, "all limits at once"),
    NUMBERS("iops-total", THROTTLE_IOPS_TOTAL, "requests"),
    NUMBERS("iops-read", THROTTLE_IOPS_READ, "reads"),
    NUMBERS("iops-write", THROTTLE_IOPS_WRITE, "writes"),
    NUMBERS("bps-total", THROTTLE_BPS_TOTAL, "bytes"),
    NUMBERS("bps-read", THROTTLE_BPS_READ, "bytes read"),
    NUMBERS("bps-write", THROTTLE_BPS_WRITE, "bytes written"),
    NUMBER("x-iops-size", NUMBER_IOPS_SIZE, "a larger request counts as several"),
    PROP_END,
};

/* ---- Life ---- */

static void throttle_group_init(Object *obj)
{
    throttle_config_init(&((ThrottleGroupObject *)obj)->config);
}

static bool throttle_group_complete(Object *obj, GError **error)
{
    ThrottleGroupObject *object = (ThrottleGroupObject *)obj;

    if (!throttle_config_check(&object->config, error)) {
        return false;
    }
    if (throttle_group_find(obj->name)) {
        error_setf(error, "A throttle group '%s' exists already", obj->name);
        return false;
    }
    object->group = throttle_group_get(obj->name);
    throttle_group_set_config(object->group, &object->config);
    return true;
}

static bool throttle_group_may_delete(Object *obj, GError **error)
{
    ThrottleGroupObject *object = (ThrottleGroupObject *)obj;

    if (throttle_group_in_use(object->group)) {
        error_setf(error, "object '%s' is in use, can not be deleted", obj->name);
        return false;
    }
    return true;
}

static void throttle_group_finalize(Object *obj)
{
    throttle_group_unref(((ThrottleGroupObject *)obj)->group);
}

static const UserObjectHooks throttle_group_hooks = {
    .complete = throttle_group_complete,
    .may_delete = throttle_group_may_delete,
};

static const TypeInfo throttle_group_type = {
    .name = TYPE_THROTTLE_GROUP,
    .parent = TYPE_USER_OBJECT,
    .description = "limits of bandwidth and requests that disks share",
    .instance_size = sizeof(ThrottleGroupObject),
    .user_creatable = true,
    .properties = throttle_group_properties,
    .instance_init = throttle_group_init,
    .instance_finalize = throttle_group_finalize,
    .hooks = &throttle_group_hooks,
};
QOM_TYPE(throttle_group_type);
