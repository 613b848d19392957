# SPDX-License-Identifier: Apache-2.0
"""Runs inside GDB (gdb -batch -x), connected to nothing yet: debugs the guest of this folder and
prints TAP. Convenience variables tell what is there: $target, $guest_cpus, $on_emu.
"""
import sys
import time
from pathlib import Path

import gdb

sys.path.insert(0, str(Path(__file__).resolve().parent))
from session_common import (  # noqa: E402
    CPUS, TARGET, Failed, Skipped, check, go_on, run, run_tests, value)

ON_EMU = bool(int(gdb.convenience_variable('on_emu')))


def same(found, expected, what):
    check(found == expected, f'{what}: {found!r}, not {expected!r}')


def here(symbol):
    same(hex(value('$pc')), hex(value(f'(unsigned long)&{symbol}')), f'$pc at {symbol}')


def delete_all():
    gdb.execute('delete breakpoints')


def test_connect():
    """The machine has not begun."""
    run(f'target remote {TARGET}')
    check(value('$cr0') & 1 << 31 == 0, 'paging is off')
    same(len(gdb.selected_inferior().threads()), CPUS, 'threads')


def test_first_breakpoint():
    """A hardware breakpoint in code that is not loaded yet."""
    run('hbreak guest_main')
    run('continue')
    here('guest_main')
    delete_all()
    if not ON_EMU:
        run('set var plain = 1')
    check(value('$cr0') & 1 << 31, 'paging is on')
    check(value('$efer') & 1 << 10, 'long mode is active')
    same(value('$cs'), 8, '$cs')


def test_software_breakpoint():
    """break, hit in each round; memory does not show it."""
    before = run('x/4bx add_round').replace(' =>', '')
    run('break *add_round')
    for count in range(5):
        run('continue')
        here('add_round')
        same(value('$rdi'), count, 'the argument')
    same(run('x/4bx add_round').replace('=>', ''), before.replace('=>', ''), 'code')
    run('finish')
    same(value('rounds'), 5, 'rounds')
    delete_all()


def test_condition():
    """A conditional breakpoint is passed many times."""
    run('break add_round if amount == 57')
    run('continue')
    same(value('amount'), 57, 'amount')
    delete_all()


def test_registers():
    """Written registers are read back, and the guest sees them."""
    run('break *add_round')
    run('continue')
    total = value('total')
    run('set $rdi = 0x123456789a')
    run('set $r13 = 0xfedcba9876543210')
    same(value('$r13'), 0xfedcba9876543210, '$r13')
    delete_all()
    run('finish')
    same(value('total'), total + 0x123456789a, 'total')
    run('set $xmm3.v2_int64[1] = 0x7766554433221100')
    same(value('$xmm3.v2_int64[1]'), 0x7766554433221100, 'xmm3')
    run('set $eflags |= 1')
    check(value('$eflags') & 1, 'CF')
    run('set $st0 = 1.5')
    same(float(gdb.parse_and_eval('$st0')), 1.5, 'st0')
    run('p $fctrl')


def test_memory():
    """Memory by linear address, and what is not mapped."""
    run('set var watched[3] = 0x55aa1234')
    same(value('watched[3]'), 0x55aa1234, 'watched[3]')
    inferior = gdb.selected_inferior()
    data = bytes(range(256)) * 40 + b'}$#*+-\x03'
    inferior.write_memory(0x300000, data)
    same(bytes(inferior.read_memory(0x300000, len(data))), data, 'binary data')
    try:
        inferior.read_memory(0x7f0000000000, 8)
    except gdb.MemoryError:
        pass
    else:
        raise Failed('unmapped memory was read')
    try:
        inferior.write_memory(0x7f0000000000, b'x')
    except gdb.MemoryError:
        return
    raise Failed('unmapped memory was written')


def test_steps():
    """stepi over every kind of instruction, with interrupts kept out."""
    run('break odd_instructions')
    run('continue')
    delete_all()
    ticks, stops = value('timer_ticks'), []
    for _ in range(70):
        run('stepi')
        stops.append(value('$pc'))
        if stops[-1] == value(f'(unsigned long)&{"after_odd" if ON_EMU else "odd_end"}'):
            break
    else:
        raise Failed('after_odd was not reached')
    same(value('timer_ticks'), ticks, 'timer ticks while stepping')
    begin, end = value('(unsigned long)&rep_movs'), value('(unsigned long)&after_rep')
    check(begin in stops, 'a stop at rep movsb')
    check(end in stops, 'a stop behind rep movsb')
    if ON_EMU:
        check(value('(unsigned long)&breakpoint_entry') in stops, 'a stop in the INT3 handler')
        check(value('(unsigned long)&fault_entry') in stops, 'a stop in the #UD handler')
    same(run('x/s &copy_to').split('"')[1], 'sixteen bytes...', 'the copy')
    if not ON_EMU:
        return
    same(value('$xmm0.v2_int64[0]'), 0x1122334455667788, 'xmm0')
    check(abs(float(gdb.parse_and_eval('$st0')) - 3.14159265) < 1e-6, 'st0 is pi')


def test_own_int3():
    """The guest's own INT3 reaches the guest, also while the debugger has breakpoints."""
    if not ON_EMU:
        return
    before = value('own_breakpoints')
    run('break odd_instructions')
    run('continue')
    run('continue')
    same(value('own_breakpoints'), before + 1, 'INT3s')
    delete_all()


def test_next_and_source():
    """Source-level steps over calls."""
    run('break add_round')
    run('continue')
    delete_all()
    run('finish')
    for _ in range(6):
        run('next')
    check('guest_main' in run('frame'), 'in guest_main')


def watch(command):
    """Set a watchpoint and go on until it is hit."""
    run(command)
    stop = go_on(5)
    delete_all()
    if not ON_EMU and isinstance(stop, gdb.SignalEvent) and stop.stop_signal == 'SIGINT':
        raise Skipped('this KVM sees no watchpoints')
    check(isinstance(stop, gdb.BreakpointEvent), f'{command}: {stop}')


def test_watchpoints():
    """A write is stopped behind, with old and new value."""
    old = value('watched[1]')
    watch('watch watched[1]')
    check(value('watched[1]') != old, 'watched[1] has changed')
    old = value('rounds')
    watch('watch rounds')
    same(value('rounds'), old + 1, 'rounds')
    watch('awatch total')
    if ON_EMU:
        watch('rwatch total')


def test_many_points():
    """More than a processor has registers for."""
    if not ON_EMU:
        return
    for i in range(4):
        run(f'watch watched[{i}]')
    for symbol in ('odd_instructions', 'after_rep', 'after_ud2', 'patched'):
        run(f'hbreak *{symbol}')
    seen = set()
    for _ in range(10):
        run('continue')
        seen.add(value('$pc'))
    for symbol in ('odd_instructions', 'after_rep', 'after_ud2', 'patched'):
        check(value(f'(unsigned long)&{symbol}') in seen, f'{symbol} was hit')
    delete_all()


def test_patching():
    """Code that the debugger changes is what runs, also where it was decoded before."""
    run('break odd_instructions')
    run('continue')
    same(value('patch_result'), 1, 'the result')
    code = bytes(gdb.selected_inferior().read_memory(value('(unsigned long)&patched'), 8))
    at = value('(unsigned long)&patched') + code.index(b'\x01\x00\x00\x00')
    gdb.selected_inferior().write_memory(at, b'\x2a\x00\x00\x00')
    run('continue')
    same(value('patch_result'), 0x2a, 'the result')
    gdb.selected_inferior().write_memory(at, b'\x01\x00\x00\x00')
    run('continue')
    same(value('patch_result'), 1, 'the result')
    delete_all()


def test_jump():
    """$pc can be set, also onto a breakpoint."""
    run('break *add_round')
    run('continue')
    here('add_round')
    rounds = value('rounds')
    run('finish')
    back = value('$pc')
    run('jump *add_round')
    here('add_round')
    delete_all()
    same(value('rounds'), rounds + 1, 'rounds')
    run(f'set $pc = {back}')


def test_threads():
    """Other CPUs run, are stopped with the first one, and have registers of their own."""
    if CPUS < 2:
        return
    counter = '*(unsigned short *)0x9000'
    before = value(counter)
    go_on(0.3)
    check(value(counter) != before, 'the second CPU ran')
    check('CPU#1' in run('info threads'), 'info threads')
    run('thread 2')
    same(value('$cs'), 0x800, '$cs of the second CPU')
    before = value(counter)
    run('set scheduler-locking on')
    for _ in range(4):
        run('stepi')
    check(value(counter) != before, 'the second CPU stepped')
    now = value('timer_ticks')
    run('stepi')
    same(value('timer_ticks'), now, 'the first CPU stood still')
    run('set scheduler-locking off')
    run('thread 1')


def test_thread_watch():
    """A watchpoint that another CPU hits."""
    if CPUS < 2:
        return
    watch('watch *(unsigned short *)0x9000')
    same(gdb.selected_thread().num, 2, 'the thread that stopped')
    run('thread 1')


def test_monitor():
    """monitor commands, with answers longer than a packet."""
    check('compatible' in run('monitor info version'), 'info version')
    check('RIP=' in run('monitor info registers').upper(), 'info registers')
    check('paused' in run('monitor info status') or 'debug' in run('monitor info status'),
          'info status')
    check('system' in run('monitor info mtree -f'), 'info mtree')
    check('connected' in run('monitor gdbserver none'), 'gdbserver none is refused')


def test_interrupt():
    """Ctrl-C stops a running machine."""
    before = value('rounds')
    stop = go_on(0.3)
    same(getattr(stop, 'stop_signal', None), 'SIGINT', 'the signal')
    check(value('rounds') != before, 'rounds went on')


def test_detach():
    """The machine runs on."""
    run('break *add_round')
    run('continue')
    run('detach')
    time.sleep(0.3)
    run(f'target remote {TARGET}')
    rounds = value('rounds')
    run('detach')
    time.sleep(0.3)
    run(f'target remote {TARGET}')
    check(value('rounds') != rounds, 'rounds went on')
    run('disconnect')


TESTS = [test_connect, test_first_breakpoint, test_software_breakpoint, test_condition,
         test_registers, test_memory, test_steps, test_own_int3, test_next_and_source,
         test_watchpoints, test_many_points, test_patching, test_jump, test_threads,
         test_thread_watch, test_monitor, test_interrupt, test_detach]


run_tests(TESTS)
