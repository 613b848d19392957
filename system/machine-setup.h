/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From options to a machine: the steps that main() lists, in that order. Each either succeeds or
 * sets an error that names the option. Main thread, VM lock held.
 */
#ifndef VIREO_SYSTEM_MACHINE_SETUP_H
#define VIREO_SYSTEM_MACHINE_SETUP_H

#include "hw/core/machine.h"
#include "system/options.h"

/* By name ("pc-i440fx-7.2") or alias ("pc"); the error names the nearest. */
const TypeInfo *machine_type_find(const char *name, GError **error);
bool machine_supports_wakeup(void);

/* -add-fd. Before anything opens files. */
bool setup_fds(VmOptions *options, GError **error);
/* The machine object with -machine, -smp, -m, -boot, -name, -uuid, -rtc set. */
bool setup_machine_object(VmOptions *options, GError **error);
/* Choose and start the accelerator; resolve -cpu by what it offers. */
bool setup_accelerator(VmOptions *options, GError **error);
/* Those that chardevs name; when these exist, all others; when networks exist, their filters. */
bool setup_early_objects(VmOptions *options, GError **error);
bool setup_objects(VmOptions *options, GError **error);
bool setup_filters(VmOptions *options, GError **error);
/* pinning.c: -pin for vCPUs, before there are any, and iothreads. */
bool setup_pins(VmOptions *options, GError **error);
/* For the main thread: last of all, as threads are made where their maker is. */
bool setup_main_pin(VmOptions *options, GError **error);
/* Main RAM, from memory-backend= or a default backend, and where the board maps it. */
bool setup_memory(VmOptions *options, GError **error);
/* -chardev, then the ports' and monitors' short forms, with the defaults. */
bool setup_chardevs(VmOptions *options, GError **error);
bool setup_monitors(VmOptions *options, GError **error);
/* drive-setup.c: -blockdev in their order, then -drive; before the board, which looks for them. */
bool setup_drives(VmOptions *options, GError **error);
/* After -device: if=virtio. */
bool setup_drive_devices(GError **error);
/* net-setup.c: -netdev, -nic, -net, or the default network. After chardevs. */
bool setup_networks(VmOptions *options, GError **error);
/* Has the board found a place for every drive? */
bool setup_drives_finish(GError **error);
/* The board, then -device, then what the board says to firmware; ends with the first reset. */
bool setup_board(VmOptions *options, GError **error);
bool setup_devices(VmOptions *options, GError **error);
bool setup_finish(VmOptions *options, GError **error);
/* machine-config.c: the parts of setup_machine_object that read one option each. */
bool config_smp(Machine *machine, json_object *smp, GError **error);
bool config_boot(Machine *machine, json_object *boot, GError **error);
bool config_rtc(Machine *machine, json_object *rtc, GError **error);

#endif
