"""Which pictures the drawn set consists of, and the table that describes them."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

from sample.specimen_taxa import DRAWN_SPECIES, DrawnSpecies

COLUMNS = (
    "photo_id",
    "scientificName",
    "kingdom",
    "phylum",
    "class",
    "order",
    "family",
    "genus",
    "species",
    "common_name",
    "photo_url",
    "license",
    "attribution",
    "source",
    "observation_id",
)

# The picture of the set, by scientific name and number, that is stored in an odd form, to be normalised on download.
ODD_FORMS = {
    ("Quercus robur", 0): "png",
    ("Acer palmatum", 0): "webp",
    ("Bubo scandiacus", 0): "exif",
}


class SpecimenError(ValueError):
    """A request that cannot be met: an unfit folder or limit."""


@dataclass(frozen=True)
class Specimen:
    """One picture to draw: its place in the set, its species and its observation (numbered within the species)."""

    photo_id: int
    species: DrawnSpecies
    picture: int
    observation: int

    @property
    def form(self) -> str:
        """jpg, png (with alpha), webp or exif (a JPEG stored lying, with an orientation tag)."""
        return ODD_FORMS.get((self.species.scientific_name, self.picture), "jpg")

    @property
    def suffix(self) -> str:
        """The file name's ending without a dot."""
        return "jpg" if self.form == "exif" else self.form

    def row(self) -> dict[str, str]:
        """The line of photos.csv; an empty common_name is a null."""
        ranks = dict(zip(COLUMNS[2:8], self.species.lineage, strict=True))
        name = self.species.scientific_name
        return {
            "photo_id": str(self.photo_id),
            "scientificName": name,
            **ranks,
            "species": self.species.species,
            "common_name": self.species.common_name,
            "photo_url": f"/drawings/{self.photo_id}/medium.{self.suffix}",
            "license": "CC0-1.0",
            "attribution": "taxaflow drawing",
            "source": "drawings",
            "observation_id": f"drawn-{name.replace(' ', '-').lower()}-{self.observation}",
        }


def list_specimens(seed: int = 42, limit: int | None = None) -> list[Specimen]:
    """Every picture of the set, photo_id from 1; `limit` keeps at most that many pictures per species (None: all).

    Of ten observations about seven have one picture, two have two and one has three.

    Raises:
        SpecimenError: limit is below 1.
    """
    if limit is not None and limit < 1:
        raise SpecimenError(f"limit is {limit}; it must be 1 or more")
    specimens: list[Specimen] = []
    for species in DRAWN_SPECIES:
        count = species.num_pictures if limit is None else min(limit, species.num_pictures)
        observations = _observations(Random(f"{seed}/observations/{species.scientific_name}"))
        for picture in range(count):
            specimens.append(Specimen(len(specimens) + 1, species, picture, next(observations)))
    return specimens


def _observations(rng: Random) -> Iterator[int]:
    number = 0
    while True:
        number += 1
        for _ in range(rng.choices((1, 2, 3), (7, 2, 1))[0]):
            yield number


def csv_bytes(specimens: list[Specimen]) -> bytes:
    """The whole photos.csv, UTF-8, with a header line."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows([row[column] for column in COLUMNS] for row in (s.row() for s in specimens))
    return text.getvalue().encode()
