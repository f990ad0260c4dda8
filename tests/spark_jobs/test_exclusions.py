"""Lists of photos and species to exclude: read from CSV and parquet, wrong files refused by name."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from spark_jobs.exclusions import read_lists
from taxonomy.errors import BadInputError
from tests.spark_jobs.selection_cases import some_config
from tests.spark_jobs.spark_hash import spark_xxhash64

MERULA, ROBUR = "species|animalia|turdus|merula", "species|plantae|quercus|robur"


def _read(path, heldout=False):
    flag = "heldout_species" if heldout else "exclude_photos"
    (found,) = read_lists(some_config(path.parent, **{flag: path}))
    return found


def _csv(tmp_path, text):
    path = tmp_path / "list.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_no_file_gives_no_list(tmp_path):
    assert read_lists(some_config(tmp_path)) == []


def test_csv_with_photo_ids(tmp_path):
    found = _read(_csv(tmp_path, "url,photo_id\nx, 7\ny,-9223372036854775808\nz,\nx,7\n"))
    assert (found.flag, found.reason) == ("--exclude-photos", "benchmark_overlap")
    assert found.photo_ids == {7, -(2**63)} and not found.taxon_keys and found.num_ignored == 1


def test_parquet_with_photo_ids_of_any_integer_type_or_text(tmp_path):
    for values in (pa.array([1, None, 3], pa.int32()), pa.array([1, None, 3], pa.uint64()), ["1", None, "3"]):
        pq.write_table(pa.table({"photo_id": values}), tmp_path / "ids.parquet")
        found = _read(tmp_path / "ids.parquet")
        assert found.photo_ids == {1, 3} and found.num_ignored == 1


def test_species_are_named_as_taxon_ids_are(tmp_path):
    text = "species,genus,kingdom\n Merula,TURDUS,Animalia\nrobur,Quercus,plantae\nQuercus robur,Quercus,Plantae\n"
    found = _read(_csv(tmp_path, text), heldout=True)
    assert (found.flag, found.reason) == ("--heldout-species", "heldout_species")
    assert found.taxon_keys == {MERULA, ROBUR} and not found.photo_ids and found.num_ignored == 0


def test_rows_without_a_whole_species_name_nothing(tmp_path):
    text = "kingdom,genus,species\nAnimalia,Turdus,\n,Turdus,merula\nAnimalia,nan,merula\nAnimalia,Turdus,merula\n"
    found = _read(_csv(tmp_path, text))
    assert found.taxon_keys == {MERULA} and found.num_ignored == 3


def test_a_file_with_both_goes_by_what_its_flag_is_about(tmp_path):
    path = tmp_path / "both.parquet"
    columns = {"photo_id": [5], "kingdom": ["Animalia"], "genus": ["Turdus"], "species": ["merula"]}
    pq.write_table(pa.table(columns), path)
    assert _read(path).photo_ids == {5} and not _read(path).taxon_keys
    assert _read(path, heldout=True).taxon_keys == {MERULA} and not _read(path, heldout=True).photo_ids


def test_a_header_alone_is_an_empty_list(tmp_path):
    for text in ("photo_id\n", "kingdom,genus,species\n"):
        found = _read(_csv(tmp_path, text))
        assert not found.photo_ids and not found.taxon_keys and found.num_ignored == 0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "id,kingdom,genus\n1,a,b\n",
            "needs a column photo_id, or the columns kingdom, genus and species; has id, kingdom",
        ),
        ("photo_id\n1\n7.5\n", "photo_id '7.5' is not a 64-bit whole number"),
        ("photo_id\n9223372036854775808\n", "photo_id '9223372036854775808' is not a 64-bit"),
        ("", "cannot be read as CSV or parquet"),
        ("photo_id,x\n1,2\n3\n", "cannot be read as CSV or parquet"),
        ("PAR1 but not really", "cannot be read as CSV or parquet"),
    ],
)
def test_a_wrong_file_is_refused_by_name(tmp_path, text, message):
    path = _csv(tmp_path, text)
    with pytest.raises(BadInputError) as caught:
        _read(path)
    assert str(caught.value).startswith(f"--exclude-photos {path}: ") and message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_folder_is_refused(tmp_path):
    with pytest.raises(BadInputError, match=r"--heldout-species .*give one CSV or parquet file"):
        _read(tmp_path, heldout=True)


@pytest.mark.spark
def test_frames_hold_ids_and_hashed_names_with_their_reasons(spark, tmp_path):
    from spark_jobs.exclusions import to_frames

    photos = _read(_csv(tmp_path, "photo_id\n3\n-4\n"))
    species = _read(_csv(tmp_path, "kingdom,genus,species\nPlantae,Quercus,robur\n"), heldout=True)
    frames = to_frames(spark, [photos, species])
    assert sorted(frames.photos.collect()) == [(-4, "benchmark_overlap"), (3, "benchmark_overlap")]
    assert frames.taxa.collect() == [(spark_xxhash64(ROBUR), "heldout_species")]
    empty = to_frames(spark, [])
    assert empty.photos.columns == ["photo_id", "reason"] and empty.photos.union(empty.taxa).collect() == []
