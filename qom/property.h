/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Properties are rows of a const table beside the struct. From the rows come -device X,help,
 * device-list-properties, qom-get/-set, parsing of JSON and of key=value text, and range checks.
 */
#ifndef VIREO_QOM_PROPERTY_H
#define VIREO_QOM_PROPERTY_H

#include <glib.h>
#include <json-c/json.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct Object Object;
typedef struct Property Property;

/*
 * How a kind of value is stored and spoken. Kinds that need a layer's objects (chardev, netdev,
 * drive) are defined by that layer. `field` points at the property's storage inside the object.
 */
typedef struct PropertyKind {
    const char *type_name; /* as help and qom-list show it: "bool", "uint32", "str" */
    const char *json_type; /* QAPI base: "bool", "int", "size", "str", "any" */
    void (*set_default)(Object *obj, const Property *prop, void *field);
    /* Strict JSON in; fails with an error that names the property. */
    bool (*set)(Object *obj, const Property *prop, void *field, json_object *value, GError **error);
    /* Text from key=value; NULL: the text is offered to set() as a JSON string. */
    bool (*parse)(Object *obj, const Property *prop, void *field, const char *text, GError **error);
    json_object *(*get)(Object *obj, const Property *prop, const void *field);
    void (*release)(Object *obj, const Property *prop, void *field); /* NULL if nothing to free */
} PropertyKind;

typedef enum PropertyFlags {
    PROP_READ_ONLY = 1u << 0,
    PROP_LIVE = 1u << 1,   /* may be set after realize/complete */
    PROP_HIDDEN = 1u << 2, /* not in help: internal, unstable */
    PROP_REQUIRED = 1u << 3, /* realize/complete fails if never set (strings and links) */
} PropertyFlags;

struct Property {
    const char *name;
    const PropertyKind *kind;
    const char *description; /* one short phrase */
    size_t offset;
    uint32_t flags;
    unsigned bit;            /* for bit properties */
    union {
        int64_t i;
        uint64_t u;
        bool b;
        const char *s;
    } def;
    uint64_t max;            /* integers: upper bound, 0 = the type's own */
    const void *arg;         /* enum name table (NULL-terminated), link type name, ... */
    /*
     * Computed properties: used instead of kind->set/get when not NULL. kind still gives the type's
     * name and text parsing to JSON.
     */
    json_object *(*get)(Object *obj, const Property *prop);
    bool (*set)(Object *obj, const Property *prop, json_object *value, GError **error);
};

extern const PropertyKind prop_kind_bool, prop_kind_bit32, prop_kind_bit64, prop_kind_uint8,
    prop_kind_uint16, prop_kind_uint32, prop_kind_uint64, prop_kind_int32, prop_kind_int64,
    prop_kind_size, prop_kind_size32, prop_kind_string, prop_kind_enum, prop_kind_on_off_auto,
    prop_kind_link, prop_kind_uuid, prop_kind_json;
/*
 * A HostCpus field (util/host-cpus.h): JSON arrays of numbers; as text, host_cpus_parse(). An empty
 * set is a property that was not given.
 */
extern const PropertyKind prop_kind_host_cpus;

typedef enum PropOnOffAuto { PROP_AUTO, PROP_ON, PROP_OFF } PropOnOffAuto;

#define PROP_FIELD_(k, n, S, f, desc) \
    .name = (n), .kind = &(k), .offset = offsetof(S, f), .description = (desc)
#define PROP_BOOL(n, S, f, d, desc) { PROP_FIELD_(prop_kind_bool, n, S, f, desc), .def.b = (d) }
#define PROP_UINT8(n, S, f, d, desc) { PROP_FIELD_(prop_kind_uint8, n, S, f, desc), .def.u = (d) }
#define PROP_UINT16(n, S, f, d, desc) { PROP_FIELD_(prop_kind_uint16, n, S, f, desc), .def.u = (d) }
#define PROP_UINT32(n, S, f, d, desc) { PROP_FIELD_(prop_kind_uint32, n, S, f, desc), .def.u = (d) }
#define PROP_UINT64(n, S, f, d, desc) { PROP_FIELD_(prop_kind_uint64, n, S, f, desc), .def.u = (d) }
#define PROP_INT32(n, S, f, d, desc) { PROP_FIELD_(prop_kind_int32, n, S, f, desc), .def.i = (d) }
#define PROP_INT64(n, S, f, d, desc) { PROP_FIELD_(prop_kind_int64, n, S, f, desc), .def.i = (d) }
/* Bytes in a uint64_t; text takes K, M, G suffixes. */
#define PROP_SIZE(n, S, f, d, desc) { PROP_FIELD_(prop_kind_size, n, S, f, desc), .def.u = (d) }
/* Owned char *; NULL unless set or a default is given. */
#define PROP_STRING(n, S, f, d, desc) { PROP_FIELD_(prop_kind_string, n, S, f, desc), .def.s = (d) }
/* int field; names is a NULL-terminated const char *const[] indexed by the value. */
#define PROP_ENUM(n, S, f, names, d, desc) \
    { PROP_FIELD_(prop_kind_enum, n, S, f, desc), .arg = (names), .def.i = (d) }
#define PROP_ON_OFF_AUTO(n, S, f, d, desc) \
    { PROP_FIELD_(prop_kind_on_off_auto, n, S, f, desc), .def.i = (d) }
/* One bit of a uint32_t / uint64_t. */
#define PROP_BIT(n, S, f, b_, d, desc) \
    { PROP_FIELD_(prop_kind_bit32, n, S, f, desc), .bit = (b_), .def.b = (d) }
#define PROP_BIT64(n, S, f, b_, d, desc) \
    { PROP_FIELD_(prop_kind_bit64, n, S, f, desc), .bit = (b_), .def.b = (d) }
/* T *field, a counted reference to an object of the named type, given by path or id. */
#define PROP_LINK(n, S, f, type, desc) { PROP_FIELD_(prop_kind_link, n, S, f, desc), .arg = (type) }
/* uint8_t[16]; text "auto" makes a random one. */
#define PROP_UUID(n, S, f, desc) { PROP_FIELD_(prop_kind_uuid, n, S, f, desc) }
/* Computed: no storage. Read-only if s is NULL. */
#define PROP_COMPUTED(n, k, g, s, desc) \
    { .name = (n), .kind = &(k), .get = (g), .set = (s), .description = (desc), .flags = PROP_LIVE }
#define PROP_END { .name = NULL }

/* The default, a new reference; NULL if there is none, as for an unset string. */
json_object *property_default(const Property *prop);
/* The default as help prints it ("true", "16", "auto"), the caller's; NULL if there is none. */
char *property_default_text(const Property *prop);

#endif
