"""``python -m benchmarks [NAME ...]``: measure what is missing, then write the table.

A NAME restricts the run to pieces whose name begins with it: ``gae``, ``solve/CartPole-v1``.
"""

import argparse
import os
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"  # before NumPy and torch read it

from .machine import describe
from .pieces import measured
from .plan import plan
from .table import write_table


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", help="measure only pieces that begin with one of these")
    names = tuple(parser.parse_args().names)
    measured("machine", describe)
    for name, measure in plan():
        if not names or name.startswith(names):
            measured(name, measure)
    path = write_table()
    print(Path(path).read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
