"""The flags of an interpolation: which points, which models, and what goes together. No torch is imported."""

import subprocess
import sys

import pytest

from evaluation.settings.command_line import load
from release.interpolate.cli import INTERPOLATE
from release.interpolate.config import InterpolateConfig, check_files
from taxonomy.errors import BadInputError

ENDS = {"from_model": "local-dir:a", "to_model": "local-dir:b"}


def config(**more):
    return InterpolateConfig(**ENDS | more)


def test_help_loads_nothing_heavy():
    program = (
        "import sys\nfrom release.interpolate.cli import main\n"
        "try: main(['--help'])\nexcept SystemExit as end: assert end.code == 0\n"
        "print([name for name in ('torch', 'open_clip', 'numpy', 'jinja2') if name in sys.modules])"
    )
    printed = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert printed.splitlines()[-1] == "[]"
    assert "--lifestages" in printed and "--choose-by" in printed and "--few-shot" not in printed


@pytest.mark.parametrize(
    ("alphas", "points"),
    [
        (("1", "0", "0.5", "0.50", "5e-1"), [0, 0.5, 1]),
        ([0, 0.25, 1.0], [0, 0.25, 1]),
        (0.3, [0.3]),
        (("-0",), [0]),
    ],
)
def test_points_are_ascending_and_each_once(alphas, points):
    made = config(alphas=alphas)
    assert made.points == points
    assert [str(point) for point in made.points] == [str(float(point)) for point in points]


@pytest.mark.parametrize("alpha", ["1.0001", "-0.1", "nan", "inf", "half", "0,5", "", True])
def test_no_point_lies_beyond_the_models(alpha):
    with pytest.raises(BadInputError, match="--alphas"):
        config(alphas=("0", alpha))


def test_near_alphas_have_folders_of_their_own():
    near = config(alphas=("0.1234567", "0.12345671"))
    assert len({near.point_dir(alpha) for alpha in near.points}) == 2


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({"to_model": None}, "--to is missing"),
        ({"from_model": "openai"}, "--from openai: no such file or folder; for a tag of open_clip add --model"),
        ({"choose_by": "fungi"}, "--choose-by fungi: goes with a benchmark only"),
        ({"label_column": "x"}, "--label-column x: goes with a benchmark only"),
        ({"label_column": "x", "fungi": True}, "--label-column x: goes with --csv only"),
        ({"force": True}, "--force: goes with --activation only"),
        ({"device": "gpu"}, "--device 'gpu'"),
        ({"alphas": ()}, "--alphas"),
        ({"fungi": True, "cache": False, "cache_dir": "x"}, "--cache-dir x and --no-cache"),
    ],
)
def test_what_does_not_go_together_is_refused(more, expected):
    with pytest.raises(BadInputError) as refused:
        config(**more)
    assert expected in str(refused.value) and "\n" not in str(refused.value)


def test_bare_weights_and_tags_go_with_a_model(tmp_path):
    (tmp_path / "bare.bin").write_bytes(b"x")
    with pytest.raises(BadInputError, match=r"bare.bin: add --model"):
        config(from_model=str(tmp_path / "bare.bin"))
    made = config(from_model="openai", to_model=str(tmp_path / "bare.bin"), model="ViT-B-16", activation="quickgelu")
    assert [(end.model, end.pretrained) for end in made.ends] == [
        ("ViT-B-16", "openai"),
        ("ViT-B-16", str(tmp_path / "bare.bin")),
    ]
    assert made.label == "ViT-B-16 openai..bare.bin"


def test_the_settings_written_make_the_same_ones_again(tmp_path):
    flags = "--from local-dir:a --to local-dir:b --alphas 0 0.5 --folder x --choose-by folder_x --save-all --no-cache"
    made = load(INTERPOLATE, flags.split())
    (tmp_path / "again.toml").write_text(made.to_toml())
    assert load(INTERPOLATE, ["--config", str(tmp_path / "again.toml")]) == made


def test_the_evaluation_has_the_same_settings(tmp_path):
    made = config(folder="x", protocol="paper", taxon=("label",), batch_size=3, out=str(tmp_path), split="val")
    evaluation = made.evaluation()
    assert (evaluation.folder, evaluation.protocol, evaluation.taxon) == ("x", "paper", ("label",))
    assert (evaluation.batch_size, evaluation.split) == (3, "val")
    assert evaluation.out_dir == tmp_path / "results" and evaluation.embeddings_dir == tmp_path / "cache"
    assert config(folder="x", cache=False).evaluation().embeddings_dir is None


def test_a_folder_of_somebody_else_is_not_written_to(tmp_path):
    check_files(config(out=str(tmp_path)))
    (tmp_path / "alpha_0.5").mkdir()
    (tmp_path / "alpha_0.5" / "mine.txt").write_text("mine")
    with pytest.raises(BadInputError, match=r"mine\.txt"):
        check_files(config(out=str(tmp_path)))
    (tmp_path / "file").write_text("")
    with pytest.raises(BadInputError, match="is a file"):
        check_files(config(out=str(tmp_path / "file")))
