"""What the class list `fixed` changes about the published one; the table is corrections.csv beside this file."""

from functools import cache
from pathlib import Path

from evaluation.benchmarks.read_csv import read_csv

ANY_LEVEL = "*"

_TABLE = Path(__file__).with_name("corrections.csv")


def corrections_of(benchmark: str) -> tuple[tuple[str, str, str], ...]:
    """(level, old, new) of a benchmark's corrections; level "*" for any. Empty where there are none."""
    return tuple((level, old, new) for name, level, old, new, _ in corrections() if name == benchmark)


@cache
def corrections() -> tuple[tuple[str, str, str, str, str], ...]:
    """(benchmark, level, old, new, reason) of every correction, NFC, in the order of the table."""
    columns = read_csv(_TABLE).columns
    return tuple(zip(*(columns[name] for name in ("benchmark", "level", "old", "new", "reason")), strict=True))
