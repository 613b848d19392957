# SPDX-License-Identifier: Apache-2.0
"""Starts a machine with a gdbstub, and GDB with a script that prints TAP lines."""

import re
import subprocess
import tempfile
from pathlib import Path

LINE = re.compile(r'^(ok|not ok) (.*)$')


def debug(command, script, variables, symbols=None, seconds=120):
    """Run both; return TAP lines without numbers, comments in between. A failure is one, too."""
    with tempfile.TemporaryDirectory(prefix='vireo-gdb-') as directory:
        path = f'{directory}/gdb'
        errors = Path(directory, 'errors')
        with errors.open('wb') as stream:
            machine = subprocess.Popen(
                [*command, '-S', '-gdb', f'unix:{path}'], stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL, stderr=stream)
        try:
            wait_for(path, machine)
            words = ['gdb', '-nx', '-batch', '-ex', f'set $target = "{path}"']
            for name, value in variables.items():
                words += ['-ex', f'set ${name} = {value}']
            if symbols:
                words += ['-ex', f'file {symbols}']
            result = subprocess.run([*words, '-x', script], stdin=subprocess.DEVNULL,
                                    stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                    timeout=seconds, text=True, errors='replace', check=False)
            lines = [line for line in result.stdout.splitlines()
                     if LINE.match(line) or line.startswith('# ')]
            tail = result.stdout
        except subprocess.TimeoutExpired as error:
            output = error.stdout or b''
            tail = output if isinstance(output, str) else output.decode(errors='replace')
            lines = [f'not ok finished within {seconds} s']
        finally:
            status = machine.poll()
            machine.kill()
            machine.wait()
        if status is not None:
            lines.append(f'not ok the machine ended with status {status}')
        if not lines or any(line.startswith('not ok') for line in lines):
            lines += [f'# {line}' for line in (tail + errors.read_text()).splitlines()[-30:]]
        return lines or ['not ok GDB said nothing']


def wait_for(path, machine):
    """Until the socket is there."""
    for _ in range(400):
        if Path(path).exists() or machine.poll() is not None:
            return
        try:
            machine.wait(0.05)
        except subprocess.TimeoutExpired:
            pass


def report(groups):
    """Print the lines of each (name, lines) as one TAP; return the exit status."""
    number = failed = 0
    for name, lines in groups:
        for line in lines:
            match = LINE.match(line)
            if not match:
                print(line)
                continue
            number += 1
            failed += match.group(1) == 'not ok'
            print(f'{match.group(1)} {number} - {name}: {match.group(2)}', flush=True)
    print(f'1..{number}')
    return 1 if failed else 0
