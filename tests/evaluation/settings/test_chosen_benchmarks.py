"""The benchmarks that the flags name."""

from pathlib import Path

import pytest
from PIL import Image

from evaluation.benchmarks.registry import names
from evaluation.settings.chosen_benchmarks import open_chosen
from evaluation.settings.config import EvalConfig
from evaluation.settings.config_checks import PUBLISHED_FLAGS
from taxonomy.errors import BadInputError


def chosen(**values):
    return open_chosen(EvalConfig(model="RN50", **values))


@pytest.fixture
def world(tmp_path, monkeypatch):
    """A working folder with CSVs, their pictures, and a folder of classes."""
    monkeypatch.chdir(tmp_path)
    picture = Image.new("RGB", (4, 4))
    for path in ("photos/a/1.png", "photos/b/2.png", "birds/train/FINCH/3.png"):
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        picture.save(path)
    rows = "path,class\n/elsewhere/a/1.png,Amanita muscaria\n/elsewhere/b/2.png,Boletus edulis\n"
    Path("metadata").mkdir()
    for file in ("metadata/fungi_metadata_n.csv", "metadata/ins2_metadata_n.csv", "own.csv"):
        Path(file).write_text(rows)
    Path("birds/birds.csv").write_text("filepaths,labels\ntrain/FINCH/3.png,FINCH\n")
    return tmp_path


def test_every_benchmark_of_the_registry_has_a_flag():
    assert sorted(PUBLISHED_FLAGS.values()) == sorted(names())


def test_a_flag_alone_takes_the_published_csv_and_a_value_is_another(world):
    by_default, own = chosen(fungi=True, images_root="photos"), chosen(fungi="own.csv", images_root="photos")
    for benchmarks in (by_default, own, chosen(fungi="metadata", images_root="photos")):
        assert [one.name for one in benchmarks] == ["fungi"]
        assert list(benchmarks[0].rows.sources) == [Path("photos/a/1.png"), Path("photos/b/2.png")]


def test_birds_have_their_pictures_in_their_own_folder(world):
    (benchmark,) = chosen(birds="birds", ds_filter="birds")
    assert benchmark.name == "birds525"
    assert list(benchmark.rows.sources) == [Path("birds/train/FINCH/3.png")]


def test_benchmarks_come_once_and_in_the_order_of_the_help(world):
    found = chosen(
        benchmarks=("insects2", "fungi"), fungi="own.csv", folder="photos", csv="own.csv", images_root="photos"
    )
    assert [one.name for one in found] == ["fungi", "insects2", "csv_own", "folder_photos"]


def test_all_means_the_registry(world):
    with pytest.raises(BadInputError, match="arboretum_test_metadata"):
        chosen(benchmarks="all", images_root="photos")


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"benchmarks": "fungy"}, "--benchmarks 'fungy': allowed are all, .*did you mean fungi?"),
        ({"arbor_rare": True}, "arboretum_rare_combined_metadata.csv"),
        ({"fungi": True}, "fungi: none of its 2 pictures was found below metadata: give .* --images-root"),
        ({"csv": "own.csv", "label_column": "name"}, "name"),
    ],
)
def test_what_cannot_be_opened_is_refused_in_one_line(world, values, expected):
    with pytest.raises(BadInputError, match=expected) as refused:
        chosen(**values)
    assert "\n" not in str(refused.value)
