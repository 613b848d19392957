/* SPDX-License-Identifier: Apache-2.0 */
/* The table of command-line options, and walking argv by it. */
#include "system/options-internal.h"

#include <stdio.h>
#include <string.h>

#include "util/error.h"

#define FIELD(f) .field = offsetof(VmOptions, f)
#define NAMES(...) .parameters = (const char *const[]) { __VA_ARGS__, NULL }

/* In the order of the manual: machine, devices, consoles, boot, process, debugging. */
const Option option_table[] = {
    { "help", NULL, "show this help and exit", opt_help },
    { "h", NULL, "the same", opt_help },
    { "version", NULL, "show the version and exit", opt_version },
    { "machine", "[type=]NAME[,prop=value...]", "choose the machine; 'help' lists them",
      opt_machine, .key = "type",
      NAMES("s:type", "s:accel", "s:kernel", "s:initrd", "s:append", "s:dtb", "s:dumpdtb",
            "s:firmware", "b:graphics", "b:usb", "s:memory-backend", "b:mem-merge",
            "b:dump-guest-core", "s:kernel-irqchip") },
    { "M", "NAME[,prop=value...]", "the same", opt_machine, .key = "type" },
    { "accel", "NAME[,prop=value...]", "choose the accelerator; 'help' lists them", opt_accel,
      .key = "accel", NAMES("s:accel", "s:kernel-irqchip", "n:dirty-ring-size") },
    { "enable-kvm", NULL, "the same as -accel kvm", opt_enable_kvm },
    { "cpu", "MODEL[,+feature][,-feature][,prop=value...]",
      "choose the CPU model; 'help' lists them", opt_cpu, FIELD(cpu) },
    { "smp", "[cpus=]N[,maxcpus=N][,sockets=N][,dies=N][,cores=N][,threads=N]",
      "number of CPUs and how they are laid out", opt_merge, FIELD(smp), .key = "cpus",
      NAMES("n:cpus", "n:maxcpus", "n:sockets", "n:dies", "n:clusters", "n:cores", "n:threads") },
    { "pin", "vcpu=LIST|all,cpus=LIST[,each=on]\niothread=ID,cpus=LIST\nmain,cpus=LIST",
      "run threads on these host CPUs only, such as 0-3:8; each=on: vCPU by vCPU",
      opt_values, FIELD(pin),
      NAMES("s:vcpu", "s:iothread", "b:main", "s:cpus", "b:each") },
    { "m", "[size=]MiB[,slots=N][,maxmem=SIZE]", "guest RAM", opt_string_list,
      FIELD(memory), NAMES("z:size", "n:slots", "z:maxmem") },
    { "mem-path", "PATH", "keep guest RAM in this file or directory", opt_string, FIELD(mem_path) },
    { "mem-prealloc", NULL, "allocate guest RAM at the start", opt_flag, FIELD(mem_prealloc) },
    { "overcommit", "[mem-lock=on|off][,cpu-pm=on|off]",
      "lock memory, let guests idle the host CPU",
      opt_merge, FIELD(overcommit), NAMES("b:mem-lock", "b:cpu-pm") },
    { "numa", "node[,mem=SIZE][,memdev=ID][,cpus=N[-M]][,nodeid=N]\n"
      "dist,src=N,dst=N,val=N | cpu,node-id=N,socket-id=N...", "NUMA nodes and distances",
      opt_string_list, FIELD(numa),
      NAMES("s:type", "n:nodeid", "n:cpus", "z:mem", "s:memdev", "n:src", "n:dst", "n:val") },
    { "object", "TYPE,id=ID[,prop=value...]", "create an object; 'help' lists types", opt_object,
      FIELD(object), .key = "qom-type", NAMES("s:qom-type", "s:id") },
    { "device", "DRIVER[,id=ID][,bus=BUS][,prop=value...]",
      "add a device; 'help' lists them, 'DRIVER,help' its properties", opt_device, FIELD(device),
      .key = "driver", NAMES("s:driver", "s:id", "s:bus") },
    { "blockdev", "[driver=]DRIVER,node-name=NAME[,read-only=on|off][,auto-read-only=on|off]"
      "[,cache.direct=on|off]\n[driver=]DRIVER,node-name=NAME[,cache.no-flush=on|off]"
      "[,discard=ignore|unmap][,detect-zeroes=on|off|unmap]\n"
      "[driver=]DRIVER,node-name=NAME[,force-share=on|off][,driver's option...] | JSON",
      "add a node: a disk image, or a part of one", opt_values, FIELD(blockdev), .key = "driver",
      NAMES("s:driver", "s:node-name", "b:read-only", "b:auto-read-only", "s:discard",
            "s:detect-zeroes", "b:cache.direct", "b:cache.no-flush", "b:force-share") },
    { "drive", "[file=FILE][,if=none|ide|scsi|sd|mtd|floppy|pflash|virtio][,bus=N][,unit=N]"
      "[,index=N]\n[file=FILE][,id=ID][,format=FORMAT][,media=disk|cdrom][,snapshot=on|off]\n"
      "[file=FILE][,cache=writethrough|writeback|none|directsync|unsafe]"
      "[,aio=threads|native|io_uring]\n"
      "[file=FILE][,read-only=on|off][,copy-on-read=on|off][,discard=ignore|unmap]\n"
      "[file=FILE][,rerror=ignore|stop|report][,werror=ignore|stop|report|enospc]\n"
      "[file=FILE][,throttling.KIND=N][,throttling.group=NAME][,image's option...]",
      "add a disk: an image and where it is plugged in", opt_drive,
      NAMES("s:file", "s:if", "n:bus", "n:unit", "n:index", "s:media", "s:id", "s:format",
            "b:snapshot", "s:cache", "b:cache.writeback", "b:cache.direct", "b:cache.no-flush",
            "s:aio", "s:werror", "s:rerror", "b:read-only", "b:auto-read-only", "b:copy-on-read",
            "s:discard", "s:detect-zeroes", "b:force-share", "s:driver", "s:node-name",
            "b:stats-account-invalid", "b:stats-account-failed", "s:throttling.group",
            "n:throttling.iops-total", "n:throttling.iops-read", "n:throttling.iops-write",
            "n:throttling.bps-total", "n:throttling.bps-read", "n:throttling.bps-write",
            "n:throttling.iops-total-max", "n:throttling.iops-read-max",
            "n:throttling.iops-write-max", "n:throttling.bps-total-max",
            "n:throttling.bps-read-max", "n:throttling.bps-write-max",
            "n:throttling.iops-total-max-length", "n:throttling.iops-read-max-length",
            "n:throttling.iops-write-max-length", "n:throttling.bps-total-max-length",
            "n:throttling.bps-read-max-length", "n:throttling.bps-write-max-length",
            "n:throttling.iops-size") },
    { "hda", "FILE", "disk 0 (also hdb, hdc, hdd: disks 1 to 3); a bare FILE is the same",
      opt_image, .key = "index=0,media=disk" },
    { "hdb", "FILE", "disk 1", opt_image, .key = "index=1,media=disk" },
    { "hdc", "FILE", "disk 2", opt_image, .key = "index=2,media=disk" },
    { "hdd", "FILE", "disk 3", opt_image, .key = "index=3,media=disk" },
    { "cdrom", "FILE", "a CD-ROM, in the place of disk 2", opt_image,
      .key = "index=2,media=cdrom" },
    { "fda", "FILE", "floppy disk 0", opt_image, .key = "if=floppy,index=0" },
    { "fdb", "FILE", "floppy disk 1", opt_image, .key = "if=floppy,index=1" },
    { "mtdblock", "FILE", "flash memory of the board", opt_image, .key = "if=mtd" },
    { "sd", "FILE", "an SD card", opt_image, .key = "if=sd" },
    { "pflash", "FILE", "parallel flash memory", opt_image, .key = "if=pflash" },
    { "netdev", "TYPE,id=ID[,prop=value...]",
      "a network backend, for a device's netdev=ID; 'help' lists types", opt_network, FIELD(netdev),
      .key = "type", NAMES("s:type", "s:id") },
    { "nic", "TYPE[,model=MODEL][,mac=ADDRESS][,id=ID][,backend's prop=value...] | none",
      "a network device with its backend; 'model=help' lists devices", opt_network, FIELD(nic),
      .key = "type", NAMES("s:type", "s:model", "s:mac", "s:id") },
    { "net", "nic[,netdev=ID][,macaddr=ADDRESS][,model=MODEL][,name=ID][,addr=ADDR][,vectors=N]\n"
      "TYPE[,name=ID][,prop=value...] | none",
      "a network device, or a backend, on hub 0", opt_network, FIELD(net), .key = "type",
      NAMES("s:type") },
    { "snapshot", NULL, "all drives write to temporary files, and not to their images", opt_flag,
      FIELD(snapshot) },
    { "global", "DRIVER.PROP=VALUE", "set the default of a driver's property", opt_global,
      FIELD(global), NAMES("s:driver", "s:property", "s:value") },
    { "vga", "std|none", "display adapter", opt_string, FIELD(vga) },
    { "display", "none", "how the screen is shown", opt_ignored_display, FIELD(display) },
    { "nographic", NULL, "no screen: serial port and monitor on the terminal", opt_flag,
      FIELD(nographic) },
    { "nodefaults", NULL, "create no default devices", opt_flag, FIELD(no_defaults) },
    { "name", "[guest=]NAME[,process=NAME][,debug-threads=on|off]", "name of the guest", opt_merge,
      FIELD(name), .key = "guest", NAMES("s:guest", "s:process", "b:debug-threads") },
    { "uuid", "UUID", "the machine's UUID", opt_string, FIELD(uuid) },
    { "rtc", "[base=utc|localtime|DATE][,clock=host|rt|vm][,driftfix=none|slew]",
      "real-time clock", opt_merge, FIELD(rtc), .key = "base",
      NAMES("s:base", "s:clock", "s:driftfix") },
    { "smbios", "file=FILE | type=N[,field=value...]", "SMBIOS entries; 'help' lists fields",
      opt_smbios, FIELD(smbios), NAMES("s:file", "s:type") },
    { "acpitable", "[sig=S][,rev=N][,oem_id=S]...[,{data|file}=FILE[:FILE...]]",
      "an additional ACPI table", opt_acpitable, FIELD(acpitable),
      NAMES("s:sig", "n:rev", "s:oem_id", "s:oem_table_id", "n:oem_rev", "s:asl_compiler_id",
            "n:asl_compiler_rev", "s:file", "s:data") },
    { "fw_cfg", "[name=]NAME,{file=FILE|string=TEXT}", "an item for the firmware", opt_values,
      FIELD(fw_cfg), .key = "name", NAMES("s:name", "s:file", "s:string") },
    { "no-acpi", NULL, "no ACPI", opt_global_flag_machine, .key = "acpi" },
    { "no-hpet", NULL, "no HPET", opt_global_flag_machine, .key = "hpet" },
    { "option-rom", "FILE", "an option ROM for the firmware to run", opt_string_list,
      FIELD(option_rom) },
    { "kernel", "FILE", "boot this kernel: bzImage, PVH ELF or multiboot", opt_machine_property,
      .key = "kernel" },
    { "initrd", "FILE", "initial ramdisk, or multiboot modules", opt_machine_property,
      .key = "initrd" },
    { "append", "TEXT", "kernel command line", opt_machine_property, .key = "append" },
    { "dtb", "FILE", "device tree for the kernel", opt_machine_property, .key = "dtb" },
    { "bios", "FILE", "firmware image", opt_machine_property, .key = "firmware" },
    { "L", "DIR", "look for firmware here first; 'help' lists the places", opt_data_dir },
    { "boot", "[order=LETTERS][,once=LETTERS][,menu=on|off][,splash=FILE][,splash-time=MS]"
      "[,reboot-timeout=MS][,strict=on|off]", "boot order: a floppy, c disk, d CD, n network",
      opt_merge, FIELD(boot), .key = "order",
      NAMES("s:order", "s:once", "b:menu", "s:splash", "n:splash-time", "n:reboot-timeout",
            "b:strict") },
    { "chardev", "BACKEND,id=ID[,prop=value...]", "a character device; 'help' lists backends",
      opt_chardev, FIELD(chardev), .key = "backend",
      NAMES("s:id", "s:backend", "s:path", "s:host", "s:port") },
    { "serial", "DEV", "connect the next serial port", opt_string_list, FIELD(serial) },
    { "echr", "N", "number of the character that starts a multiplexer's commands (1: Ctrl-a)",
      opt_echr },
    { "parallel", "DEV", "connect the next parallel port", opt_string_list, FIELD(parallel) },
    { "debugcon", "DEV", "connect the debug console (port 0xe9)", opt_string_list,
      FIELD(debugcon) },
    { "monitor", "DEV", "a monitor for people on this character device", opt_string_list,
      FIELD(monitor) },
    { "qmp", "DEV", "a monitor for programs (QMP)", opt_string_list, FIELD(qmp) },
    { "qmp-pretty", "DEV", "the same with indented JSON", opt_string_list, FIELD(qmp_pretty) },
    { "mon", "[chardev=]ID[,mode=readline|control][,pretty=on|off]", "a monitor on a -chardev",
      opt_values, FIELD(mon), .key = "chardev", NAMES("s:mode", "s:chardev", "b:pretty") },
    { "add-fd", "fd=N,set=N[,opaque=TEXT]", "put an inherited descriptor into a set", opt_values,
      FIELD(add_fd), NAMES("n:fd", "n:set", "s:opaque") },
    { "S", NULL, "do not start the CPUs: wait for 'cont'", opt_flag, FIELD(start_stopped) },
    { "incoming", "URI", "wait for a machine that migrates to here: tcp:HOST:PORT, unix:PATH, "
      "fd:N, exec:COMMAND, file:PATH, or defer (until migrate-incoming)", opt_string,
      FIELD(incoming) },
    { "gdb", "DEV", "let GDB connect here: tcp::PORT, unix:PATH, stdio, pty, chardev:ID, none",
      opt_string, FIELD(gdb) },
    { "s", NULL, "short for -gdb tcp::1234", opt_gdb_default, FIELD(gdb) },
    { "no-reboot", NULL, "exit instead of resetting", opt_flag, FIELD(no_reboot) },
    { "no-shutdown", NULL, "stop instead of exiting", opt_flag, FIELD(no_shutdown) },
    { "action", "reboot=reset|shutdown\nshutdown=poweroff|pause\npanic=pause|shutdown|exit-failure|"
      "none\nwatchdog=reset|shutdown|poweroff|inject-nmi|pause|debug|none",
      "what happens on events of the machine", opt_merge, FIELD(action),
      NAMES("s:reboot", "s:shutdown", "s:panic", "s:watchdog") },
    { "daemonize", NULL, "go to the background once the machine is ready", opt_flag,
      FIELD(daemonize) },
    { "pidfile", "FILE", "write the process id here", opt_string, FIELD(pidfile) },
    { "run-with", "[async-teardown=on|off][,chroot=DIR]", "process settings", opt_merge,
      FIELD(run_with), NAMES("b:async-teardown", "s:chroot") },
    { "readconfig", "FILE", "read options from a file", opt_read_config },
    { "no-user-config", NULL, "read no configuration of the user", opt_flag,
      FIELD(no_user_config) },
    { "msg", "[timestamp=on|off][,guest-name=on|off]", "form of messages", opt_merge, FIELD(msg),
      NAMES("b:timestamp", "b:guest-name") },
    { "d", "ITEM[,ITEM...]", "log these; 'help' lists them", opt_log_items, FIELD(log_items) },
    { "D", "FILE", "write the log here", opt_string, FIELD(log_file) },
    { "trace", "[enable=]PATTERN[,events=FILE][,file=FILE]",
      "enable trace points; 'help' lists them",
      opt_trace, FIELD(trace), .key = "enable", NAMES("s:enable", "s:events", "s:file") },
    { "qtest", "DEV", "serve the qtest protocol here", opt_string, FIELD(qtest) },
    { "qtest-log", "FILE", "log the qtest conversation", opt_string, FIELD(qtest_log) },
    { NULL },
};

const Option *option_find(const char *name)
{
    for (const Option *option = option_table; option->name; option++) {
        if (g_str_equal(option->name, name)) {
            return option;
        }
    }
    return NULL;
}

static void unknown_option(const char *word, GError **error)
{
    const char *names[G_N_ELEMENTS(option_table)];
    unsigned n = 0;

    for (const Option *option = option_table; option->name; option++) {
        names[n++] = option->name;
    }
    names[n] = NULL;
    error_setf(error, "-%s: invalid option", word);
    error_append_nearest(error, word, names);
}

static OptionResult apply(VmOptions *options, const Option *option, const char *argument,
                          GError **error)
{
    OptionResult result = option->handle(options, option, argument, error);

    if (result == OPTION_FAILED) {
        g_prefix_error(error, "-%s%s%s: ", option->name, argument ? " " : "",
                       argument ? argument : "");
    }
    return result;
}

bool options_apply(VmOptions *options, const char *name, const char *argument, bool *help,
                   GError **error)
{
    const Option *option = option_find(name);
    OptionResult result;

    if (!option) {
        unknown_option(name, error);
        return false;
    }
    result = apply(options, option, argument, error);
    *help |= result == OPTION_HELP;
    return result != OPTION_FAILED;
}

/* *i is the index of the word; moved past its argument. */
static OptionResult parse_word(VmOptions *options, int argc, char **argv, int *i, GError **error)
{
    const char *word = argv[*i];
    const char *name = word + (g_str_has_prefix(word, "--") ? 2 : 1);
    const Option *option;

    if (word[0] != '-') {
        return apply(options, option_find("hda"), word, error);
    }
    option = option_find(name);
    if (!option) {
        unknown_option(name, error);
        return OPTION_FAILED;
    }
    if (option->argument && *i + 1 >= argc) {
        error_setf(error, "-%s: requires an argument: %s", name, option->argument);
        return OPTION_FAILED;
    }
    return apply(options, option, option->argument ? argv[++*i] : NULL, error);
}

static GPtrArray *string_array(void)
{
    return g_ptr_array_new_with_free_func(g_free);
}

static void option_value_free(void *data)
{
    OptionValue *value = data;

    json_object_put(value->json);
    g_free(value);
}

static GPtrArray *value_array(void)
{
    return g_ptr_array_new_with_free_func(option_value_free);
}

static const size_t string_array_fields[] = {
    offsetof(VmOptions, accels), offsetof(VmOptions, serial), offsetof(VmOptions, parallel),
    offsetof(VmOptions, monitor), offsetof(VmOptions, qmp), offsetof(VmOptions, qmp_pretty),
    offsetof(VmOptions, debugcon), offsetof(VmOptions, acpitable), offsetof(VmOptions, trace),
    offsetof(VmOptions, memory), offsetof(VmOptions, numa), offsetof(VmOptions, option_rom),
    offsetof(VmOptions, netdev), offsetof(VmOptions, nic), offsetof(VmOptions, net),
};
static const size_t value_array_fields[] = {
    offsetof(VmOptions, mon), offsetof(VmOptions, chardev), offsetof(VmOptions, device),
    offsetof(VmOptions, object), offsetof(VmOptions, global),
    offsetof(VmOptions, smbios), offsetof(VmOptions, fw_cfg), offsetof(VmOptions, add_fd),
    offsetof(VmOptions, pin),
    offsetof(VmOptions, blockdev),
};
static const size_t json_fields[] = {
    offsetof(VmOptions, machine), offsetof(VmOptions, smp), offsetof(VmOptions, rtc),
    offsetof(VmOptions, boot), offsetof(VmOptions, name),
    offsetof(VmOptions, action), offsetof(VmOptions, msg), offsetof(VmOptions, run_with),
    offsetof(VmOptions, overcommit),
};
static const size_t string_fields[] = {
    offsetof(VmOptions, cpu), offsetof(VmOptions, uuid), offsetof(VmOptions, vga),
    offsetof(VmOptions, display), offsetof(VmOptions, pidfile), offsetof(VmOptions, log_file),
    offsetof(VmOptions, log_items), offsetof(VmOptions, qtest), offsetof(VmOptions, qtest_log),
    offsetof(VmOptions, mem_path), offsetof(VmOptions, gdb), offsetof(VmOptions, incoming),
};

#define FIELD_AT(type, options, offset) ((type *)((char *)(options) + (offset)))

static VmOptions *options_new(void)
{
    VmOptions *options = g_new0(VmOptions, 1);

    for (unsigned i = 0; i < G_N_ELEMENTS(string_array_fields); i++) {
        *FIELD_AT(GPtrArray *, options, string_array_fields[i]) = string_array();
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(value_array_fields); i++) {
        *FIELD_AT(GPtrArray *, options, value_array_fields[i]) = value_array();
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(json_fields); i++) {
        *FIELD_AT(json_object *, options, json_fields[i]) = json_object_new_object();
    }
    options->drive = g_ptr_array_new_with_free_func(drive_request_free);
    return options;
}

void options_free(VmOptions *options)
{
    if (!options) {
        return;
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(string_array_fields); i++) {
        g_ptr_array_unref(*FIELD_AT(GPtrArray *, options, string_array_fields[i]));
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(value_array_fields); i++) {
        g_ptr_array_unref(*FIELD_AT(GPtrArray *, options, value_array_fields[i]));
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(json_fields); i++) {
        json_object_put(*FIELD_AT(json_object *, options, json_fields[i]));
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(string_fields); i++) {
        g_free(*FIELD_AT(char *, options, string_fields[i]));
    }
    g_ptr_array_unref(options->drive);
    g_free(options);
}

bool options_parse(int argc, char **argv, VmOptions **out, GError **error)
{
    g_autoptr(VmOptions) options = options_new();

    for (int i = 1; i < argc; i++) {
        switch (parse_word(options, argc, argv, &i, error)) {
        case OPTION_HELP:
            fflush(stdout);
            return false;
        case OPTION_FAILED:
            return false;
        case OPTION_OK:
            break;
        }
    }
    *out = g_steal_pointer(&options);
    return true;
}
