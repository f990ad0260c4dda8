"""The benchmarks' CSVs as the test of planted models reads them, by the csv module alone, and their stand-in pictures.

Deliberately apart from evaluation/benchmarks: columns are named here once more, so that a mistake there shows.
"""

import csv
import os
import unicodedata
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from bench.planted_model import NULL, PlantedEncoder, picture_bytes
from taxonomy.ranks import RANKS

PROJECT = Path(__file__).resolve().parents[2]
FIXTURES = PROJECT / "tests" / "fixtures" / "benchmarks"
SHARED = Path(os.environ.get("TAXAFLOW_SHARED", PROJECT.parent / "shared")) / "data" / "benchmarks"
CORRECTIONS = PROJECT / "evaluation" / "benchmarks" / "corrections.csv"

NINE = {level: level for level in (*RANKS, "scientific_name", "common_name")}


@dataclass(frozen=True)
class Layout:
    """What the CSV of a benchmark looks like.

    Attributes:
        name: of the registry.
        file: of the CSV.
        levels: level -> column.
        path: column of the pictures; "photo_id" where it has URLs.
        headline: level of the published figures.
        is_published: the real one is among the shared data.
        rows_of_class: rows of each class that are enough for the everyday test; None for all.
    """

    name: str
    file: str
    levels: Mapping[str, str]
    path: str = "path"
    headline: str = "label"
    is_published: bool = True
    rows_of_class: int | None = None


LAYOUTS = (
    Layout("biotrove_balanced", "arboretum_test_metadata.csv", NINE, headline="scientific_name", is_published=False),
    Layout(
        "biotrove_balanced",
        "BioTrove-Balanced.csv",
        NINE | {"scientific_name": "scientificName"},
        path="photo_id",
        headline="scientific_name",
        is_published=False,
    ),
    Layout(
        "biotrove_unseen",
        "arboretum_rare_combined_metadata.csv",
        NINE,
        headline="scientific_name",
        rows_of_class=4,
    ),
    Layout(
        "bioclip_rare",
        "bioclip_rare_metadata_n.csv",
        NINE | {"class": "cls"},
        headline="scientific_name",
        rows_of_class=3,
    ),
    Layout(
        "biotrove_lifestages",
        "final_lifestages_metadata.csv",
        {"label": "class_out", "species": "scientificName", "stage": "life_stages"},
    ),
    Layout("birds525", "birds.csv", {"label": "labels"}, path="filepaths", is_published=False),
    Layout("confounding", "confounding_species.csv", {"label": "scientific_name"}),
    Layout("deepweeds", "deepweeds_metadata.csv", {"label": "Species"}, rows_of_class=40),
    Layout("fungi", "fungi_metadata_n.csv", {"label": "class"}),
    Layout("insects2", "ins2_metadata_n.csv", {"label": "class"}, rows_of_class=10),
)


@dataclass(frozen=True)
class PlantedRows:
    """A benchmark's rows with stand-in pictures.

    Attributes:
        layout: of the CSV.
        csv: the file, with all rows or some of each class.
        images_root: where its pictures lie.
        rows: as read.
        number_R: what the picture of each row shows.
    """

    layout: Layout
    csv: Path
    images_root: Path
    rows: list[dict[str, str]]
    number_R: list[int]
    corrections: Mapping[tuple[str, str], str] = field(default_factory=dict)

    def labels(self, level: str, class_list: str = "published") -> list[str | None]:
        """Per row its label at a level or, as `rollup_<rank>`, its name at a rank; None where it has no class."""
        if level.startswith("rollup_"):
            return [self._name(row, level.removeprefix("rollup_"), class_list) for row in self.rows]
        if class_list == "published":
            return [row[self.layout.levels[level]] or NULL for row in self.rows]
        if level in RANKS:
            return [self._name(row, level, class_list) for row in self.rows]
        return [self._corrected(row[self.layout.levels[level]], level) for row in self.rows]

    def _name(self, row: Mapping[str, str], rank: str, class_list: str) -> str | None:
        """Of a row at a rank; at that of species the genus comes before the epithet, once if the epithet repeats it."""
        if rank != "species":
            return self._at(row, rank, class_list) or None
        genus, epithet = (self._at(row, one, class_list) for one in ("genus", "species"))
        return f"{genus} {epithet.removeprefix(genus + ' ')}" if genus and epithet else None

    def _at(self, row: Mapping[str, str], rank: str, class_list: str) -> str:
        text = row["cls"] if rank == "class" and "cls" in row else row[rank]
        return (self._corrected(text, rank) or "") if class_list == "fixed" else text

    def _corrected(self, text: str, level: str) -> str | None:
        return self.corrections.get((level, text), self.corrections.get(("*", text), text)) or None

    def encoder(self, class_list: str = "published", swapped: tuple[str, str] | None = None) -> PlantedEncoder:
        """One that knows every label of the class list."""
        columns = [self.labels(level, class_list) for level in self.layout.levels]
        of_number = dict(zip(self.number_R, zip(*columns, strict=True), strict=True))
        tuples = [tuple(label for label in of_number[number] if label) for number in range(len(of_number))]
        return PlantedEncoder([one or (NULL,) for one in tuples], swapped)


def plant(layout: Layout, source: Path, folder: Path, rows_of_class: int | None = None) -> PlantedRows:
    """Rows of a CSV, with pictures below the folder; at most so many rows of each class."""
    with source.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file)
        columns, rows = list(reader.fieldnames or ()), list(reader)
    rows = [{name: unicodedata.normalize("NFC", text) for name, text in row.items()} for row in rows]
    if rows_of_class is not None:
        seen: Counter[str] = Counter()
        rows = [row for row in rows if _count(seen, row[layout.levels[layout.headline]]) <= rows_of_class]
    path = folder / "csv" / layout.file
    path.parent.mkdir(parents=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(rows)
    kinds: dict[tuple[str, ...], int] = {}
    number_R = [kinds.setdefault(_kind(row, layout), len(kinds)) for row in rows]
    draw(rows, number_R, layout, folder / "images")
    return PlantedRows(layout, path, folder / "images", rows, number_R, _corrections(layout.name))


def _count(seen: Counter[str], name: str) -> int:
    seen[name] += 1
    return seen[name]


def _kind(row: Mapping[str, str], layout: Layout) -> tuple[str, ...]:
    """Rows of one kind have the same labels at every level, in both class lists."""
    columns = sorted({*layout.levels.values(), *row.keys() & {"genus", "species"}})
    return tuple(row[column] for column in columns)


def draw(rows: list[dict[str, str]], number_R: list[int], layout: Layout, root: Path) -> None:
    """A picture for every row, one file per number: the others are links to it."""
    firsts: dict[int, Path] = {}
    for row, number in zip(rows, number_R, strict=True):
        name = f"{row['photo_id']}.jpg" if layout.path == "photo_id" else row[layout.path].lstrip("/")
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if number in firsts:
            path.hardlink_to(firsts[number])
        else:
            path.write_bytes(picture_bytes(number))
            firsts[number] = path


def _corrections(name: str) -> dict[tuple[str, str], str]:
    with CORRECTIONS.open(encoding="utf-8", newline="") as file:
        return {(row["level"], row["old"]): row["new"] for row in csv.DictReader(file) if row["benchmark"] == name}


def chance(labels: list[str | None]) -> tuple[float, float]:
    """Expected accuracy over the labelled rows, and its standard error, where pictures are dealt to rows blindly.

    A row is right if its picture is another one of its own class: sum p_k^2. The error is that of a random permutation
    of the rows. Source: Hoeffding 1951, Ann. Math. Stat. 22, theorem 2.
    """
    names, count_K = np.unique([label or "" for label in labels], return_counts=True)
    share_K = count_K / len(labels)
    same_KK = np.diag((names != "").astype(float))
    row_K = same_KK @ share_K
    rest_KK = same_KK - row_K[:, None] - row_K + row_K @ share_K
    variance = count_K @ rest_KK**2 @ count_K / (len(labels) - 1)
    num_labelled = sum(label is not None for label in labels)
    return float(row_K @ count_K / num_labelled), float(np.sqrt(variance) / num_labelled)
