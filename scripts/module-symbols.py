#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""module-symbols.py OUTPUT MODULE...: a dynamic list for the linker, of what the modules need.

A program that is linked with it exports these functions, and may drop whatever else nobody uses.
"""

import subprocess
import sys


def undefined(module):
    result = subprocess.run(['nm', '--dynamic', '--undefined-only', '--format=posix', module],
                            capture_output=True, text=True, check=True)
    # "name@VERSION U"; those with a version come from libraries.
    names = (line.split()[0] for line in result.stdout.splitlines())
    return {name for name in names if '@' not in name}


def main():
    names = set().union(*(undefined(module) for module in sys.argv[2:]))
    with open(sys.argv[1], 'w', encoding='ascii') as file:
        file.write('{\n' + ''.join(f'  {name};\n' for name in sorted(names)) + '};\n')


main()
