"""A split of a dataset comes back from its CSV and pictures as it stands in the shards."""

import pytest

from evaluation.benchmarks.csv_file import open_csv
from evaluation.benchmarks.shards import open_shards
from sample.write_heldout import write_heldout
from taxonomy.errors import BadInputError
from tests.trainer.small_dataset import jpeg, photo, write_dataset

LINEAGE = {"phylum": "Chordata", "class": "Aves", "order": "Passeriformes", "family": "Turdidae"}


def test_what_is_in_the_shards_comes_back_from_the_csv(tmp_path):
    manifest = write_dataset(tmp_path / "shards", [5, 4], photos=lambda number: photo(number, **LINEAGE))
    assert write_heldout(manifest, "train", tmp_path) == 9
    shards, written = open_shards(manifest, "train"), open_csv(tmp_path / "heldout.csv")
    assert written.levels == shards.levels
    assert [source.read_bytes() for source in written.rows.sources] == [source() for source in shards.rows.sources]
    for level in shards.levels:
        assert list(written.rows.labels[level]) == list(shards.rows.labels[level]), level
    for rank, names in shards.rows.lineage.items():
        assert list(written.rows.lineage[rank]) == names, rank
    assert list(written.rows.common_names) == shards.rows.common_names


def test_a_second_call_changes_nothing(tmp_path):
    manifest = write_dataset(tmp_path / "shards", [3])
    write_heldout(manifest, "train", tmp_path / "out")
    before = _written(tmp_path / "out")
    assert write_heldout(manifest, "train", tmp_path / "out") == 3
    assert _written(tmp_path / "out") == before


def _written(folder):
    """What every write, and no read, changes of the folder's files."""
    stats = {path: path.stat() for path in folder.rglob("*")}
    return {path: (one.st_ino, one.st_size, one.st_mtime_ns, one.st_ctime_ns) for path, one in stats.items()}


def test_a_sample_without_a_picture_gets_no_other_samples(tmp_path):
    manifest = write_dataset(tmp_path / "shards", [3], change=lambda number, members: members[number == 1 :])
    assert write_heldout(manifest, "train", tmp_path) == 2
    pictures = {path.name: path.read_bytes() for path in (tmp_path / "photos").iterdir()}
    assert pictures == {"1000.jpg": jpeg(0), "1002.jpg": jpeg(2)}
    assert "1001" not in (tmp_path / "heldout.csv").read_text()


def test_a_split_without_shards_is_refused(tmp_path):
    with pytest.raises(BadInputError, match="no shards in split 'test'"):
        write_heldout(write_dataset(tmp_path, [2]), "test", tmp_path / "out")
    assert not (tmp_path / "out").exists()
