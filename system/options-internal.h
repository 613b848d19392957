/* SPDX-License-Identifier: Apache-2.0 */
/* The option table and what its handlers share. */
#ifndef VIREO_SYSTEM_OPTIONS_INTERNAL_H
#define VIREO_SYSTEM_OPTIONS_INTERNAL_H

#include <stddef.h>

#include "system/options.h"

typedef struct Option Option;

typedef enum OptionResult {
    OPTION_OK,
    OPTION_FAILED, /* error is set */
    OPTION_HELP,   /* something was printed: exit 0 */
} OptionResult;

typedef OptionResult OptionHandler(VmOptions *options, const Option *option, const char *argument,
                                   GError **error);

struct Option {
    const char *name;
    const char *argument; /* its shape for help; NULL: takes none */
    const char *help;
    OptionHandler *handle;
    size_t field;         /* in VmOptions, for the generic handlers */
    const char *key;      /* machine property, or implied first key */
    /*
     * For query-command-line-options and for checks: "T:name", NULL-terminated; T is the type: s
     * string, b boolean, n number, z size.
     */
    const char *const *parameters;
};

extern const Option option_table[];
/* NULL if there is none. */
const Option *option_find(const char *name);

/* For options_free(). */
void drive_request_free(void *request);

#define OPTION_PARAMETER_NAME(parameter) ((parameter) + 2)

/* Generic handlers (options-handlers.c; drives: drive-setup.c). */
OptionHandler opt_flag, opt_string, opt_string_list, opt_values, opt_merge, opt_machine_property,
    opt_machine, opt_accel, opt_cpu, opt_device, opt_object, opt_chardev, opt_log_items,
    opt_data_dir, opt_echr, opt_help, opt_version, opt_read_config, opt_enable_kvm, opt_smbios,
    opt_acpitable, opt_global, opt_trace, opt_ignored_display, opt_global_flag_machine,
    opt_run_with, opt_gdb_default, opt_drive, opt_image, opt_network;

#endif
