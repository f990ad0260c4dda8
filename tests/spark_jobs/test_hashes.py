"""The hashes of selection: published vectors, Spark's own, and the bounds of splits."""

import pytest

from tests.spark_jobs.spark_hash import spark_xxhash64, xxh64

SEEDS = (42, 0, -(2**63), 2**63 - 1)

# salt, seed, key -> hash, computed once without Spark.
FIXED = (
    ("cap", 42, 1, 291734997308656925),
    ("order", 42, 1, 3842397263222528958),
    ("split", 42, "1", -8879959050603556632),
    ("cap", -(2**63), 1, 3090525178061653651),
    ("order", 2**63 - 1, 1, -4194037099193113012),
)


def test_published_vectors_of_xxh64():
    assert xxh64(b"", 0) == 0xEF46DB3751D8E999
    assert xxh64(b"abc", 0) == 0x44BC2CF5AD770999
    assert xxh64(b"Nobody inspects the spammish repetition", 0) == 0xFBCEA83C8A378BF1


@pytest.mark.parametrize(("salt", "seed", "key", "expected"), FIXED)
def test_fixed_vectors_without_spark(salt, seed, key, expected):
    assert spark_xxhash64(salt, seed, key) == expected


@pytest.mark.spark
@pytest.mark.parametrize("seed", SEEDS)
def test_hashes_are_sparks_of_salt_seed_and_key(spark, seed):
    from spark_jobs import hashes

    keys = [(1, "1"), (-5, "4a3f-9c"), (2**63 - 1, "é" * 40), (-(2**63), ""), (268_633_382, "o" * 33)]
    rows = spark.createDataFrame(keys, "photo_id BIGINT, group_id STRING").select(
        "photo_id", "group_id", hashes.cap_hash(seed), hashes.split_hash(seed), hashes.order_hash(seed)
    )
    for photo_id, group_id, cap, split, order in rows.collect():
        assert cap == spark_xxhash64("cap", seed, photo_id)
        assert split == spark_xxhash64("split", seed, group_id)
        assert order == spark_xxhash64("order", seed, photo_id)


@pytest.mark.spark
def test_unsigned_fraction_reads_the_sign_bit_as_the_largest(spark):
    from spark_jobs.hashes import unsigned_fraction

    values = [0, 2**62, 2**63 - 1, -(2**63), -1, -(2**62)]
    rows = spark.createDataFrame([(value,) for value in values], "h BIGINT")
    found = [row[0] for row in rows.select(unsigned_fraction(rows.h)).collect()]
    assert found == [0.0, 0.25, 0.5 - 2**-53, 0.5, 1 - 2**-53, 0.75]


@pytest.mark.spark
def test_split_bounds(spark):
    from spark_jobs.hashes import split_column

    rows = spark.range(20_000).selectExpr("cast(id AS STRING) AS group_id")
    counts = dict(rows.groupBy(split_column(42, 0.2, 0.3).alias("split")).count().collect())
    expected = {"test": 0, "val": 0, "train": 0}
    for number in range(20_000):
        u = (spark_xxhash64("split", 42, str(number)) % 2**64) / 2**64
        expected["test" if u < 0.3 else "val" if u < 0.5 else "train"] += 1
    assert counts == expected
    assert spark.range(9).selectExpr("'g' AS group_id").select(split_column(1, 0, 0)).distinct().collect() == [
        ("train",)
    ]
