"""What a benchmark is: where its rows come from and which classifications of them it publishes.

Shapes: R rows.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from taxonomy.errors import BadInputError
from taxonomy.ranks import RANKS

LABEL = "label"
"""The level of benchmarks whose rows carry one label."""

SCIENTIFIC_NAME, COMMON_NAME = "scientific_name", "common_name"
"""The levels of benchmarks with a taxonomy beside the ranks."""

NINE_LEVELS = (*RANKS, SCIENTIFIC_NAME, COMMON_NAME)
"""The published values of `--taxon` for benchmarks with a taxonomy; `species` is the bare epithet, as published."""

PUBLISHED, FIXED = "published", "fixed"
CLASS_LISTS = (PUBLISHED, FIXED)
"""The published names, typos and all (a missing label is the class "nan"); and the corrected ones."""


@dataclass(frozen=True)
class Rows:
    """A benchmark's rows, as columns of equal length R, in the order of its file.

    Attributes:
        keys: what tells the row's picture from others: the path in the file, the photo id, or the member of a shard.
        sources: the picture's file, or its bytes' reader (a shard's member); None where no file was found.
        labels: level -> label per row as in the file, None where the file has none.
        lineage: rank -> name per row, cleaned; no entry where the file has no such column.
        common_names: per row, cleaned; empty where the file has no such column.
        pairs: Confounding alone: the pair that each row's choice is between.
    """

    keys: Sequence[str]
    sources: "Sequence[Path | Callable[[], bytes] | None]"
    labels: Mapping[str, Sequence[str | None]]
    lineage: Mapping[str, Sequence[str | None]] = field(default_factory=dict)
    common_names: Sequence[str | None] = ()
    pairs: Sequence[str] = ()

    def __len__(self) -> int:
        return len(self.keys)


@dataclass(frozen=True)
class Benchmark:
    """One benchmark with its rows.

    Attributes:
        name: of the registry ("biotrove_unseen").
        rows: read and matched with their pictures.
        levels: those that can be asked for.
        headline: the level of the published figures.
        corrections: (level, old, new) of the class list `fixed`; level "*" for any.
        log_name: prefix of its keys in results.jsonl and wandb, as published ("arbor-rare").
        images_root: where its pictures lie; None for shards.
    """

    name: str
    rows: Rows
    levels: tuple[str, ...]
    headline: str
    corrections: Sequence[tuple[str, str, str]] = ()
    log_name: str = ""
    images_root: Path | None = None


def check_pictures(benchmark: Benchmark) -> None:
    """Check that at least one of a benchmark's pictures was found.

    Raises:
        BadInputError: none was.
    """
    if not any(source is not None for source in benchmark.rows.sources):
        place = f"below {benchmark.images_root}" if benchmark.images_root else "where its file says"
        raise BadInputError(
            f"{benchmark.name}: none of its {len(benchmark.rows):,} pictures was found {place}: give their folder "
            "with --images-root"
        )
