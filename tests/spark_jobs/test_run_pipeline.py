"""A pipeline file: steps in the order of the data, checked before the first one runs."""

import pytest

from spark_jobs.run_pipeline import steps
from taxonomy.errors import BadInputError


@pytest.fixture
def write(tmp_path):
    (tmp_path / "m.csv").write_text("x\n")

    def make(text: str):
        path = tmp_path / "pipeline.toml"
        path.write_text(text.replace("DIR", str(tmp_path)))
        return path

    return make


def test_steps_come_in_the_order_of_the_data_with_the_common_root(write):
    found = steps(
        write(
            """
            root = "DIR/root"
            [label]
            [download]
            dataset = "birds"
            [select]
            dataset = "birds"
            categories = ["Aves", "Fungi"]
            [[ingest]]
            source = "csv"
            input = "DIR/m.csv"
            snapshot = "2026-10"
            [ingest.columns]
            photo_url = "link"
            scientific_name = "taxon"
            [[ingest]]
            source = "csv"
            source_name = "museum"
            input = "DIR/m.csv"
            snapshot = "2026-11"
            root = "DIR/other"
            """
        )
    )
    names = [module.removeprefix("spark_jobs.") for module, _ in found]
    assert names == ["ingest_photos", "ingest_photos", "select_photos", "download_images", "label_photos"]
    assert found[0][1].column_map == {"photo_url": "link", "scientific_name": "taxon"}
    assert [config.root.name for _, config in found] == ["root", "other", "root", "root", "root"]
    assert found[2][1].categories == ("Aves", "Fungi")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "no step"),
        ("[train]\n", "unknown table train"),
        ('[count]\nroot = "r"\nrarest = 3\n', r"\[count\]: unknown key rarest"),
        ("[count]\n", "--root is missing"),
        ('[count]\nroot = "r"\nrare = 2.5\n', "rare = 2.5"),
        ("[count\n", "not valid TOML"),
        ("count = 5\n", r"\[count\]: 5 is no table; write \[count\]"),
        ("count = [5]\n", r"\[count\]: 5 is no table"),
        ("root = 5\n[count]\n", "root = 5 does not fit: give a path"),
    ],
)
def test_mistakes_are_named_with_their_place(write, text, says):
    with pytest.raises(BadInputError, match=says):
        steps(write(text))
