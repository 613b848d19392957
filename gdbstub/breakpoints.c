/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Breakpoints and watchpoints. Where the accelerator has debug registers only (accel_ops()->
 * debug_points), software breakpoints are INT3s in memory; otherwise all are points that it looks
 * for by itself, and memory stays as it is.
 */
#include "gdbstub/internal.h"

static bool may_patch(void)
{
    return accel_ops()->debug_points > 0;
}

static GdbBreakpoint *nth(const GdbStub *stub, unsigned i)
{
    return &g_array_index(stub->breakpoints, GdbBreakpoint, i);
}

static int find(const GdbStub *stub, GdbPointType type, uint64_t address, uint64_t length)
{
    for (unsigned i = 0; i < stub->breakpoints->len; i++) {
        const GdbBreakpoint *point = nth(stub, i);

        if (point->type == type && point->address == address &&
            (type <= GDB_POINT_HARDWARE || point->length == length)) {
            return (int)i;
        }
    }
    return -1;
}

/* Has a debug register what it takes? */
static int check_register(const GdbStub *stub, GdbPointType type, uint64_t address, uint64_t length)
{
    unsigned used = 0;

    if (!may_patch()) {
        return 0;
    }
    for (unsigned i = 0; i < stub->breakpoints->len; i++) {
        used += !nth(stub, i)->patched;
    }
    if (type == GDB_POINT_READ) {
        return -1;
    }
    if (type > GDB_POINT_HARDWARE &&
        ((length != 1 && length != 2 && length != 4 && length != 8) || address % length)) {
        return GDB_E_INVAL;
    }
    return used < accel_ops()->debug_points ? 0 : GDB_E_NO_SPACE;
}

static int patch(GdbStub *stub, GdbBreakpoint *point)
{
    static const uint8_t int3 = 0xcc;
    VCpu *cpu = gdb_cpu(stub->general_cpu);

    if (!cpu || !vcpu_translate(cpu, point->address, &point->physical)) {
        return GDB_E_FAULT;
    }
    point->as = gdb_address_space(cpu);
    for (unsigned i = 0; i < stub->breakpoints->len; i++) {
        if (nth(stub, i)->patched && nth(stub, i)->physical == point->physical) {
            return GDB_E_INVAL; /* by another linear address: which stop is whose? */
        }
    }
    if (address_space_read(point->as, point->physical, &point->original, 1) != MEM_OK ||
        address_space_write_rom(point->as, point->physical, &int3, 1) != MEM_OK) {
        return GDB_E_FAULT;
    }
    point->patched = true;
    return 0;
}

/* The guest may have written something else there meanwhile, which stays. */
static void unpatch(const GdbBreakpoint *point)
{
    uint8_t now;

    if (point->patched && address_space_read(point->as, point->physical, &now, 1) == MEM_OK &&
        now == 0xcc) {
        address_space_write_rom(point->as, point->physical, &point->original, 1);
    }
}

int gdb_breakpoint_add(GdbStub *stub, GdbPointType type, uint64_t address, uint64_t length)
{
    GdbBreakpoint point = { .type = type, .address = address, .length = 1 };
    int error;

    if (!accel_ops()->update_debug) {
        return -1;
    }
    if (find(stub, type, address, length) >= 0) {
        return 0;
    }
    if (stub->breakpoints->len >= GDB_BREAKPOINTS_MAX) {
        return GDB_E_NO_SPACE;
    }
    if (type > GDB_POINT_HARDWARE) {
        if (length < 1 || length > UINT32_MAX) {
            return GDB_E_INVAL;
        }
        point.length = (uint32_t)length;
    }
    error = type == GDB_POINT_SOFTWARE && may_patch() ? patch(stub, &point)
                                                      : check_register(stub, type, address, length);
    if (error) {
        return error;
    }
    g_array_append_val(stub->breakpoints, point);
    stub->points_changed = true;
    return 0;
}

int gdb_breakpoint_remove(GdbStub *stub, GdbPointType type, uint64_t address, uint64_t length)
{
    int i = find(stub, type, address, length);

    if (i < 0) {
        return accel_ops()->update_debug ? GDB_E_INVAL : -1;
    }
    unpatch(nth(stub, (unsigned)i));
    g_array_remove_index(stub->breakpoints, (unsigned)i);
    stub->points_changed = true;
    return 0;
}

void gdb_breakpoints_clear(GdbStub *stub)
{
    for (unsigned i = 0; i < stub->breakpoints->len; i++) {
        unpatch(nth(stub, i));
    }
    stub->points_changed |= stub->breakpoints->len > 0;
    g_array_set_size(stub->breakpoints, 0);
    g_array_set_size(stub->pending, 0);
}

bool gdb_breakpoint_exists(const GdbStub *stub, GdbPointType type, uint64_t address)
{
    for (unsigned i = 0; i < stub->breakpoints->len; i++) {
        if (nth(stub, i)->type == type && nth(stub, i)->address == address) {
            return true;
        }
    }
    return false;
}

bool gdb_breakpoint_is_at(const GdbStub *stub, uint64_t address)
{
    return gdb_breakpoint_exists(stub, GDB_POINT_SOFTWARE, address) ||
           gdb_breakpoint_exists(stub, GDB_POINT_HARDWARE, address);
}

bool gdb_breakpoints_patched(const GdbStub *stub)
{
    for (unsigned i = 0; i < stub->breakpoints->len; i++) {
        if (nth(stub, i)->patched) {
            return true;
        }
    }
    return false;
}

void gdb_breakpoints_publish(GdbStub *stub)
{
    static const VCpuBreakpointKind kinds[] = {
        [GDB_POINT_SOFTWARE] = VCPU_BREAK_EXECUTE, [GDB_POINT_HARDWARE] = VCPU_BREAK_EXECUTE,
        [GDB_POINT_WRITE] = VCPU_BREAK_WRITE, [GDB_POINT_READ] = VCPU_BREAK_READ,
        [GDB_POINT_ACCESS] = VCPU_BREAK_ACCESS,
    };

    g_array_set_size(stub->points, 0);
    g_array_set_size(stub->point_types, 0);
    for (unsigned i = 0; i < stub->breakpoints->len; i++) {
        const GdbBreakpoint *point = nth(stub, i);
        VCpuBreakpoint seen = { point->address, kinds[point->type], point->length };

        if (!point->patched) {
            g_array_append_val(stub->points, seen);
            g_array_append_val(stub->point_types, point->type);
        }
    }
}
