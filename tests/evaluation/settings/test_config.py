"""The config of an evaluation: precedence, checks with their one line, TOML and back."""

import dataclasses
import re
import shlex
from pathlib import Path

import pytest

from evaluation.settings.command_line import from_mapping, read_toml
from evaluation.settings.config import EvalConfig
from evaluation.settings.config_checks import DATA_FIELDS, check_paths
from evaluation.settings.flags import load
from taxonomy.errors import BadInputError

LEAST = {"model": "RN50", "folder": "photos"}


def refusal(**values):
    with pytest.raises(BadInputError) as refused:
        from_mapping(EvalConfig, LEAST | values, "x.toml")
    assert "\n" not in str(refused.value)
    return str(refused.value)


@pytest.fixture
def world(tmp_path, monkeypatch):
    """A working folder with one of each file that flags name."""
    monkeypatch.chdir(tmp_path)
    for name in ("some.csv", "manifest.json", "weights.pt"):
        Path(name).touch()
    for name in ("photos", "birds", "val"):
        Path(name).mkdir()
    return tmp_path


def loaded(line):
    return load(shlex.split(line))


def test_the_base_command_of_the_published_readme_is_understood_as_printed(world):
    config = loaded(
        "--batch-size=32 --workers=8 --imagenet-val val --model=resnet50 --zeroshot-frequency=1 --image-size=224 "
        "--resume weights.pt --report-to wandb"
    )
    expected = {
        **{"batch_size": 32, "workers": 8, "imagenet_val": "val", "model": "resnet50", "zeroshot_frequency": 1},
        **{"image_size": 224, "resume": "weights.pt", "report_to": "wandb"},
    }
    untouched = EvalConfig(**LEAST)
    for field in dataclasses.fields(config):
        usual = None if field.name == "folder" else getattr(untouched, field.name)
        assert getattr(config, field.name) == expected.get(field.name, usual), field.name


@pytest.mark.parametrize(
    ("row", "field", "value"),
    [
        ("--arbor-val --taxon order", "arbor_val", True),
        ("--lifestages", "lifestages", True),
        ("--arbor-rare --taxon scientific_name", "arbor_rare", True),
        ("--bioclip-rare some.csv --taxon class", "bioclip_rare", "some.csv"),
        ("--birds birds --ds-filter birds", "birds", "birds"),
        ("--confounding", "confounding", True),
        ("--deepweeds", "deepweeds", True),
        ("--fungi=some.csv", "fungi", "some.csv"),
        ("--insects2", "insects2", True),
    ],
)
def test_every_row_of_the_published_benchmark_table_is_understood(world, row, field, value):
    config = loaded(f"{row} --model ViT-B-16 --pretrained=openai")
    assert {name: getattr(config, name) for name in DATA_FIELDS if getattr(config, name)} == {field: value}


def test_everything_asked_for_is_asked_for_by_default():
    config = EvalConfig(**LEAST)
    assert (config.taxon, config.class_list, config.protocol) == (("all",), "published", "default")
    assert (config.out_dir, config.embeddings_dir) == (Path("results"), Path("results/cache"))


def test_flags_win_over_the_file_and_the_file_over_the_defaults(world):
    Path("run.toml").write_text("batch_size = 7\nfew_shot = true\ntaxon = 'genus'\nmodel = 'RN50'\nfungi = true")
    config = loaded("--config run.toml --batch-size 9 --no-few-shot")
    assert (config.batch_size, config.few_shot, config.taxon, config.fungi) == (9, False, ("genus",), True)
    assert config.workers == EvalConfig(**LEAST).workers


def test_settings_survive_toml(tmp_path):
    config = from_mapping(
        EvalConfig,
        {
            **{
                "model": 'a "b"\\c\x7f',
                "fungi": True,
                "insects2": "a folder/\u00e4.csv",
                "taxon": ["genus", "label"],
            },
            **{"baseline": ["openai"], "image_size": 9, "cache": False, "few_shot": True, "seed": 3, "name": "x"},
        },
        "here",
    )
    file = tmp_path / "config.toml"
    file.write_text(config.to_toml(), encoding="utf-8")
    assert from_mapping(EvalConfig, read_toml(file), str(file)) == config


def test_where_results_and_embeddings_go():
    assert EvalConfig(**LEAST, out="a", name="b").out_dir == Path("a/b")
    assert EvalConfig(**LEAST, out="a", name="b").embeddings_dir == Path("a/b/cache")
    assert EvalConfig(**LEAST, cache_dir="c").embeddings_dir == Path("c")
    assert EvalConfig(**LEAST, cache=False).embeddings_dir is None


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"batch_sise": 3}, "x.toml: unknown key batch_sise; did you mean batch_size?"),
        ({"batch_size": "many"}, "--batch-size 'many' does not fit: give a whole number"),
        ({"batch_size": True}, "--batch-size True does not fit"),
        ({"batch_size": 0}, "--batch-size 0: must be at least 1"),
        ({"workers": -1}, "--workers -1: must be at least 0"),
        ({"few_shot": 1}, "--few-shot 1 does not fit: give true or false"),
        ({"protocol": "papr"}, "--protocol 'papr': allowed are default, paper, bioclip; did you mean paper?"),
        ({"prompts": "openai"}, "--prompts 'openai': allowed are openai80, "),
        ({"taxon": ["genus", "spezies"]}, "--taxon 'spezies': allowed are all, .*did you mean species?"),
        ({"taxon": [1]}, "--taxon 1 does not fit: give one text or a list"),
        ({"class_list": "new"}, "--class-list 'new': allowed are published, fixed"),
        ({"activation": "relu"}, "--activation 'relu': allowed are gelu, quickgelu, both"),
        ({"baseline": "clip"}, "--baseline 'clip': allowed are bioclip, openai, metaclip"),
        ({"precision": "fp8"}, "--precision 'fp8': allowed are fp32"),
        ({"device": "gpu"}, "--device 'gpu': allowed are cpu, cuda, cuda:N and mps"),
        ({"split": "dev"}, "--split 'dev': allowed are train, val, test"),
        ({"report_to": "tensorboard"}, "--report-to 'tensorboard': allowed are wandb, none"),
        ({"ds_filter": "birds"}, "--ds-filter birds: goes with --birds only"),
        ({"birds": "b", "ds_filter": "cars"}, "--ds-filter 'cars': allowed are birds"),
        ({"label_column": "x"}, "--label-column x: goes with --csv only"),
        ({"name": "a/b"}, "--name 'a/b': must name one folder"),
        ({"name": ".."}, "--name '..': must name one folder"),
        ({"name": ""}, "--name '' does not fit"),
        ({"model": "\udcff"}, "--model .* does not fit: give a text of valid characters"),
        ({"force": True}, "--force: goes with --activation only"),
        ({"cache": False, "cache_dir": "x"}, "--cache-dir x and --no-cache contradict each other"),
        ({"folder": None}, "nothing to evaluate: give at least one of --arbor-val, .*--shards"),
        ({"model": None}, "no model: give --model with --pretrained, --resume CKPT, or --baseline NAME"),
    ],
)
def test_what_is_not_allowed_is_refused_in_one_line(values, expected):
    assert re.match(expected.replace("?", r"\?"), refusal(**values)), refusal(**values)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"folder": "nowhere"}, "--folder nowhere: no such folder"),
        ({"folder": "some.csv"}, "--folder some.csv: is a file; give a folder"),
        ({"imagenet_val": "nowhere"}, "--imagenet-val nowhere: no such folder"),
        ({"images_root": "nowhere"}, "--images-root nowhere: no such folder"),
        ({"csv": "photos"}, "--csv photos: is a folder; give a file"),
        ({"fungi": "none.csv"}, "--fungi none.csv: no such file or folder"),
        ({"shards": "none.json"}, "--shards none.json: no such file"),
        ({"birds": "nowhere"}, "--birds nowhere: no such file or folder"),
        ({"out": "some.csv"}, "--out some.csv: .*some.csv is a file; give a folder"),
        ({"out": "some.csv/deep/er"}, "--out some.csv/deep/er: .*some.csv is a file; give a folder"),
        ({"cache_dir": "some.csv"}, "--cache-dir some.csv: "),
    ],
)
def test_files_that_are_not_there_are_refused_before_anything_is_opened(world, values, expected):
    before = sorted(world.rglob("*"))
    with pytest.raises(BadInputError, match=f"^{expected}"):
        check_paths(EvalConfig(**(LEAST | values)))
    assert sorted(world.rglob("*")) == before
    check_paths(EvalConfig(**LEAST))
    assert sorted(world.rglob("*")) == before


def test_a_config_file_that_cannot_be_read_is_refused(world):
    Path("no.toml").write_text("this is = = none")
    Path("latin.toml").write_bytes(b"name = '\xe9'")
    for line, expected in (
        ("--config nowhere.toml", "--config nowhere.toml: No such file"),
        ("--config no.toml", "--config no.toml: not valid TOML"),
        ("--config latin.toml", "--config latin.toml: not valid TOML"),
    ):
        with pytest.raises(BadInputError, match=expected):
            loaded(line)
