"""The flags that name pictures: checked alone, and together with those of a model."""

import subprocess
import sys
from dataclasses import dataclass

import pytest

from evaluation.settings.model_settings import ModelSettings
from inference.inputs.input_settings import InputSettings
from taxonomy.errors import BadInputError


@dataclass(frozen=True)
class Both(InputSettings, ModelSettings):
    """As commands have them."""


def test_both_kinds_of_flags_are_checked(tmp_path):
    made = Both(model="RN50", inputs=[str(tmp_path)])  # type: ignore[arg-type]
    assert made.inputs == (str(tmp_path),)
    with pytest.raises(BadInputError, match="no model"):
        Both(inputs=("a",))
    with pytest.raises(BadInputError, match="--batch-size 0: must be at least 1"):
        Both(model="RN50", batch_size=0)
    with pytest.raises(BadInputError, match="--device 'tpu'"):
        Both(model="RN50", device="tpu")


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"urls": "nowhere.txt"}, "--urls nowhere.txt: no such file"),
        ({"urls": __file__}, "--urls .*: add --images-dir DIR"),
        ({"images_dir": "x"}, "--images-dir x: goes with --urls only"),
        ({"user_agent": "x"}, "--user-agent x: goes with --urls only"),
        ({"shards": "nowhere.json"}, "--shards nowhere.json: no such file"),
        ({"urls": __file__, "images_dir": f"{__file__}/x"}, "--images-dir .* is a file; give a folder"),
        ({"workers": -1}, "--workers -1: must be at least 0"),
        ({"split": "all"}, "--split 'all': allowed are train, val, test"),
    ],
)
def test_values_that_are_not_allowed_name_their_flag(given, says):
    with pytest.raises(BadInputError, match=says):
        InputSettings(**given)


def test_opening_names_what_is_missing():
    with pytest.raises(BadInputError, match="no pictures: name files or folders"):
        InputSettings().open()


def test_no_heavy_import(tmp_path):
    (tmp_path / "a.jpg").touch()
    program = (
        "import sys\nfrom inference.inputs.input_settings import InputSettings\n"
        f"list(InputSettings(inputs=({str(tmp_path)!r},)).open())\n"
        "sys.exit(' '.join({'torch', 'numpy', 'pyarrow', 'open_clip', 'pyspark'} & set(sys.modules)) or 0)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
