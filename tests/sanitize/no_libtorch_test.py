"""Programs that shall not load LibTorch, which no sanitizer has seen: all that runs in them is then
instrumented, but for the C library and the readers of archives."""

import subprocess
import sys


def needed(program):
    out = subprocess.run(['readelf', '-d', program], check=True, capture_output=True, text=True).stdout
    return [line.rpartition('[')[2].rstrip(']') for line in out.splitlines() if '(NEEDED)' in line]


def main():
    programs = sys.argv[1:]
    wrong = {program: libraries for program in programs
             if (libraries := [name for name in needed(program)
                               if name.startswith(('libtorch', 'libc10', 'libgomp', 'libmpi'))])}
    for program, libraries in wrong.items():
        print(f'{program} loads {", ".join(libraries)}')
    print(f'{len(programs) - len(wrong)} of {len(programs)} programs load no LibTorch')
    return 1 if wrong or not programs else 0


if __name__ == '__main__':
    sys.exit(main())
