/* SPDX-License-Identifier: Apache-2.0 */
/* Commands that look at memory, ports and values: x, xp, print, sum, i, o, cpu. */
#include <inttypes.h>
#include <ctype.h>
#include <string.h>

#include "monitor/hmp-internal.h"
#include "util/error.h"

#define LINE_BYTES 16

static uint64_t load(const uint8_t *bytes, unsigned size)
{
    uint64_t value = 0;

    memcpy(&value, bytes, size); /* little endian, as x86 guests are */
    return value;
}

static void print_character(Hmp *hmp, uint8_t c)
{
    static const char *const escapes[256] = {
        ['\n'] = "\\n", ['\r'] = "\\r", ['\t'] = "\\t", ['\\'] = "\\\\", ['\''] = "\\'",
    };

    if (escapes[c]) {
        hmp_printf(hmp, "'%s'", escapes[c]);
    } else if (isprint(c) && c < 0x80) {
        hmp_printf(hmp, "'%c'", c);
    } else {
        hmp_printf(hmp, "'\\x%02x'", c);
    }
}

static int64_t sign_extend(uint64_t value, unsigned size)
{
    unsigned shift = 64 - size * 8;

    return (int64_t)(value << shift) >> shift;
}

/* A column of a memory dump. */
static void print_item(Hmp *hmp, char format, unsigned size, uint64_t value)
{
    static const uint8_t decimal_width[] = { [1] = 3, [2] = 5, [4] = 10, [8] = 20 };
    static const uint8_t octal_width[] = { [1] = 3, [2] = 6, [4] = 11, [8] = 22 };

    switch (format) {
    case 'd':
        hmp_printf(hmp, "%*" PRId64, decimal_width[size], sign_extend(value, size));
        break;
    case 'u':
        hmp_printf(hmp, "%*" PRIu64, decimal_width[size], value);
        break;
    case 'o':
        hmp_printf(hmp, "0%0*" PRIo64, octal_width[size], value);
        break;
    case 'c':
        print_character(hmp, (uint8_t)value);
        break;
    default:
        hmp_printf(hmp, "0x%0*" PRIx64, (int)size * 2, value);
        break;
    }
}

static bool read_memory(Hmp *hmp, bool physical, uint64_t addr, void *buf, size_t len,
                        GError **error)
{
    const HmpMachine *machine = hmp_machine();

    if (physical && machine->read_physical) {
        return machine->read_physical(addr, buf, len, error);
    }
    if (!physical && machine->read_virtual) {
        return machine->read_virtual(hmp_cpu(hmp), addr, buf, len, error);
    }
    error_setf(error, "This machine has no memory to look at");
    return false;
}

static bool dump_items(Hmp *hmp, bool physical, const HmpFormat *format, uint64_t addr,
                       GError **error)
{
    unsigned size = format->format == 'c' ? 1 : format->size ? format->size : 4;
    uint64_t left = (uint64_t)format->count * size;
    uint8_t line[LINE_BYTES];
    /* Characters are eight to a line, for they take four columns each. */
    unsigned per_line = format->format == 'c' ? LINE_BYTES / 2 : LINE_BYTES;

    while (left) {
        unsigned bytes = (unsigned)MIN(left, per_line);

        if (!read_memory(hmp, physical, addr, line, bytes, error)) {
            return false;
        }
        hmp_printf(hmp, "%016" PRIx64 ":", addr);
        for (unsigned i = 0; i < bytes; i += size) {
            hmp_puts(hmp, " ");
            print_item(hmp, format->format, size, load(line + i, size));
        }
        hmp_puts(hmp, "\n");
        addr += bytes;
        left -= bytes;
    }
    return true;
}

static bool dump_instructions(Hmp *hmp, bool physical, unsigned count, uint64_t addr,
                              GError **error)
{
    const HmpMachine *machine = hmp_machine();

    if (!machine->disassemble) {
        error_setf(error, "This build has no disassembler");
        return false;
    }
    while (count--) {
        uint8_t code[LINE_BYTES];
        unsigned length = 0;
        size_t got = sizeof(code);
        g_autofree char *text = NULL;

        /* The last instruction before a hole may be short. */
        while (got > 1 && !read_memory(hmp, physical, addr, code, got, NULL)) {
            got--;
        }
        if (got == 1 && !read_memory(hmp, physical, addr, code, got, error)) {
            return false;
        }
        text = machine->disassemble(hmp_cpu(hmp), addr, code, got, &length);
        length = CLAMP(length, 1, got);
        hmp_printf(hmp, "0x%08" PRIx64 ": ", addr);
        for (unsigned i = 0; i < length; i++) {
            hmp_printf(hmp, " %02x", code[i]);
        }
        hmp_printf(hmp, "%*s %s\n", (int)(LINE_BYTES - length) * 3, "", text ? text : "(bad)");
        addr += length;
    }
    return true;
}

static bool dump(Hmp *hmp, bool physical, const HmpValue *values, GError **error)
{
    const HmpFormat *format = &values[0].format;

    if (format->format == 'i') {
        return dump_instructions(hmp, physical, format->count, values[1].number, error);
    }
    return dump_items(hmp, physical, format, values[1].number, error);
}

static bool cmd_x(Hmp *hmp, const HmpValue *values, GError **error)
{
    return dump(hmp, false, values, error);
}

static bool cmd_xp(Hmp *hmp, const HmpValue *values, GError **error)
{
    return dump(hmp, true, values, error);
}

static bool cmd_print(Hmp *hmp, const HmpValue *values, GError **error)
{
    uint64_t value = values[1].number;

    switch (values[0].format.format) {
    case 'd':
        hmp_printf(hmp, "%" PRId64, (int64_t)value);
        break;
    case 'u':
        hmp_printf(hmp, "%" PRIu64, value);
        break;
    case 'o':
        hmp_printf(hmp, "%#" PRIo64, value);
        break;
    case 'c':
        print_character(hmp, (uint8_t)value);
        break;
    default:
        hmp_printf(hmp, "%#" PRIx64, value);
        break;
    }
    hmp_puts(hmp, "\n");
    return true;
}

/* The System V checksum: each step rotates right and adds. */
static bool cmd_sum(Hmp *hmp, const HmpValue *values, GError **error)
{
    uint64_t addr = values[0].number, left = values[1].number;
    uint16_t sum = 0;
    uint8_t chunk[4096];

    if (left > 1u << 30) {
        error_setf(error, "sum: at most 1 GiB at once");
        return false;
    }
    while (left) {
        size_t len = MIN(left, sizeof(chunk));

        if (!read_memory(hmp, true, addr, chunk, len, error)) {
            return false;
        }
        for (size_t i = 0; i < len; i++) {
            sum = (uint16_t)((sum >> 1 | sum << 15) + chunk[i]);
        }
        addr += len;
        left -= len;
    }
    hmp_printf(hmp, "%05d\n", sum);
    return true;
}

static bool port_args(const HmpValue *values, unsigned *size, GError **error)
{
    *size = values[0].format.size ? values[0].format.size : 4;
    if (*size > 4 || values[1].number > UINT16_MAX) {
        error_setf(error, "ports are 0 to 0xffff, and one, two or four bytes wide");
        return false;
    }
    return true;
}

static char size_letter(unsigned size)
{
    return size == 1 ? 'b' : size == 2 ? 'w' : 'l';
}

static bool cmd_in(Hmp *hmp, const HmpValue *values, GError **error)
{
    const HmpMachine *machine = hmp_machine();
    uint16_t port = (uint16_t)values[1].number;
    unsigned size;
    uint32_t value;

    if (!port_args(values, &size, error)) {
        return false;
    }
    if (!machine->read_port) {
        error_setf(error, "This machine has no ports");
        return false;
    }
    if (!machine->read_port(port, size, &value, error)) {
        return false;
    }
    hmp_printf(hmp, "port%c[0x%04x] = 0x%0*x\n", size_letter(size), port, (int)size * 2, value);
    return true;
}

static bool cmd_out(Hmp *hmp, const HmpValue *values, GError **error)
{
    const HmpMachine *machine = hmp_machine();
    unsigned size;

    if (!port_args(values, &size, error)) {
        return false;
    }
    if (!machine->write_port) {
        error_setf(error, "This machine has no ports");
        return false;
    }
    return machine->write_port((uint16_t)values[1].number, size, (uint32_t)values[2].number, error);
}

static bool cmd_cpu(Hmp *hmp, const HmpValue *values, GError **error)
{
    const HmpMachine *machine = hmp_machine();

    if (!machine->n_cpus || values[0].number >= machine->n_cpus()) {
        error_setf(error, "There is no CPU %" PRIu64, values[0].number);
        return false;
    }
    *hmp->cpu = (int)values[0].number;
    return true;
}

const HmpCommand hmp_memory_commands[] = {
    {
        .name = "x",
        .help = "dump memory at a virtual address; /fmt is count, x d u o c i, b h w g",
        .args = { { "fmt", HMP_FORMAT }, { "addr", HMP_EXPR } },
        .run = cmd_x,
    },
    {
        .name = "xp",
        .help = "dump memory at a physical address",
        .args = { { "fmt", HMP_FORMAT }, { "addr", HMP_EXPR } },
        .run = cmd_xp,
    },
    {
        .name = "print",
        .alias = "p",
        .help = "print an expression's value; $name is a register",
        .args = { { "fmt", HMP_FORMAT }, { "expr", HMP_EXPR } },
        .run = cmd_print,
    },
    {
        .name = "sum",
        .help = "checksum of a range of physical memory",
        .args = { { "addr", HMP_EXPR }, { "size", HMP_EXPR } },
        .run = cmd_sum,
    },
    {
        .name = "i",
        .help = "read an I/O port",
        .args = { { "fmt", HMP_FORMAT }, { "port", HMP_EXPR } },
        .run = cmd_in,
    },
    {
        .name = "o",
        .help = "write an I/O port",
        .args = { { "fmt", HMP_FORMAT }, { "port", HMP_EXPR }, { "value", HMP_EXPR } },
        .run = cmd_out,
    },
    {
        .name = "cpu",
        .help = "select the CPU that x, print and info registers are about",
        .args = { { "index", HMP_EXPR } },
        .run = cmd_cpu,
    },
    { .name = NULL },
};
