"""Selection equals its oracle whatever partitions and order, and a rerun changes nothing."""

import dataclasses
import random
from functools import partial

import pytest

from spark_jobs import table_io
from spark_jobs.tables import PHOTOS, RUNS, SELECTIONS, SHARD_PLAN, WITHDRAWALS
from taxonomy.errors import BadInputError
from tests.spark_jobs.selection_cases import (
    BIRD,
    SPIDER,
    Lists,
    expected_fates,
    photo,
    photo_frame,
    random_photos,
    some_config,
)

pytestmark = pytest.mark.spark

KEPT = ("train", "val", "test")


@pytest.fixture(scope="module")
def photos():
    return random_photos(2500, seed=3)


@pytest.fixture
def select(spark, tmp_path):
    return partial(_select, spark, tmp_path)


def _select(spark, folder, frame_or_rows, lists=None, **config):
    """The rows that the transform makes, as a set; checks that no photo has two."""
    from spark_jobs.exclusions import Exclusions
    from spark_jobs.select_photos import kept_frames, mark_photos, name_votes, taxon_rules, transform
    from spark_jobs.taxa import elect

    lists = lists or Lists()
    named = [(i, "benchmark_overlap") for i in lists.benchmark_photos]
    named += [(i, "heldout_species") for i in lists.heldout_photos]
    taxon_ids = [(i, "benchmark_overlap") for i in lists.benchmark_taxa]
    taxon_ids += [(i, "heldout_species") for i in lists.heldout_taxa]
    excluded = Exclusions(
        spark.createDataFrame(named, "photo_id BIGINT, reason STRING"),
        spark.createDataFrame(taxon_ids, "taxon_id BIGINT, reason STRING"),
    )
    withdrawn = spark.createDataFrame([(i,) for i in lists.withdrawn], "photo_id BIGINT")
    frame = photo_frame(spark, frame_or_rows) if isinstance(frame_or_rows, list) else frame_or_rows
    with kept_frames() as keep:
        config = some_config(folder, **config)
        marked = mark_photos(frame, withdrawn, excluded, config)
        votes = keep(name_votes(marked))
        rules = keep(taxon_rules(votes, elect(votes), excluded, config))
        selection = transform(marked, rules, config, keep)
        assert selection.columns == SELECTIONS.column_names
        rows = [tuple(row) for row in selection.collect()]
    assert len({row[1] for row in rows}) == len(rows)
    return set(rows)


def _some_lists(photos):
    rng = random.Random(9)
    ids = [row["photo_id"] for row in photos]
    taxon_ids = sorted({row["taxon_id"] for row in photos})
    return Lists(
        withdrawn=rng.sample(ids, 50),
        benchmark_photos=[*rng.sample(ids, 80), 5, 6],
        benchmark_taxa=rng.sample(taxon_ids, 2),
        heldout_photos=rng.sample(ids, 80),
        heldout_taxa=[*rng.sample(taxon_ids, 3), 123],
    )


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"licenses": ("cc0", "CC-by"), "categories": ("Plantae", "Reptilia", "Aves")},
        {"min_photos": 20, "max_photos": 20, "seed": -(2**63)},
        {"min_photos": 1, "max_photos": 1, "seed": 2**63 - 1, "val": 0.0, "test": 0.0},
        {"categories": ("other",), "min_photos": 1, "max_photos": 10**12, "test": 0.5, "val": 0.4999},
    ],
)
def test_every_fate_is_that_of_the_oracle(select, photos, tmp_path, config):
    lists = _some_lists(photos)
    found = select(photos, lists, **config)
    assert found == expected_fates(photos, some_config(tmp_path, **config), lists)


def test_the_cases_have_every_reason_and_split(photos, tmp_path):
    outcomes = expected_fates(photos, some_config(tmp_path, licenses=("cc0", "CC-BY")), _some_lists(photos))
    reasons = {row[3] for row in outcomes}
    assert len(reasons) == 9 and {row[2] for row in outcomes} == {*KEPT, "excluded"}


def test_partitions_and_row_order_change_nothing(select, spark, photos, tmp_path):
    shuffled = random.Random(5).sample(photos, len(photos))
    expected = expected_fates(photos, some_config(tmp_path), _some_lists(photos))  # as of the photos as they are
    assert select(photo_frame(spark, photos).repartition(2, "photo_url"), _some_lists(photos)) == expected
    assert select(photo_frame(spark, shuffled).repartition(50), _some_lists(photos)) == expected


@pytest.fixture(scope="module")
def selected(spark, photos, tmp_path_factory):
    """What becomes of the photos without lists and with a cap of 60."""
    return frozenset(_select(spark, tmp_path_factory.mktemp("selected"), photos, max_photos=60))


def test_a_smaller_cap_keeps_a_subset_in_the_same_splits(select, photos, selected):
    smaller, larger = _kept(selected), _kept(select(photos, max_photos=100))
    assert smaller.items() < larger.items()


def test_more_photos_change_no_split_and_only_thresholds_move_photos(select, photos, selected):
    more = photos + [{**row, "photo_id": row["photo_id"] + 2 * 10**9} for row in photos[:125]]
    before, after = selected, select(more, max_photos=60)
    splits_before, splits_after = _kept(before), _kept(after)
    both = splits_before.keys() & splits_after.keys()
    assert len(both) > 500
    assert {i: splits_before[i] for i in both} == {i: splits_after[i] for i in both}
    after_reason = {row[1]: row[3] for row in after}
    left = {after_reason[i] for i in splits_before.keys() - both}
    assert left == {"over_cap"}
    before_reason = {row[1]: row[3] for row in before}
    assert {before_reason.get(i, "new") for i in splits_after.keys() - both} <= {"rare_species", "new"}


def test_a_capped_species_is_spread_over_splits_and_order(select, spark):
    """One hash for cap, split and order would put every kept photo into the test split."""
    number, cap = 200_000, 2_000
    one = photo_frame(spark, [photo(0, BIRD)]).drop("photo_id", "group_id")
    many = spark.range(number).selectExpr("id AS photo_id", "cast(id AS STRING) AS group_id").crossJoin(one)
    rows = select(many, min_photos=30, max_photos=cap, test=0.05, val=0.01)
    kept = [row for row in rows if row[2] in KEPT]
    assert len(kept) == cap
    num_test = sum(row[2] == "test" for row in kept)
    assert abs(num_test - 0.05 * cap) <= 4 * (cap * 0.05 * 0.95) ** 0.5
    tenths = [0] * 10
    for row in kept:
        tenths[(row[5] + 2**63) * 10 // 2**64] += 1
    assert all(abs(count - cap / 10) <= 4 * (cap * 0.1 * 0.9) ** 0.5 for count in tenths)
    train = sorted(row[5] for row in kept if row[2] == "train")
    assert train[0] < -(2**63) * 0.98 and train[-1] > 2**63 * 0.98


def test_photos_of_one_observation_share_their_split(select):
    rows = [photo(number, BIRD, group_id=f"observation {number // 4}") for number in range(2000)]
    kept = _kept(select(rows, max_photos=1500))
    splits: dict[int, set[str]] = {}
    for photo_id, split in kept.items():
        splits.setdefault(photo_id // 4, set()).add(split)
    assert all(len(sides) == 1 for sides in splits.values())
    assert set().union(*splits.values()) == set(KEPT)


def _kept(rows):
    return {row[1]: row[2] for row in rows if row[2] != "excluded"}


# The whole job, on a root.


def _versions(root):
    return table_io.version(root, SELECTIONS)


def _run(spark, root, **config):
    from spark_jobs.select_photos import run

    return run(spark, some_config(root, **config))


def _stored(root):
    return {tuple(row.values()) for row in table_io.read_arrow(root, SELECTIONS).to_pylist()}


def test_run_writes_the_rows_once_and_records_itself(spark, root, photos):
    table_io.append_rows(root, PHOTOS, photos)
    summary = _run(spark, root, min_photos=25)
    expected = expected_fates(photos, some_config(root, min_photos=25), Lists())
    assert _stored(root) == expected
    assert summary.changed and summary.counts["photos"] == len(photos)
    for name in (*KEPT, "withdrawn", "out_of_category", "rare_species", "over_cap", "above_species_rank"):
        assert summary.counts[name] == sum(name in (row[2], row[3]) for row in expected) > 0
    assert list(summary.counts)[:4] == ["photos", *KEPT]
    assert sum(summary.counts[name] for name in list(summary.counts)[1:-1]) == len(photos)
    assert summary.counts["kept_species"] == len({row[4] for row in expected if row[2] != "excluded"})
    version = _versions(root)
    again = _run(spark, root, min_photos=25)
    assert not again.changed and again.counts == summary.counts and _versions(root) == version
    (first, second) = table_io.read_arrow(root, RUNS).sort_by("started_at").to_pylist()
    assert first["job"] == "select" and '"selections": ' in second["output_versions"]


def test_run_replaces_only_its_dataset_in_one_commit(spark, root, photos):
    table_io.append_rows(root, PHOTOS, photos)
    _run(spark, root, dataset="a")
    _run(spark, root, dataset="b.c-d")
    version = _versions(root)
    assert _run(spark, root, dataset="a", max_photos=30).changed
    assert _versions(root) == version + 1
    wanted = [some_config(root, dataset="a", max_photos=30), some_config(root, dataset="b.c-d")]
    assert _stored(root) == set().union(*(expected_fates(photos, config, Lists()) for config in wanted))


def test_a_small_change_of_the_input_is_seen(spark, root):
    """One more photo, then one that is gone, then a withdrawal."""
    rows = [photo(number) for number in range(30)]
    table_io.append_rows(root, PHOTOS, rows)
    _run(spark, root)
    first = _versions(root)

    rows.append(photo(31))
    table_io.append_rows(root, PHOTOS, rows[-1:])
    assert _run(spark, root).changed and _versions(root) == first + 1
    assert _stored(root) == expected_fates(rows, some_config(root), Lists())

    rows[7]["gone_snapshot"] = "2026-11"
    table_io.overwrite(root, PHOTOS, photo_frame(spark, rows))
    assert _run(spark, root).changed and _versions(root) == first + 2
    assert _stored(root) == expected_fates(rows, some_config(root), Lists())

    table_io.append_rows(root, WITHDRAWALS, [{"photo_id": 8, "reason": "asked", "since": None}])
    assert _run(spark, root).changed and _versions(root) == first + 3
    assert _stored(root) == expected_fates(rows, some_config(root), Lists(withdrawn=(8,)))


def test_no_photo_and_one_photo(spark, root):
    table_io.create(root, PHOTOS)
    summary = _run(spark, root)
    assert not summary.changed and set(summary.counts.values()) == {0} and _versions(root) in (0, 1)
    row = photo(-(2**63), SPIDER)
    table_io.append_rows(root, PHOTOS, [row])
    summary = _run(spark, root, min_photos=1, max_photos=1)
    assert summary.changed and summary.counts["photos"] == summary.counts["kept_species"] == 1
    assert _stored(root) == expected_fates([row], some_config(root, min_photos=1, max_photos=1), Lists())
    table_io.overwrite(root, PHOTOS, photo_frame(spark, []))
    assert _run(spark, root).changed and _stored(root) == set()


def test_lists_are_read_from_files(spark, root, photos):
    table_io.append_rows(root, PHOTOS, photos)
    benchmark, heldout = root / "benchmark.csv", root / "heldout.csv"
    ids = [row["photo_id"] for row in photos[:300]]
    benchmark.write_text("photo_id,note\n" + "".join(f"{i},x\n" for i in [*ids, ""]))
    heldout.write_text("kingdom,genus,species\nanimalia,TURDUS,epithet4\nPlantae,Quercus,\n")
    summary = _run(spark, root, exclude_photos=benchmark, heldout_species=heldout)
    taxon_id = photo(1, (*BIRD[:6], "epithet4"))["taxon_id"]
    lists = Lists(benchmark_photos=set(ids), heldout_taxa=[taxon_id])
    expected = expected_fates(photos, some_config(root), lists)
    assert {"benchmark_overlap", "heldout_species"} <= {row[3] for row in expected}
    assert _stored(root) == expected
    assert [note for note in summary.notes if "nothing" in note] == [
        "--exclude-photos: 1 rows name nothing",
        "--heldout-species: 1 rows name nothing",
    ]


def _plan_row(dataset):
    row = photo(1)
    values = {"dataset": dataset, "split": "train", "shard_id": 0, "position": 0}
    return {**row, **values, "rendition": "original", "layout": "taxaflow"}


def test_a_planned_dataset_keeps_its_splits(spark, root):
    from spark_jobs.select_photos import check

    table_io.append_rows(root, PHOTOS, [photo(number) for number in range(30)])
    _run(spark, root, seed=5)
    _run(spark, root, seed=42)
    _run(spark, root, dataset="other", seed=6)
    changes = ({"seed": 7}, {"val": 0.2}, {"test": 0.05})
    for change in changes:
        check(some_config(root, **change))
    names = [column.name for column in SHARD_PLAN.columns]
    table_io.append_rows(root, SHARD_PLAN, [{name: _plan_row("d")[name] for name in names}])
    before = _stored(root)
    for change in changes:
        (flag,) = change
        with pytest.raises(BadInputError, match=f"--{flag}.*--dataset NEW") as caught:
            _run(spark, root, **change)
        assert caught.value.exit_code == 2
        check(some_config(root, dataset="other", **change))
    assert _stored(root) == before
    assert _run(spark, root, max_photos=15).changed


def test_check_refuses_what_cannot_work(root):
    from spark_jobs.select_photos import check

    with pytest.raises(BadInputError, match="no table photos"):
        check(some_config(root))
    assert not (root / "tables" / "selections").exists()
    table_io.create(root, PHOTOS)
    check(some_config(root))
    (root / "file").write_text("photo\n1\n")
    with pytest.raises(BadInputError, match=r"--export .*is a file"):
        check(some_config(root, export=root / "file"))
    with pytest.raises(BadInputError, match=r"--exclude-photos .*needs a column photo_id"):
        check(dataclasses.replace(some_config(root), exclude_photos=root / "file"))
