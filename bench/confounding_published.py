"""The published scorer of the Confounding benchmark beside ours, on a model that knows every species by name.

    python -m bench.confounding_published --csv FILE

The published scorer is restated here as index arithmetic alone. It numbers the pictures' species by their first rows
in the CSV; its classifier's columns are the species in the order of five pairs written down in its code; and for each
pair it keeps the rows and columns whose numbers stand in the CSV's `idx` column. The three numberings are three
different orders, so it compares prompts of other species than those of the pictures: what it finds is a toss of ten
coins, which fall otherwise for other embeddings. Ours is the two-way choice inside the pair, prompts met by name. A
right scorer gives such a model 100 %, whatever its embeddings.

Shapes: R rows, D embedding, C species.

Source: VLHub, src/training/zero_shot.py and insecta_zeroshot_data.py, as of June 2024: the branch `confounding`.
"""

from __future__ import annotations

import argparse
import csv
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

PAIRS = (
    ("Harmonia axyridis", "Adalia bipunctata"),
    ("Harmonia axyridies", "Epilachna mexicana"),
    ("Phyllopertha horticola", "Popillia japonica"),
    ("Euschistus servus", "Halyomorpha halys"),
    ("Euschistus tristigmus", "Erthesina fullo"),
)
"""As the published code lists them, the misspelling included."""

COLUMNS = tuple(name for pair in PAIRS for name in pair)
"""The species of the published classifier's columns."""

NUM_OTHERS = 1000
"""Models that are scored beside the planted one."""


@dataclass(frozen=True)
class PublishedPair:
    """What the published scorer does with one pair.

    Attributes:
        pair: the two species it is about.
        columns: the species whose prompts are compared in truth.
        row_species: the species whose pictures are shown in truth.
        num_rows: pictures shown.
        accuracy: its top-1.
    """

    pair: tuple[str, str]
    columns: tuple[str, ...]
    row_species: tuple[str, ...]
    num_rows: int
    accuracy: float


def score_published(
    species_R: Sequence[str], idx_R: Sequence[int], image_RD: np.ndarray, text_CD: np.ndarray
) -> list[PublishedPair]:
    """Per pair what the published scorer finds; its headline is the mean of their accuracies.

    Args:
        species_R: column scientific_name of the CSV.
        idx_R: its column idx.
        image_RD: unit embeddings of the pictures.
        text_CD: unit embeddings of the prompts of COLUMNS.
    """
    numbered = list(dict.fromkeys(species_R))
    target_R = np.array([numbered.index(name) for name in species_R])
    score_RC = image_RD @ text_CD.T
    found = []
    for pair in PAIRS:
        kept = np.unique([idx for name, idx in zip(species_R, idx_R, strict=True) if name in pair])
        rows = np.flatnonzero(np.isin(target_R, kept))
        guess = kept[score_RC[np.ix_(rows, kept)].argmax(1)]
        found.append(
            PublishedPair(
                pair=pair,
                columns=tuple(COLUMNS[index] for index in kept),
                row_species=tuple(numbered[index] for index in kept),
                num_rows=len(rows),
                accuracy=float(np.mean(guess == target_R[rows])),
            )
        )
    return found


def read_rows(path: Path) -> list[dict[str, str]]:
    """The CSV's rows."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def score_planted(path: Path) -> list[PublishedPair]:
    """The published scorer's findings for the planted model."""
    from bench.planted_model import label_vector

    return _score_named(read_rows(path), {name: label_vector(name) for name in COLUMNS})


def score_others(path: Path, num: int) -> np.ndarray:
    """float64 [num], the published scorer's headline for other models that know every species by name."""
    rows = read_rows(path)
    generator = np.random.default_rng(0)
    found = []
    for _ in range(num):
        name_CD = generator.standard_normal((len(COLUMNS), 256))
        name_CD /= np.linalg.norm(name_CD, axis=1, keepdims=True)
        found.append(headline(_score_named(rows, dict(zip(COLUMNS, name_CD, strict=True)))))
    return np.array(found)


def _score_named(rows: Sequence[Mapping[str, str]], vectors: Mapping[str, np.ndarray]) -> list[PublishedPair]:
    """A model whose pictures and prompts of a species have one and the same embedding."""
    species = [row["scientific_name"] for row in rows]
    image_RD = np.stack([vectors[name] for name in species])
    text_CD = np.stack([vectors[name] for name in COLUMNS])
    return score_published(species, [int(row["idx"]) for row in rows], image_RD, text_CD)


def headline(found: Sequence[PublishedPair]) -> float:
    """The published figure: the mean of the pairs' accuracies."""
    return float(np.mean([one.accuracy for one in found]))


def score_ours(path: Path, folder: Path) -> Mapping[str, float]:
    """Our top-1 for the planted model: `pair` for the choice inside the pair, `all` for that among all species.

    Args:
        path: the CSV.
        folder: an empty one, for stand-in pictures.
    """
    from bench.planted_model import PlantedEncoder, picture_bytes
    from evaluation import RunOptions, run
    from evaluation.benchmarks.registry import open_benchmark
    from evaluation.protocols import PAPER

    rows = read_rows(path)
    species = list(dict.fromkeys(row["scientific_name"] for row in rows))
    for row in rows:
        file = folder / row["path"].lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(picture_bytes(species.index(row["scientific_name"])))
    benchmark = open_benchmark("confounding", path, None, folder)
    encoder = PlantedEncoder([(name,) for name in species])
    [record] = run(benchmark, encoder, RunOptions(taxa=("headline",), protocol=PAPER, details=False))
    metrics = record["metrics"]
    return {"pair": metrics["top1"]["value"], "all": metrics["among_all_top1"]["value"]}


def render(published: Sequence[PublishedPair], others: np.ndarray, ours: Mapping[str, float]) -> str:
    """Both numbers and what the published scorer compared, as Markdown."""
    span = f"{others.min():.0%} to {others.max():.0%}, 100 % for {int((others == 1).sum()):,} of them"
    lines = [
        "**Confounding, a model that knows every species by name: top-1**",
        "",
        "| scorer | choice inside the pair | choice among all |",
        "|---|---|---|",
        f"| published | {headline(published):.1%} | - |",
        f"| ours | {ours['pair']:.1%} | {ours['all']:.1%} |",
        "",
        f"Published scorer on {len(others):,} other such models: mean {others.mean():.1%}, {span}.",
        "",
        "| pair | pictures shown by the published scorer | prompts compared | its top-1 |",
        "|---|---|---|---|",
    ]
    for one in published:
        cells = (" / ".join(one.pair), f"{one.num_rows} of {' / '.join(one.row_species)}", " / ".join(one.columns))
        lines.append(f"| {' | '.join(cells)} | {one.accuracy:.1%} |")
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    """Scores and prints."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.confounding_published", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--csv", type=Path, required=True, help="confounding_species.csv as published")
    parser.add_argument("--others", type=int, default=NUM_OTHERS, help="other models to score, at least 1")
    given = parser.parse_args(arguments)
    if given.others < 1:
        parser.error(f"--others {given.others}: at least 1 is needed")
    with tempfile.TemporaryDirectory() as folder:
        ours = score_ours(given.csv, Path(folder))
    print(render(score_planted(given.csv), score_others(given.csv, given.others), ours))
    return 0


if __name__ == "__main__":
    sys.exit(main())
