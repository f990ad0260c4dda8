"""What a model card says of the dataset that the model learnt from."""

from collections.abc import Mapping
from dataclasses import dataclass

TRAIN = "train"
"""The split that models learn from."""


@dataclass(frozen=True)
class LicenceCount:
    """Pictures under one licence, as their records spell it; None for those without.

    Attributes:
        licence: as recorded.
        pictures: split -> pictures.
        without_attribution: of all splits, pictures that name no one.
    """

    licence: str | None
    pictures: Mapping[str, int]
    without_attribution: int = 0

    @property
    def total(self) -> int:
        """Of all splits."""
        return sum(self.pictures.values())


@dataclass(frozen=True)
class SplitRecord:
    """One split of a dataset.

    Attributes:
        name: train, val or test.
        num_pictures: by the manifest.
        num_species: distinct species; None where the shards were not read.
        num_taxa: distinct taxa, species or not; None likewise.
        shards_sha256: of its shards' sha256s, one a line.
        shards: file -> sha256, in the manifest's order.
    """

    name: str
    num_pictures: int
    num_species: int | None
    num_taxa: int | None
    shards_sha256: str
    shards: Mapping[str, str]


@dataclass(frozen=True)
class DataRecord:
    """The dataset that the model learnt from.

    Attributes:
        dataset: its name.
        rendition, layout: of its pictures and tars.
        tables: table -> version that it was made from.
        manifest_sha256: of the manifest.
        is_trained_on: True where the run's checkpoint names exactly these shards, None where it names none.
        splits: as in the manifest.
        licences: most frequent first; None where the shards were not read.
    """

    dataset: str
    rendition: str
    layout: str
    tables: Mapping[str, int]
    manifest_sha256: str
    is_trained_on: bool | None
    splits: tuple[SplitRecord, ...]
    licences: tuple[LicenceCount, ...] | None
