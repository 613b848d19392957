/* SPDX-License-Identifier: Apache-2.0 */
/* Requests to responses. The request is whatever a client sent; nothing in it is trusted. */
#include "qapi/dispatch.h"

#include <stdlib.h>
#include <string.h>

#include "util/error.h"

static int compare_name(const void *name, const void *command)
{
    return strcmp(name, ((const QapiCommand *)command)->name);
}

const QapiCommand *qapi_command_find(const QapiCommandTable *table, const char *name)
{
    return bsearch(name, table->commands, table->n_commands, sizeof(QapiCommand), compare_name);
}

const char *qmp_error_class(const GError *error)
{
    static const char *const classes[] = {
        [VIREO_ERROR_GENERIC] = "GenericError",
        [VIREO_ERROR_COMMAND_NOT_FOUND] = "CommandNotFound",
        [VIREO_ERROR_DEVICE_NOT_ACTIVE] = "DeviceNotActive",
        [VIREO_ERROR_DEVICE_NOT_FOUND] = "DeviceNotFound",
        [VIREO_ERROR_KVM_MISSING_CAP] = "KVMMissingCap",
    };

    if (error->domain == VIREO_ERROR && error->code >= 0 &&
        (size_t)error->code < G_N_ELEMENTS(classes)) {
        return classes[error->code];
    }
    return classes[VIREO_ERROR_GENERIC];
}

static void echo_id(json_object *response, json_object *request)
{
    json_object *id;

    if (json_object_is_type(request, json_type_object) &&
        json_object_object_get_ex(request, "id", &id)) {
        json_object_object_add(response, "id", json_object_get(id));
    }
}

json_object *qmp_error_response(const GError *error, json_object *request)
{
    json_object *response = json_object_new_object();
    json_object *body = json_object_new_object();
    g_autofree char *text = g_utf8_make_valid(error->message, -1);

    json_object_object_add(body, "class", json_object_new_string(qmp_error_class(error)));
    json_object_object_add(body, "desc", json_object_new_string(text));
    json_object_object_add(response, "error", body);
    echo_id(response, request);
    return response;
}

/* One member of a request. */
static bool check_member(const char *key, json_object *value, GError **error)
{
    static const struct {
        const char *name;
        json_type type;
        const char *word;
    } members[] = {
        { "execute", json_type_string, "a string" },
        { "exec-oob", json_type_string, "a string" },
        { "arguments", json_type_object, "an object" },
        { "id", json_type_null, NULL },
    };
    static const char *const names[] = { "execute", "exec-oob", "arguments", "id", NULL };

    for (size_t i = 0; i < G_N_ELEMENTS(members); i++) {
        if (strcmp(key, members[i].name)) {
            continue;
        }
        if (!members[i].word || json_object_is_type(value, members[i].type)) {
            return true;
        }
        error_setf(error, "QMP request member '%s' must be %s", key, members[i].word);
        return false;
    }
    error_setf(error, "QMP request member '%.64s' is unexpected", key);
    error_append_nearest(error, key, names);
    return false;
}

/* The command's name out of a well-formed request, or NULL. */
static const char *request_command(json_object *request, json_object **args, GError **error)
{
    json_object *execute, *exec_oob;
    bool has_execute, has_oob;

    if (!json_object_is_type(request, json_type_object)) {
        error_setf(error, "QMP request must be a JSON object");
        return NULL;
    }
    json_object_object_foreach(request, key, value) {
        if (!check_member(key, value, error)) {
            return NULL;
        }
    }
    has_execute = json_object_object_get_ex(request, "execute", &execute);
    has_oob = json_object_object_get_ex(request, "exec-oob", &exec_oob);
    if (has_execute == has_oob) {
        error_setf(error, has_oob ? "QMP request has both 'execute' and 'exec-oob'"
                                  : "QMP request lacks member 'execute'");
        return NULL;
    }
    *args = json_object_object_get(request, "arguments");
    return json_object_get_string(has_oob ? exec_oob : execute);
}

static void not_found(const QapiCommandTable *table, const char *name, GError **error)
{
    g_autofree const char **names = g_new0(const char *, table->n_commands + 1);
    g_autofree char *shown = g_utf8_make_valid(name, strnlen(name, 64));

    for (size_t i = 0; i < table->n_commands; i++) {
        names[i] = table->commands[i].name;
    }
    error_set_code(error, VIREO_ERROR_COMMAND_NOT_FOUND, "The command %s has not been found",
                   shown);
    error_append_nearest(error, shown, names);
}

static json_object *run(const QapiCommandTable *table, json_object *request, bool oob,
                        bool *silent, GError **error)
{
    json_object *args = NULL, *empty = NULL, *ret = NULL;
    const char *name = request_command(request, &args, error);
    const QapiCommand *command;
    bool ok;

    if (!name) {
        return NULL;
    }
    command = qapi_command_find(table, name);
    if (!command) {
        not_found(table, name, error);
        return NULL;
    }
    if (oob && !(command->flags & QAPI_COMMAND_OOB)) {
        error_setf(error, "The command %s does not support OOB", name);
        return NULL;
    }
    if (!args) {
        args = empty = json_object_new_object();
    }
    ok = command->marshal(args, &ret, error);
    json_object_put(empty);
    *silent = command->flags & QAPI_COMMAND_NO_SUCCESS_RESPONSE;
    if (ok && !ret) {
        ret = json_object_new_object();
    }
    return ok ? ret : NULL;
}

json_object *qmp_dispatch(const QapiCommandTable *table, json_object *request, bool oob)
{
    g_autoptr(GError) error = NULL;
    bool silent = false;
    json_object *ret = run(table, request, oob, &silent, &error);
    json_object *response;

    if (error) {
        return qmp_error_response(error, request);
    }
    if (silent) {
        json_object_put(ret);
        return NULL;
    }
    response = json_object_new_object();
    json_object_object_add(response, "return", ret);
    echo_id(response, request);
    return response;
}

bool qapi_no_arguments(json_object *args, GError **error)
{
    json_object_object_foreach(args, key, value) {
        (void)value;
        error_setf(error, "Parameter '%.64s' is unexpected: this command takes none", key);
        return false;
    }
    return true;
}

bool qapi_command_done(bool ok, GError *inner, GError **error)
{
    if (!ok && !inner) {
        error_setf(error, "The command failed without saying why");
        return false;
    }
    if (inner) {
        g_propagate_error(error, inner);
        return false;
    }
    return true;
}

bool qapi_command_pending(const char *name, GError **error)
{
    error_setf(error, "The command %s is not implemented yet", name);
    return false;
}
