"""How a benchmark's CSV is to be read: which column holds the picture, which the labels of every level.

The published files and the copies in circulation differ in their column names, so that every column has candidates,
the first one that a file has being used.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from evaluation.benchmarks.benchmark import COMMON_NAME, LABEL, SCIENTIFIC_NAME

Columns = tuple[str, ...]
"""Candidates for one column, in order of preference."""

PATHS: Columns = ("path", "filepath", "filepaths", "file_path", "image_path", "Filename", "filename", "file_name")
"""Columns that hold a picture's path."""

PHOTO_IDS: Columns = ("photo_id",)
URLS: Columns = ("photo_url", "url")
"""Columns of files that name photos by id and address, as the published ones on the hub do."""

RANK_LEVELS: Mapping[str, Columns] = {
    "kingdom": ("kingdom",),
    "phylum": ("phylum",),
    "class": ("class",),
    "order": ("order",),
    "family": ("family",),
    "genus": ("genus",),
    "species": ("species",),
}
SCIENTIFIC_NAMES: Columns = ("scientific_name", "scientificName")
COMMON_NAMES: Columns = ("common_name", "commonName")

TAXON_LEVELS: Mapping[str, Columns] = {
    **RANK_LEVELS,
    SCIENTIFIC_NAME: SCIENTIFIC_NAMES,
    COMMON_NAME: COMMON_NAMES,
}
"""The nine levels of benchmarks with a taxonomy, under the published names of their columns."""


@dataclass(frozen=True)
class CsvBenchmark:
    """A published benchmark.

    Attributes:
        name: in the registry and in results.
        title: as people call it.
        csv_names: published names of its file, in order of preference.
        levels: level -> columns.
        headline: the level of the published figures.
        log_name: prefix of its keys in results.jsonl and wandb.
        lineage: rank -> columns, where the file has a taxonomy.
        scientific_names: columns with the scientific name of a row whose level is only a label.
        common_names: columns with the common name of a row.
        is_label_scientific: the label is a scientific name, perhaps with its author.
        pairs: columns of the pair that a row's choice is within; Confounding alone.
        shares_pictures: rows with different paths may mean one file.
    """

    name: str
    title: str
    csv_names: tuple[str, ...]
    levels: Mapping[str, Columns]
    headline: str
    log_name: str
    lineage: Mapping[str, Columns] = field(default_factory=dict)
    scientific_names: Columns = ()
    common_names: Columns = ()
    is_label_scientific: bool = False
    pairs: Columns = ()
    shares_pictures: bool = False


def label_only(*columns: str) -> Mapping[str, Columns]:
    """Levels of a benchmark whose rows carry one label, under these candidate columns."""
    return {LABEL: columns}
