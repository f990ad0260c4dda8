"""The cut-off of species over the cap is exact, however hashes are spread."""

import random

import pytest

from tests.spark_jobs.spark_hash import spark_xxhash64

pytestmark = pytest.mark.spark


SIZES = (1, 5, 6, 7, 40, 300, 2000)


@pytest.fixture(scope="module")
def hashes():
    """Species -> the hashes of its photos."""
    rng = random.Random(1)
    sizes = [1, 5, 6, 7, 40, 300, 2000]
    return {
        species: [spark_xxhash64("cap", 42, rng.getrandbits(40)) for _ in range(n)] for species, n in enumerate(sizes)
    }


def _cut_offs(spark, hashes, cap, **options):
    from spark_jobs.species_cap import cut_offs

    kept = []

    def keep(frame):
        kept.append(frame)
        return frame

    rows = [(species, value) for species, values in hashes.items() for value in values]
    frame = spark.createDataFrame(rows, "taxon_id BIGINT, cap_hash BIGINT")
    counts = frame.groupBy("taxon_id").count().withColumnRenamed("count", "num_photos")
    found = {row["taxon_id"]: row["cut_hash"] for row in cut_offs(frame, counts, cap, keep, **options).collect()}
    return found, {row["taxon_id"]: row["cut_hash"] for row in kept[0].collect()}


@pytest.mark.parametrize("cap", [1, 6, 250, 2000, 2**60])
def test_cut_off_is_the_kth_smallest_hash_of_species_over_the_cap(spark, hashes, cap):
    found, in_bands = _cut_offs(spark, hashes, cap)
    assert found == {s: sorted(values)[cap - 1] for s, values in hashes.items() if len(values) > cap}
    assert in_bands == found


@pytest.mark.parametrize("cap", [1, 6, 250])
def test_species_that_their_band_misses_are_exact_too(spark, hashes, cap):
    found, in_bands = _cut_offs(spark, hashes, cap, num_sigmas=0.0)
    assert found == {s: sorted(values)[cap - 1] for s, values in hashes.items() if len(values) > cap}
    assert in_bands == {}


def test_hashes_that_are_not_spread_evenly_are_exact_too(spark):
    low = {1: list(range(-(2**63), -(2**63) + 3000)), 2: list(range(2**63 - 3000, 2**63))}
    found, _ = _cut_offs(spark, low, 10)
    assert found == {1: -(2**63) + 9, 2: 2**63 - 2991}
