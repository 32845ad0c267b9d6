"""How long imports take and which large packages they bring: ``python benchmarks/imports.py``.

Seconds are the processor's, each module in a process of its own, the median of the rounds.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from statistics import median

MODULES = ("alphagrad", "alphagrad.client", "alphagrad.cli", "alphagrad.tuner", "alphagrad.optim")
HEAVY = {"torch", "optuna", "ray", "numpy", "fastapi", "sqlalchemy"}
CODE = """
import sys, time
before = time.process_time()
import {module}
print(time.process_time() - before, *({heavy!r} & sys.modules.keys()))
"""


def measure(module: str, rounds: int) -> tuple[float, set[str]]:
    """Import a module in new processes; give the seconds, and what came with it."""
    command = [sys.executable, "-c", CODE.format(module=module, heavy=HEAVY)]
    lines = [subprocess.check_output(command, text=True).split() for _ in range(rounds)]
    return median(float(line[0]) for line in lines), set(lines[0][1:])


def main() -> None:
    """Print a line for each module."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("modules", nargs="*", default=list(MODULES))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--limit", type=float, help="fail if the first takes more seconds")
    arguments = parser.parse_args()
    for module in arguments.modules:
        seconds, brought = measure(module, arguments.rounds)
        print(f"import {module}: {seconds:.3f} s, brings {', '.join(sorted(brought)) or 'none'}")
        first = module == arguments.modules[0]
        if first and arguments.limit is not None and seconds > arguments.limit:
            sys.exit(f"import {module} takes more than {arguments.limit} s")


if __name__ == "__main__":
    main()
