# SPDX-License-Identifier: Apache-2.0
"""Runs inside GDB (gdb -batch -x): debugs Debian's kernel, of which no symbols are known. Prints
TAP.
"""
import sys
import time
from pathlib import Path

import gdb

sys.path.insert(0, str(Path(__file__).resolve().parent))
from session_common import CPUS, TARGET, check, go_on, run, run_tests, value  # noqa: E402

STARTUP_64 = 0x1000000
TIMER_VECTOR = 0xec
KERNEL = 0xffffffff80000000


def gate(vector):
    """Where the interrupt descriptor table leads."""
    data = bytes(gdb.selected_inferior().read_memory(value('$idt_base') + 16 * vector, 16))
    return int.from_bytes(data[0:2] + data[6:12], 'little')


def stop_at(command, address):
    run(f'{command} *{address:#x}')
    event = go_on(30)
    check(isinstance(event, gdb.BreakpointEvent), f'{command}: {event}')
    check(value('$pc') == address, f'{command}: $pc is {value("$pc"):#x}, not {address:#x}')


def test_entry():
    """The kernel's 64-bit entry, through its identity map."""
    run(f'target remote {TARGET}')
    stop_at('hbreak', STARTUP_64)
    run('delete breakpoints')
    check(value('$efer') & 1 << 10 and value('$cr0') >> 31, 'long mode')
    stops = set()
    for _ in range(10):
        run('stepi')
        stops.add(value('$pc'))
    check(len(stops) == 10, f'{len(stops)} steps')


def test_timer():
    """A breakpoint in each tick, also once the code is hot."""
    go_on(20)
    check(value('$idt_base') > KERNEL >> 8, 'the kernel has an IDT')
    check(len(gdb.selected_inferior().threads()) == CPUS, 'info threads')
    address = gate(TIMER_VECTOR)
    check(address > KERNEL, f'the timer interrupt leads to {address:#x}')
    for command in ('break', 'hbreak'):
        stop_at(command, address)
        for _ in range(20):
            check(isinstance(go_on(20), gdb.BreakpointEvent), command)
            check(value('$pc') == address, f'{command}: $pc')
        run('delete breakpoints')
    check(value('$eflags') & 1 << 9 == 0, 'interrupts are off')


def test_steps():
    """Many single steps through the kernel."""
    for _ in range(300):
        run('stepi')
    check(value('$pc') != 0, '$pc')


def test_watch():
    """What the interrupt pushes next."""
    stop_at('break', gate(TIMER_VECTOR))
    run('delete breakpoints')
    check(len(run('x/6i $pc').splitlines()) == 6, 'disassembly')
    run('watch *(unsigned long *)($sp - 8)')
    event = go_on(20)
    check(isinstance(event, gdb.BreakpointEvent), f'the watchpoint: {event}')
    run('delete breakpoints')


def test_memory():
    """Kernel memory, written and put back."""
    inferior = gdb.selected_inferior()
    address = value('$sp') - 512
    old = bytes(inferior.read_memory(address, 64))
    inferior.write_memory(address, b'vireo' * 12)
    check(bytes(inferior.read_memory(address, 60)) == b'vireo' * 12, 'what was written')
    inferior.write_memory(address, old)


def test_threads():
    """Each CPU has its own registers."""
    bases = set()
    for number in range(1, CPUS + 1):
        run(f'thread {number}')
        bases.add(max(value('$gs_base'), value('$k_gs_base')))
    check(len(bases) == CPUS, f'GS bases: {bases}')


def test_detach():
    """It runs on, and can be asked again."""
    check('CPU' in run('monitor info cpus'), 'info cpus')
    run('detach')
    time.sleep(1)
    run(f'target remote {TARGET}')
    check(value('$cr3') != 0, 'cr3')
    run('disconnect')


run_tests([test_entry, test_timer, test_steps, test_watch, test_memory, test_threads, test_detach])
