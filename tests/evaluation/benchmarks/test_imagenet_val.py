"""ImageNet's folders: names by order only where all 1,000 are there."""

from pathlib import Path

import pytest

from evaluation.benchmarks.imagenet_val import NUM_CLASSES, open_imagenet_val, published_class_names
from taxonomy.errors import BadInputError
from tests.evaluation.benchmarks.test_folder import fill

pytestmark = pytest.mark.torch


@pytest.fixture
def imagenet(tmp_path: Path) -> Path:
    """1,000 folders with one file each; the ids are not the real ones, but in order like them."""
    return fill(tmp_path / "val", *(f"n{number:08d}/{number}.JPEG" for number in range(NUM_CLASSES)))


def test_the_folders_get_the_published_names_in_order(imagenet):
    benchmark = open_imagenet_val(imagenet)
    assert len(benchmark.rows) == NUM_CLASSES
    label_of = dict(zip(benchmark.rows.keys, benchmark.rows.labels["label"], strict=True))
    assert label_of["n00000000/0.JPEG"] == "tench"
    assert label_of["n00000134/134.JPEG"] == "crane bird"
    assert label_of["n00000999/999.JPEG"] == published_class_names()[-1]
    assert (benchmark.name, benchmark.log_name) == ("imagenet_val", "imagenet-zeroshot-val")


def test_two_pairs_of_classes_share_a_name(imagenet):
    labels = list(open_imagenet_val(imagenet).rows.labels["label"])
    assert [number for number, label in enumerate(labels) if labels.count(label) > 1] == [657, 744, 836, 837]
    assert len(set(labels)) == 998


def test_an_incomplete_set_of_ids_says_what_is_needed(imagenet):
    (imagenet / "n00000004" / "4.JPEG").unlink()
    with pytest.raises(BadInputError, match=r"no picture in n00000004 \(1 such\).*all 1,000 folders"):
        open_imagenet_val(imagenet)
    (imagenet / "n00000004").rmdir()
    with pytest.raises(BadInputError, match=r"999 folders of ImageNet's classes.*all 1,000 folders"):
        open_imagenet_val(imagenet)
    fill(imagenet, "other/1.JPEG")
    with pytest.raises(BadInputError, match="other is no WordNet id"):
        open_imagenet_val(imagenet)


def test_folders_with_other_names_keep_them(tmp_path):
    fill(tmp_path, "01_tench/1.jpg", "02_great_white_shark/1.jpg", "3/2.png")
    benchmark = open_imagenet_val(tmp_path)
    assert benchmark.name == "imagenet_val"
    assert list(benchmark.rows.labels["label"]) == ["tench", "great white shark", "3"]


def test_numbered_folders_get_the_published_names_by_number(tmp_path):
    fill(tmp_path, *(f"{number}/{number}.jpeg" for number in range(NUM_CLASSES)))
    rows = open_imagenet_val(tmp_path).rows
    assert [rows.keys[number] for number in (2, 10, 999)] == ["2/2.jpeg", "10/10.jpeg", "999/999.jpeg"]
    assert list(rows.labels["label"]) == list(published_class_names())
    (tmp_path / "10" / "10.jpeg").unlink()
    (tmp_path / "10").rmdir()
    with pytest.raises(BadInputError, match=r"999 folders of ImageNet's classes; .* all 1,000 folders, .* or 0 to 999"):
        open_imagenet_val(tmp_path)
