/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Running commands: a request in JSON is looked up in the generated table, its arguments become C,
 * the handler runs, and its result or error becomes the response.
 *
 * Handlers are called qmp_<command>, live in the subsystem that they concern, and are declared in
 * qapi/qapi-commands-<module>.h. NULL or false means failure with the error set. They run on the
 * main thread with the VM lock held, unless the request came out of band.
 */
#ifndef VIREO_QAPI_DISPATCH_H
#define VIREO_QAPI_DISPATCH_H

#include <glib.h>
#include <json-c/json.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum QapiCommandFlags {
    QAPI_COMMAND_OOB = 1u << 0,                 /* may be executed out of band */
    QAPI_COMMAND_PRECONFIG = 1u << 1,           /* allowed before the machine is built */
    QAPI_COMMAND_COROUTINE = 1u << 2,           /* the handler may yield */
    QAPI_COMMAND_NO_SUCCESS_RESPONSE = 1u << 3, /* answers only when it fails */
    QAPI_COMMAND_DEPRECATED = 1u << 4,
    QAPI_COMMAND_UNSTABLE = 1u << 5,
} QapiCommandFlags;

typedef struct QapiCommand {
    const char *name;
    /* args is an object, never NULL; *ret stays NULL for commands that return nothing. */
    bool (*marshal)(json_object *args, json_object **ret, GError **error);
    uint32_t flags;
} QapiCommand;

typedef struct QapiCommandTable {
    const QapiCommand *commands; /* sorted by name */
    size_t n_commands;
    const char *schema_json; /* what query-qmp-schema answers: an array of SchemaInfo */
} QapiCommandTable;

/* NULL if there is no such command. */
const QapiCommand *qapi_command_find(const QapiCommandTable *table, const char *name);

/*
 * Answer one request, which any JSON value may claim to be. oob: the request is running out of
 * band, which only commands with QAPI_COMMAND_OOB may. Returns the response, owned by the caller,
 * with the request's id echoed; or NULL if the command has none to give.
 */
json_object *qmp_dispatch(const QapiCommandTable *table, json_object *request, bool oob);

/*
 * {"error": {"class": ..., "desc": ...}}, with the request's id if request is an object with one.
 */
json_object *qmp_error_response(const GError *error, json_object *request);
/* The QMP class for an error of any domain. */
const char *qmp_error_class(const GError *error);

/* For generated marshalling. */
bool qapi_no_arguments(json_object *args, GError **error);
bool qapi_command_done(bool ok, GError *inner, GError **error);
bool qapi_command_pending(const char *name, GError **error);

#endif
