/* SPDX-License-Identifier: Apache-2.0 */
/*
 * authz-list: rules, the first of which that matches an identity decides. authz-listfile: the same
 * in a JSON file, which is read again when its time or size changed; one that became unreadable
 * allows nobody.
 */
#include <fnmatch.h>
#include <string.h>
#include <sys/stat.h>

#include "crypto/authz.h"
#include "qapi/keyval.h"
#include "qapi/qapi-types-authz.h"
#include "util/error.h"

static const char *const policy_names[] = {
    [QAUTHZ_LIST_POLICY_DENY] = "deny",
    [QAUTHZ_LIST_POLICY_ALLOW] = "allow",
    [QAUTHZ_LIST_POLICY__MAX] = NULL,
};

static bool rule_matches(const QAuthZListRule *rule, const char *identity)
{
    return rule->has_format && rule->format == QAUTHZ_LIST_FORMAT_GLOB
               ? fnmatch(rule->match, identity, 0) == 0
               : strcmp(rule->match, identity) == 0;
}

static bool decide(const GPtrArray *rules, QAuthZListPolicy otherwise, const char *identity)
{
    for (guint i = 0; rules && i < rules->len; i++) {
        const QAuthZListRule *rule = g_ptr_array_index(rules, i);

        if (rule_matches(rule, identity)) {
            return rule->policy == QAUTHZ_LIST_POLICY_ALLOW;
        }
    }
    return otherwise == QAUTHZ_LIST_POLICY_ALLOW;
}

typedef struct ListAuthz {
    Object parent;
    int policy; /* QAuthZListPolicy */
    json_object *rules_json;
    GPtrArray *rules; /* QAuthZListRule */
} ListAuthz;

static bool list_is_allowed(Object *authz, const char *identity)
{
    const ListAuthz *list = (ListAuthz *)authz;

    return decide(list->rules, (QAuthZListPolicy)list->policy, identity);
}

static bool list_complete(Object *obj, GError **error)
{
    ListAuthz *list = (ListAuthz *)obj;

    return !list->rules_json ||
           qapi_list_from_json(&QAuthZListRule_type, list->rules_json, QAPI_KEYVAL,
                               (void **)&list->rules, error);
}

static void list_finalize(Object *obj)
{
    g_clear_pointer(&((ListAuthz *)obj)->rules, g_ptr_array_unref);
}

static const Property list_properties[] = {
    PROP_ENUM("policy", ListAuthz, policy, policy_names, QAUTHZ_LIST_POLICY_DENY,
              "what is decided if no rule matches"),
    { PROP_FIELD_(prop_kind_json, "rules", ListAuthz, rules_json, "the rules") },
    PROP_END,
};

static const AuthzOps list_ops = {
    .is_allowed = list_is_allowed,
};

static const UserObjectHooks list_hooks = {
    .complete = list_complete,
};

static const TypeInfo list_type = {
    .name = "authz-list",
    .parent = TYPE_AUTHZ,
    .description = "rules about who is allowed",
    .instance_size = sizeof(ListAuthz),
    .user_creatable = true,
    .properties = list_properties,
    .instance_finalize = list_finalize,
    .hooks = &list_hooks,
    .ops = &list_ops,
};
QOM_TYPE(list_type);

typedef struct FileAuthz {
    Object parent;
    char *filename;
    bool refresh;
    AuthZListProperties *rules; /* NULL: the file could not be read */
    struct stat seen;           /* the file when it was read */
} FileAuthz;

static bool read_rules(FileAuthz *file, GError **error)
{
    g_autofree char *text = NULL;
    g_autoptr(GError) reason = NULL;
    json_object *parsed = NULL;
    bool ok;

    g_clear_pointer(&file->rules, AuthZListProperties_free);
    if (stat(file->filename, &file->seen) != 0) {
        file->seen = (struct stat) { 0 };
    }
    if (!g_file_get_contents(file->filename, &text, NULL, &reason)) {
        error_setf(error, "%s", reason->message);
        return false;
    }
    parsed = json_parse_text(text, &reason);
    ok = parsed && AuthZListProperties_from_json(parsed, 0, &file->rules, &reason);
    json_object_put(parsed);
    if (!ok) {
        error_setf(error, "'%s' is not a list of rules: %s", file->filename, reason->message);
    }
    return ok;
}

static bool has_changed(const FileAuthz *file)
{
    const struct stat *seen = &file->seen;
    struct stat now = { 0 };

    if (stat(file->filename, &now) != 0) {
        return true;
    }
    return now.st_ino != seen->st_ino || now.st_size != seen->st_size ||
           now.st_mtim.tv_sec != seen->st_mtim.tv_sec ||
           now.st_mtim.tv_nsec != seen->st_mtim.tv_nsec;
}

static bool file_is_allowed(Object *authz, const char *identity)
{
    FileAuthz *file = (FileAuthz *)authz;
    GError *error = NULL;

    if (file->refresh && has_changed(file) && !read_rules(file, &error)) {
        error_report_err(error);
    }
    return file->rules && decide(file->rules->rules, file->rules->has_policy
                                     ? file->rules->policy : QAUTHZ_LIST_POLICY_DENY, identity);
}

static bool file_complete(Object *obj, GError **error)
{
    return read_rules((FileAuthz *)obj, error);
}

static void file_finalize(Object *obj)
{
    g_clear_pointer(&((FileAuthz *)obj)->rules, AuthZListProperties_free);
}

static const Property file_properties[] = {
    { PROP_FIELD_(prop_kind_string, "filename", FileAuthz, filename, "the file with the rules"),
      .flags = PROP_REQUIRED },
    PROP_BOOL("refresh", FileAuthz, refresh, true, "read the file again when it has changed"),
    PROP_END,
};

static const AuthzOps file_ops = {
    .is_allowed = file_is_allowed,
};

static const UserObjectHooks file_hooks = {
    .complete = file_complete,
};

static const TypeInfo file_type = {
    .name = "authz-listfile",
    .parent = TYPE_AUTHZ,
    .description = "rules about who is allowed, in a file",
    .instance_size = sizeof(FileAuthz),
    .user_creatable = true,
    .properties = file_properties,
    .instance_finalize = file_finalize,
    .hooks = &file_hooks,
    .ops = &file_ops,
};
QOM_TYPE(file_type);
