"""The driver's half of a download: plan, commit, top-up, growth, refusals. Real Spark, Delta, HTTP and files."""

import dataclasses
import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from sample.photo_server import PhotoServer
from spark_jobs import download_images, table_io
from spark_jobs.commit_shards import ShardStore
from spark_jobs.config import DownloadConfig
from spark_jobs.tables import DOWNLOADS, PHOTOS, SELECTIONS, SHARD_PLAN, SHARDS
from taxonomy.errors import BadInputError, WorkFailedError
from tests import small_disk as disks
from tests.fault_server import FaultServer, first, ok, status
from tests.picture_bodies import jpeg
from tests.spark_jobs.small_root import (
    files_and_rows_agree,
    make_pictures,
    make_tables,
    photo_row,
    selection_row,
    stored_pictures,
)

pytestmark = pytest.mark.spark
NUM_PHOTOS = 60


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PhotoServer]:
    folder = make_pictures(tmp_path_factory.mktemp("pictures"), range(1, 2 * NUM_PHOTOS + 1))
    with PhotoServer({"photos": folder}) as running:
        yield running


def config_for(root: Path, base_url: str | None, **changes: object) -> DownloadConfig:
    settings: dict[str, object] = {"samples_per_shard": 10, "max_per_host": 4, "tries": 2} | changes
    return DownloadConfig(root=root, dataset="birds", base_url=base_url, **settings)  # pyright: ignore


@pytest.fixture(scope="module")
def finished(spark, server, tmp_path_factory):
    """A root whose download has run once: shared by the tests that only look at it."""
    root = tmp_path_factory.mktemp("finished")
    make_tables(root, range(1, NUM_PHOTOS + 1))
    summary = download_images.run(spark, config_for(root, server.base_url))
    return root, summary


def test_every_wanted_photo_is_stored_once(finished):
    root, summary = finished
    assert set(stored_pictures(root)) == set(range(1, NUM_PHOTOS + 1))
    files_and_rows_agree(root)
    assert summary.counts["ok"] == NUM_PHOTOS
    assert summary.counts["photos_planned"] == NUM_PHOTOS


def test_shards_are_full_and_in_the_order_of_the_hash(finished):
    root, _ = finished
    plan = table_io.read_arrow(root, SHARD_PLAN).to_pylist()
    for split in ("train", "val", "test"):
        rows = sorted((r for r in plan if r["split"] == split), key=lambda r: (r["shard_id"], r["position"]))
        assert [r["shard_id"] * 10 + r["position"] for r in rows] == list(range(len(rows)))
        hashes = [selection_row(r["photo_id"])["order_hash"] for r in rows]
        assert hashes == sorted(hashes)  # pyright: ignore


def test_manifest_lists_what_the_shards_table_lists(finished):
    root, _ = finished
    folder = root / "shards" / "birds"
    manifest = json.loads((folder / "manifest.json").read_text())
    rows = table_io.read_arrow(root, SHARDS).to_pylist()
    listed = {s["file"]: s["num_samples"] for shards in manifest["splits"].values() for s in shards}
    assert listed == {f"{row['split']}/{row['shard_file']}": row["num_samples"] for row in rows}
    assert [p.read_bytes() for p in (folder / "manifests").iterdir()] == [(folder / "manifest.json").read_bytes()]
    sizes = json.loads((folder / "train" / "sizes.json").read_text())
    assert sizes == {row["shard_file"]: row["num_samples"] for row in rows if row["split"] == "train"}


def test_offsets_in_the_ledger_point_at_the_pictures(finished):
    root, _ = finished
    for row in table_io.read_arrow(root, DOWNLOADS).to_pylist():
        split = row["shard_file"].split("-")[1]
        tar = (root / "shards" / "birds" / split / row["shard_file"]).read_bytes()
        assert tar[row["offset"] : row["offset"] + row["num_bytes"]] == jpeg(row["photo_id"], 48, 32)


def test_second_run_asks_for_nothing_and_changes_nothing(spark, finished, server):
    root, _ = finished
    versions = table_io.versions(root, (SHARD_PLAN, SHARDS, DOWNLOADS))
    files = {p: p.stat().st_mtime_ns for p in (root / "shards").rglob("*") if p.is_file()}
    requests = server.num_requests
    summary = download_images.run(spark, config_for(root, server.base_url))
    assert not summary.changed
    assert server.num_requests == requests
    assert table_io.versions(root, (SHARD_PLAN, SHARDS, DOWNLOADS)) == versions
    assert {p: p.stat().st_mtime_ns for p in (root / "shards").rglob("*") if p.is_file()} == files


def test_two_clean_runs_give_the_same_tars(spark, finished, server, root):
    other, _ = finished
    make_tables(root, range(1, NUM_PHOTOS + 1))
    download_images.run(spark, config_for(root, server.base_url))

    def tars(folder: Path) -> set[tuple[str, int, str]]:
        return {(r["split"], r["shard_id"], r["sha256"]) for r in table_io.read_arrow(folder, SHARDS).to_pylist()}

    assert tars(root) == tars(other)


def test_grown_selection_asks_for_the_new_photos_only(spark, server, root):
    make_tables(root, range(1, 31))
    download_images.run(spark, config_for(root, server.base_url, split="train"))
    old = table_io.read_arrow(root, SHARDS).to_pylist()
    requests = server.num_requests
    make_tables(root, range(31, 51))
    download_images.run(spark, config_for(root, server.base_url, split="train"))
    new_train = [i for i in range(31, 51) if i % 10 < 7]
    assert server.num_requests - requests == len(new_train)
    now = table_io.read_arrow(root, SHARDS).to_pylist()
    assert all(row in now for row in old)
    assert set(stored_pictures(root)) == {i for i in range(1, 51) if i % 10 < 7}


def test_failures_are_rows_and_only_temporary_ones_are_asked_again(spark, root):
    with FaultServer() as faults:
        for i in range(1, 9):
            faults.add(f"/photos/{i}/medium.jpg", ok(jpeg(i, 48, 32)))
        faults.add("/photos/1/medium.jpg", status(404))
        faults.add("/photos/2/medium.jpg", first(2, status(500), ok(jpeg(2, 48, 32))))
        table_io.append_rows(root, PHOTOS, [photo_row(i) for i in range(1, 9)])
        rows = [selection_row(i) | {"fate": "train"} for i in range(1, 9)]
        table_io.append_rows(root, SELECTIONS, rows)
        config = config_for(root, faults.url("").rstrip("/"))
        first_run = download_images.run(spark, config)
        assert first_run.counts["ok"] == 6
        assert (first_run.counts["gone"], first_run.counts["server_error"]) == (1, 1)
        second_run = download_images.run(spark, config)
        assert second_run.counts["photos_planned"] == 1
        assert second_run.counts["ok"] == 1
        assert faults.counts()["/photos/1/medium.jpg"] == 1
        assert not download_images.run(spark, config).changed
    assert set(stored_pictures(root)) == set(range(2, 9))


def test_a_photo_that_always_fails_is_asked_for_in_five_runs(spark, root):
    with FaultServer() as faults:
        faults.add("/photos/1/medium.jpg", status(500))
        make_tables(root, range(1, 2))
        config = config_for(root, faults.url("").rstrip("/"), tries=1)
        for _ in range(5):
            with pytest.raises(WorkFailedError, match="not one photo came"):
                download_images.run(spark, config)
        assert not download_images.run(spark, config).changed
        assert faults.counts()["/photos/1/medium.jpg"] == 5
    manifest = json.loads((root / "shards" / "birds" / "manifest.json").read_text())
    assert manifest["splits"] == {}
    assert table_io.read_arrow(root, SHARDS).num_rows == 5
    files_and_rows_agree(root)


@pytest.mark.parametrize("changes", [{"layout": "biotrove"}, {"max_edge_px": 64}])
def test_another_form_of_the_same_dataset_is_refused(finished, server, changes):
    root, _ = finished
    with pytest.raises(BadInputError, match="--dataset NEW"):
        download_images.check(config_for(root, server.base_url, **changes))


def test_path_urls_need_a_base_url(spark, root):
    make_tables(root, range(1, 5))
    with pytest.raises(BadInputError, match="--base-url"):
        download_images.run(spark, config_for(root, None))
    assert table_io.read_arrow(root, SHARD_PLAN).num_rows == 0


def test_an_open_plan_of_path_urls_needs_a_base_url_too(spark, server, root):
    make_tables(root, range(1, 5))
    (root / "shards").write_text("no folder: no shard can be published")
    with pytest.raises(WorkFailedError):
        download_images.run(spark, config_for(root, server.base_url))
    with pytest.raises(BadInputError, match="--base-url"):
        download_images.check(config_for(root, None))
    assert table_io.read_arrow(root, SHARDS).num_rows == 0


def test_two_attempts_at_one_shard_are_one_row(finished, tmp_path):
    source, _ = finished
    store = ShardStore(tmp_path, "birds")
    shutil.copytree(source / "shards", tmp_path / "shards")
    for table in (SHARD_PLAN, SHARDS, DOWNLOADS):
        table_io.create(tmp_path, table)
    table_io.append_arrow(tmp_path, SHARD_PLAN, table_io.read_arrow(source, SHARD_PLAN))
    rows = store.adoptable(("train", "val", "test"))
    worse = [dataclasses.replace(row, num_samples=row.num_samples - 1) for row in rows]
    store.commit([*worse, *rows])
    store.commit(worse)
    assert {row.num_samples for row in store.committed()} == {row.num_samples for row in rows}
    assert len(store.committed()) == len(rows) == len(table_io.read_arrow(source, SHARDS))
    files_and_rows_agree(tmp_path)


def test_a_shard_that_is_not_its_plan_is_swept_not_adopted(finished, tmp_path):
    source, _ = finished
    shutil.copytree(source / "shards", tmp_path / "shards")
    for table in (SHARDS, DOWNLOADS):
        table_io.create(tmp_path, table)
    plan = table_io.read_arrow(source, SHARD_PLAN).to_pylist()
    for row in plan:
        row["position"] = (row["position"] + 1) % 3 if row["split"] == "val" else row["position"]
    table_io.append_rows(tmp_path, SHARD_PLAN, plan)
    store = ShardStore(tmp_path, "birds")
    store.commit(store.adoptable(("train", "val", "test")))
    assert {row.split for row in store.committed()} == {"train", "test"}
    (tmp_path / "shards" / "birds" / ".manifest.json.1.tmp").write_text("")
    assert store.sweep() == 3
    files_and_rows_agree(tmp_path)


def copied(source: Path, folder: Path) -> Path:
    """A copy of a whole data root."""
    shutil.copytree(source, folder / "copy")
    return folder / "copy"


@pytest.mark.parametrize("harm", ["remove the tar", "shorten the tar", "remove the sidecar"])
def test_a_committed_file_that_is_missing_or_damaged_is_named(finished, server, tmp_path, harm):
    root = copied(finished[0], tmp_path)
    tar = sorted((root / "shards" / "birds" / "train").glob("*.tar"))[1]
    victim = tar.with_name(tar.name + ".parquet") if "sidecar" in harm else tar
    if "shorten" in harm:
        victim.write_bytes(victim.read_bytes()[:5000])
    else:
        victim.unlink()
    with pytest.raises(WorkFailedError, match=f"1 files of committed shards.*{victim.name};"):
        download_images.check(config_for(root, server.base_url))


def test_a_damaged_manifest_and_lost_sizes_are_made_anew(spark, finished, server, tmp_path):
    root = copied(finished[0], tmp_path)
    folder = root / "shards" / "birds"
    wanted = {path.name: path.read_bytes() for path in (folder / "manifest.json", folder / "train" / "sizes.json")}
    for content in (b"", b"{}", b'{"splits": 1}', None):
        if content is None:
            (folder / "train" / "sizes.json").unlink()
        else:
            (folder / "manifest.json").write_bytes(content)
        download_images.run(spark, config_for(root, server.base_url))
        assert (folder / "train" / "sizes.json").read_bytes() == wanted["sizes.json"]
        made = json.loads((folder / "manifest.json").read_bytes())
        assert made["splits"] == json.loads(wanted["manifest.json"])["splits"]


def test_shards_without_their_tables_are_not_swept(finished, server, tmp_path):
    root = copied(finished[0], tmp_path)
    for table in (SHARD_PLAN, SHARDS, DOWNLOADS):
        shutil.rmtree(table_io.table_path(root, table))
    with pytest.raises(BadInputError, match="were tables deleted"):
        download_images.check(config_for(root, server.base_url))
    assert list((root / "shards" / "birds").glob("*/*.tar"))


def test_unknown_dataset_is_refused(finished):
    root, _ = finished
    with pytest.raises(BadInputError, match="no selection named fish"):
        download_images.check(DownloadConfig(root=root, dataset="fish"))


def test_shards_that_cannot_be_written_end_the_run_and_the_next_one_goes_on(spark, server, root):
    make_tables(root, range(1, 21))
    (root / "shards").write_text("no folder")
    with pytest.raises(WorkFailedError, match=r"(NotADirectory|FileExists)Error.*run the same command"):
        download_images.run(spark, config_for(root, server.base_url))
    (root / "shards").unlink()
    download_images.run(spark, config_for(root, server.base_url))
    assert set(stored_pictures(root)) == set(range(1, 21))


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 kB."""
    with disks.small_disk(tmp_path / "disk", "64k") as folder:
        yield folder


def test_a_full_scratch_disk_ends_the_run_and_the_next_one_goes_on(spark, server, root, small_disk):
    make_tables(root, range(1, 61))
    settings = {"samples_per_shard": 60, "scratch": small_disk}
    (small_disk / "ballast").write_bytes(bytes(50_000))
    with pytest.raises(WorkFailedError, match="No space left on device"):
        download_images.run(spark, config_for(root, server.base_url, **settings))
    assert [path.name for path in small_disk.iterdir()] == ["ballast"]
    download_images.run(spark, config_for(root, server.base_url, samples_per_shard=60))
    assert set(stored_pictures(root)) == set(range(1, 61))
    files_and_rows_agree(root)


def test_a_full_root_disk_ends_the_run_and_the_next_one_goes_on(spark, server, root, small_disk):
    make_tables(root, range(1, 61))
    (root / "shards").symlink_to(small_disk)
    (small_disk / "ballast").write_bytes(bytes(50_000))
    with pytest.raises(WorkFailedError, match="No space left on device"):
        download_images.run(spark, config_for(root, server.base_url, samples_per_shard=60))
    (small_disk / "ballast").unlink()
    subprocess.run(["mount", "-o", "remount,size=16m", str(small_disk)], check=True)
    download_images.run(spark, config_for(root, server.base_url, samples_per_shard=60))
    assert set(stored_pictures(root)) == set(range(1, 61))
    files_and_rows_agree(root)


def test_a_run_without_one_photo_says_so_and_keeps_its_rows(spark, root):
    with FaultServer() as faults:
        for i in range(1, 4):
            faults.add(f"/photos/{i}/medium.jpg", status(500))
        make_tables(root, range(1, 4))
        with pytest.raises(WorkFailedError, match="not one photo came: server_error 3;"):
            download_images.run(spark, config_for(root, faults.url("").rstrip("/"), tries=1))
        faults.add("/photos/1/medium.jpg", status(404))
        summary = download_images.run(spark, config_for(root, faults.url("").rstrip("/"), tries=1))
    assert (summary.counts["gone"], summary.counts["server_error"]) == (1, 2)


def test_a_host_that_is_not_there_costs_no_photo_its_runs(spark, server, root):
    num_photos = 40
    make_tables(root, range(1, num_photos + 1))
    for _ in range(6):
        with pytest.raises(WorkFailedError, match="connection_error"):
            download_images.run(spark, config_for(root, "http://127.0.0.1:1", timeout_s=0.2, samples_per_shard=50))
    rows = table_io.read_arrow(root, DOWNLOADS).to_pylist()
    assert {row["attempts"] for row in rows} == {0}
    download_images.run(spark, config_for(root, server.base_url))
    assert set(stored_pictures(root)) == set(range(1, num_photos + 1))


@pytest.mark.parametrize(("num_photos", "samples"), [(1, 10), (10, 10), (11, 10), (25, 1)])
def test_plan_has_one_shard_per_task(spark, num_photos, samples):
    from spark_jobs.plan_shards import place_in_shards

    rows = [(i, "train", selection_row(i)["order_hash"]) for i in range(num_photos)]
    photos = spark.createDataFrame(rows, "photo_id long, split string, order_hash long")
    placed = place_in_shards(photos.repartition(3), samples, {"train": 7}).toPandas()
    assert sorted(placed["photo_id"]) == list(range(num_photos))
    keys = sorted(zip(placed["shard_id"], placed["position"], strict=True))
    assert keys == [(7 + i // samples, i % samples) for i in range(num_photos)]
    tasks = placed.shard_id.nunique()
    numbered = spark.createDataFrame([(7 + i, i) for i in range(tasks)], "shard_id int, task int")
    spread = spark.createDataFrame(placed).join(numbered, "shard_id").repartitionById(tasks, "task")
    per_partition = spread.rdd.mapPartitions(lambda rows: [{row.shard_id for row in rows}]).collect()
    assert sorted(map(len, per_partition)) == [1] * tasks
