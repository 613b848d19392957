# SPDX-License-Identifier: Apache-2.0
"""What the scripts that run inside GDB share: commands, values, checks, a TAP line for each test.
Convenience variables tell what is there: $target, $guest_cpus.
"""
import os
import signal
import threading

import gdb

TARGET = gdb.convenience_variable('target').string()
CPUS = int(gdb.convenience_variable('guest_cpus'))


class Failed(Exception):
    """The guest or the stub did not do what was expected."""


class Skipped(Exception):
    """It cannot be done here."""


def run(command):
    return gdb.execute(command, to_string=True)


def value(expression):
    return int(gdb.parse_and_eval(expression)) & (1 << 64) - 1


def check(condition, what):
    if not condition:
        raise Failed(what)


def go_on(seconds):
    """Continue until something stops the machine, at last Ctrl-C; return GDB's event."""
    stops = []
    timer = threading.Timer(seconds, os.kill, (os.getpid(), signal.SIGINT))
    gdb.events.stop.connect(stops.append)
    timer.start()
    run('continue')
    timer.cancel()
    gdb.events.stop.disconnect(stops.append)
    return stops[-1]


def run_tests(tests):
    for command in ('set confirm off', 'set pagination off', 'set height 0'):
        run(command)
    for test in tests:
        outcome, problem = 'ok', ''
        try:
            test()
        except Skipped as reason:
            problem = f' # SKIP {reason}'
        except (Failed, gdb.error, ValueError) as error:
            outcome, problem = 'not ok', f'\n# {error}'
        name = test.__name__[5:].replace('_', '-')
        print(f'{outcome} {name}{problem}', flush=True)
