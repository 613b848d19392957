/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The command line. One table (options.c) lists every option: name, argument, help, handler.
 * Handlers only collect into VmOptions; setup.c acts on it.
 */
#ifndef VIREO_SYSTEM_OPTIONS_H
#define VIREO_SYSTEM_OPTIONS_H

#include <glib.h>
#include <json-c/json.h>
#include <stdbool.h>

/* An argument in key=value or JSON form. */
typedef struct OptionValue {
    json_object *json;
    bool text; /* key=value: scalars are strings */
} OptionValue;

/* -drive, or an option that stands for one. */
typedef struct DriveRequest {
    struct DriveOptions *options;
    char *origin;            /* as the person wrote it, for errors */
} DriveRequest;

typedef struct VmOptions {
    json_object *machine;       /* merged -machine, -kernel, -append, ...; text scalars */
    GPtrArray *accels;          /* char* */
    char *cpu;
    json_object *smp, *boot, *rtc, *name, *action, *msg, *run_with, *overcommit;
    GPtrArray *serial, *parallel, *monitor, *qmp, *qmp_pretty, *debugcon; /* char* */
    GPtrArray *mon, *chardev, *device, *object, *global; /* OptionValue* */
    GPtrArray *smbios, *fw_cfg;       /* OptionValue* */
    GPtrArray *acpitable, *trace, *memory, *numa, *option_rom; /* char* */
    GPtrArray *add_fd, *pin;          /* OptionValue* */
    GPtrArray *blockdev;              /* OptionValue* */
    GPtrArray *drive;                 /* DriveRequest* */
    GPtrArray *netdev, *nic, *net;    /* char* */
    char *uuid, *vga, *display, *pidfile, *log_file, *log_items, *qtest, *qtest_log;
    char *mem_path, *gdb, *incoming;
    bool mem_prealloc;
    bool no_defaults, no_user_config, start_stopped, no_reboot, no_shutdown, daemonize, nographic;
    bool snapshot;
} VmOptions;

/*
 * Parse argv. true: *options is filled (the caller's). false without error: help or version was
 * asked for and printed.
 */
bool options_parse(int argc, char **argv, VmOptions **options, GError **error);
void options_free(VmOptions *options);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(VmOptions, options_free)

/* One option with its argument, as a line of -readconfig gives it. */
bool options_apply(VmOptions *options, const char *name, const char *argument, bool *help,
                   GError **error);
/* -readconfig FILE: sections of an INI-like file become options. */
bool options_read_config(VmOptions *options, const char *path, GError **error);
/*
 * Key=value text of an option: as keyval_parse, and a part without '=' is a flag ("server",
 * "nowait").
 */
json_object *options_parse_text(const char *text, const char *implied_key, bool *help,
                                GError **error);

/* The text of a member of a parsed argument, or NULL. Borrowed from json. */
const char *options_member(json_object *json, const char *key);
/* A member that is on or off; *value stays as it is without one. The error names the member. */
bool options_switch(json_object *json, const char *key, bool *value, GError **error);

#endif
