"""The exact cap: for every species over it, the hash of the last photo that stays.

A window over whole rows would shuffle every photo. Here one count per species tells which are over the cap; of those,
a narrow band of hashes must hold the cut-off, and only the hashes in that band travel.
The number of hashes below a bound is close to Poisson; a band ends where the cut-off would be `num_sigmas` standard
deviations away, so that about one species in 10^8 has its cut-off outside. Such species are done without a band.
"""

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

Keep = Callable[["DataFrame"], "DataFrame"]
"""Called on small frames that are used more than once; may store them. It must return the same rows."""

_HASH_VALUES = 2.0**64
_LEAST_HASH, _GREATEST_HASH = -(2**63), 2**63 - 1
_MOST_PHOTOS = 2**31 - 1
"""No species has more photos, and no Spark array more elements; a larger cap is this one."""


def cut_offs(
    hashes: "DataFrame", counts: "DataFrame", max_photos: int, keep: Keep, num_sigmas: float = 6.0
) -> "DataFrame":
    """taxon_id and cut_hash, the `max_photos`-th smallest cap hash, for each species with more photos than that.

    Args:
        hashes: taxon_id and cap_hash (BIGINT, spread evenly, no two of a species equal), one row per photo.
        counts: taxon_id and num_photos, the number of its rows in `hashes`.
        max_photos: photos to keep of a species, at least 1.
        keep: stores the cut-offs that the bands gave.
        num_sigmas: half the width of the bands.
    """
    max_photos = min(max_photos, _MOST_PHOTOS)
    bands = _bands(counts.filter(F.col("num_photos") > max_photos), max_photos, num_sigmas)
    found = keep(_cut_offs_in_bands(hashes, bands, max_photos))
    missed = bands.select("taxon_id").join(found, "taxon_id", "left_anti")
    return found.unionByName(_cut_offs_of_all(hashes, missed, max_photos))


def _bands(over_cap: "DataFrame", max_photos: int, num_sigmas: float) -> "DataFrame":
    """taxon_id, low_hash and high_hash: where the cut-off lies, both ends inclusive."""
    # Solves x - s sqrt(x) = k and x + s sqrt(x) = k for x, the expected number of hashes below an end of the band.
    middle = num_sigmas**2 / 2 + max_photos
    half_width = num_sigmas * math.sqrt(num_sigmas**2 / 4 + max_photos)
    return over_cap.select(
        "taxon_id",
        _hash_at(F.lit(middle - half_width) / F.col("num_photos")).alias("low_hash"),
        _hash_at(F.lit(middle + half_width) / F.col("num_photos")).alias("high_hash"),
    )


def _hash_at(fraction: "Column") -> "Column":
    """The BIGINT below which that fraction of evenly spread hashes lies."""
    inside = ((fraction - 0.5) * _HASH_VALUES).cast("bigint")
    return (
        F.when(fraction <= 0, F.lit(_LEAST_HASH))
        .when(fraction >= 1, F.lit(_GREATEST_HASH))
        .otherwise(inside)
        .cast("bigint")
    )


def _cut_offs_in_bands(hashes: "DataFrame", bands: "DataFrame", max_photos: int) -> "DataFrame":
    """The cut-offs that lie in their species' band; a species whose cut-off does not is missing."""
    cap_hash, low_hash = F.col("cap_hash"), F.col("low_hash")
    per_species = (
        hashes.join(F.broadcast(bands), "taxon_id", "inner")
        .filter(cap_hash <= F.col("high_hash"))
        .groupBy("taxon_id")
        .agg(
            F.count_if(cap_hash < low_hash).alias("num_below"),
            F.sort_array(F.collect_list(F.when(cap_hash >= low_hash, cap_hash))).alias("candidates"),
        )
    )
    place = (F.lit(max_photos) - F.col("num_below")).cast("int")
    cut_hash = F.when(place >= 1, F.try_element_at("candidates", place))
    return per_species.select("taxon_id", cut_hash.alias("cut_hash")).filter(F.col("cut_hash").isNotNull())


def _cut_offs_of_all(hashes: "DataFrame", species: "DataFrame", max_photos: int) -> "DataFrame":
    """The cut-offs of the species named, from all of their hashes."""
    all_hashes = F.sort_array(F.collect_list("cap_hash"))
    return (
        hashes.join(F.broadcast(species), "taxon_id", "left_semi")
        .groupBy("taxon_id")
        .agg(F.element_at(all_hashes, max_photos).alias("cut_hash"))
    )
