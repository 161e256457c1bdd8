"""`python -m bitgauge` is the program `bitgauge`."""

import os
import subprocess
import sys

from bitgauge import find_program


def main() -> int:
    """Hands over to the program; where a process can't be replaced, waits for it."""
    command = [find_program(), *sys.argv[1:]]
    if os.name == "nt":
        return subprocess.run(command).returncode
    os.execv(command[0], command)


if __name__ == "__main__":
    sys.exit(main())
