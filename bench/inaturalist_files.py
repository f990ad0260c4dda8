"""The four gzip tables of iNaturalist Open Data for each generated month, and what an ingest of them must find."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from bench.inaturalist_rows import NO_TAXON_ID, POSITION_OF, Month, Photos
from bench.inaturalist_taxa import NUM_IDS, grow_tree
from bench.inaturalist_truth import TruthRows, month_counts, photo_truth, tally_changes, tally_rows
from bench.scatter import Ints, below, salt_of
from bench.species_pool import load_pool
from bench.tsv import TsvWriter

HEADERS = {
    "photos": (
        *("photo_uuid", "photo_id", "observation_uuid", "observer_id"),
        *("extension", "license", "width", "height", "position"),
    ),
    "observations": (
        *("observation_uuid", "observer_id", "latitude", "longitude", "positional_accuracy"),
        *("taxon_id", "quality_grade", "observed_on", "anomaly_score"),
    ),
    "taxa": ("taxon_id", "ancestry", "rank_level", "rank", "name", "active"),
    "observers": ("observer_id", "login", "name"),
}
"""Source: iNaturalist Open Data, Metadata/structure.sql (2024-12)."""
NAMES = ("Ana Silva {}", 'Bob "Bug" Lee {}', "", 'lens 5" user {}', "O'Brien {}", '"open quote {}', "Zoë Müller {}")
BLOCK_PHOTOS = 200_000


@dataclass(frozen=True)
class INaturalistConfig:
    """One or more months of iNaturalist's tables."""

    out: Path
    photos: int
    species: int = 60_000
    seed: int = 42
    months: int = 1
    """1 writes into out; more write out/month1, out/month2, ... each a whole snapshot."""
    lineages: str = "auto"
    truth_rows: Path | None = None
    """Parquet with a row per row of photos.csv: month, id, kind, reason, license, names, ranks. None: no file."""

    def __post_init__(self) -> None:
        """Raises: ValueError where a number makes no sense."""
        if self.photos < 1:
            raise ValueError(f"--photos {self.photos}: at least 1 is needed")
        if not 1 <= self.months <= 24:
            raise ValueError(f"--months {self.months}: allowed are 1 to 24")


def write_inaturalist(config: INaturalistConfig) -> dict[str, object]:
    """Writes the months and returns the truth: counts per month, and what changed since the month before.

    Counts are of rows of photos.csv. `photos` are distinct accepted photo ids under `--quality research`;
    rows = photos + second_rows (by kind) + rejects. Changes count accepted photos.
    """
    tree = grow_tree(load_pool(config.species, config.seed, config.lineages), config.seed)
    months = [Month(tree, config.photos, config.seed, 1 + index, config.months) for index in range(config.months)]
    with TruthRows(config.truth_rows, tree) as record:
        counts = [_write_month(config, month, record) for month in months]
    return {"seed": config.seed, "species": config.species, "months": counts}


def _write_month(config: INaturalistConfig, month: Month, record: TruthRows) -> dict[str, object]:
    """Writes the four tables of one month and returns its counts."""
    folder = config.out if config.months == 1 else config.out / f"month{month.number}"
    folder.mkdir(parents=True, exist_ok=True)
    with TsvWriter(folder / "taxa.csv.gz", HEADERS["taxa"]) as taxa:
        taxa.write(month.tree.columns())
    _write_observers(folder, month)
    _write_observations(folder, month)
    return _write_photos(folder, month, record)


def _write_observers(folder: Path, month: Month) -> None:
    ids = range(1, month.num_observers + 1)
    columns = {
        "observer_id": pa.array([str(number) for number in ids]),
        "login": pa.array([f"user{number}" for number in ids]),
        "name": pa.array([observer_name(number) for number in ids]),
    }
    with TsvWriter(folder / "observers.csv.gz", HEADERS["observers"]) as file:
        file.write(columns)


def observer_name(observer_id: int) -> str:
    """The name of an observer; some are empty, some hold quotes that do not close."""
    return NAMES[observer_id % len(NAMES)].format(observer_id)


def _write_observations(folder: Path, month: Month) -> None:
    """All observations but the missing ones, then the second observations of doubled photos."""
    with TsvWriter(folder / "observations.csv.gz", HEADERS["observations"]) as file:
        for start in range(0, month.num_observations, BLOCK_PHOTOS):
            keys = np.arange(start, min(start + BLOCK_PHOTOS, month.num_observations))
            keys = keys[~month.missing(keys)]
            file.write(_observations(month, keys, month.taxa(keys), month.qualities(keys)))
        for start in range(0, month.num_slots, BLOCK_PHOTOS):
            photos = month.photos(start, min(start + BLOCK_PHOTOS, month.num_slots))
            slots = photos.slots[photos.is_companion]
            research = np.full(slots.size, "research", dtype=object)
            file.write(_observations(month, slots + (1 << 40), month.companion_taxa(slots), research))


def _observations(month: Month, keys: Ints, taxa: Ints, qualities: np.ndarray) -> dict[str, pa.Array]:
    seed = month.seed
    accuracy = below(keys, salt_of(seed, "accuracy"), 500)
    taxon_ids = np.where(taxa >= 0, month.tree.ids[taxa], NUM_IDS + 1)
    days = (15_000 + below(keys, salt_of(seed, "day"), 4_600)).astype(np.int32)
    return {
        "observation_uuid": month.own_uuids(keys),
        "observer_id": pa.array(month.observer_ids(keys)),
        "latitude": pa.array(below(keys, salt_of(seed, "latitude"), 1_700_000) / 10_000 - 85),
        "longitude": pa.array(below(keys, salt_of(seed, "longitude"), 3_600_000) / 10_000 - 180),
        "positional_accuracy": pa.array(accuracy, mask=accuracy < 50),
        "taxon_id": pa.array(taxon_ids, mask=taxa == NO_TAXON_ID),
        "quality_grade": pa.array(qualities, pa.string()),
        "observed_on": pa.array(days).cast(pa.date32()),
        "anomaly_score": pa.array(accuracy / 100),
    }


def _write_photos(folder: Path, month: Month, record: TruthRows) -> dict[str, object]:
    tally: Counter[str] = Counter()
    with TsvWriter(folder / "photos.csv.gz", HEADERS["photos"]) as file:
        for start in range(0, month.num_slots, BLOCK_PHOTOS):
            stop = min(start + BLOCK_PHOTOS, month.num_slots)
            photos = month.photos(start, stop)
            file.write(_photo_columns(month, photos))
            truth = photo_truth(month, photos)
            record.add(month, photos, truth)
            tally += tally_rows(photos, truth) + tally_changes(month, start, stop)
    return month_counts(month, tally)


def _photo_columns(month: Month, photos: Photos) -> dict[str, pa.Array]:
    slots = photos.slots
    keys = np.where(photos.is_companion, slots + (1 << 40), month.observation_of(slots))
    width = 400 + below(slots, salt_of(month.seed, "width"), 1649)
    return {
        "photo_uuid": month.photo_uuids(photos),
        "photo_id": pa.array(month.photo_ids(slots)),
        "observation_uuid": month.observation_uuids(photos),
        "observer_id": pa.array(month.observer_ids(keys)),
        "extension": pa.array(month.extensions(slots), pa.string()),
        "license": pa.array(month.licenses(slots), pa.string()),
        "width": pa.array(width),
        "height": pa.array(width * 3 // 4),
        "position": pa.array(np.where(photos.is_companion, 0, POSITION_OF[slots % 8])),
    }
