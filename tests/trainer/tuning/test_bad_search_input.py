"""Bad input: one line, exit code 2, nothing written, and neither Ray nor torch imported for it."""

import dataclasses
import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from taxonomy.errors import BadInputError, WorkFailedError
from tests.conftest import PROJECT
from tests.trainer.command import tree
from tests.trainer.tuning.small_search import flags
from trainer.tuning import cli
from trainer.tuning.config import load, split
from trainer.tuning.prepare import prepare
from trainer.tuning.search_folder import shared_settings


def refused(arguments: list[str], capsys) -> str:
    """The line that the command ends with."""
    with pytest.raises(SystemExit) as ended:
        cli.main(arguments)
    error = capsys.readouterr().err
    assert ended.value.code == 2, error
    assert error.startswith("taxaflow: ")
    assert error.count("\n") == 1
    return error


def without(arguments: list[str], flag: str) -> list[str]:
    place = arguments.index(flag)
    return arguments[:place] + arguments[place + 2 :]


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--trials", "0"], "--trials 0: must be at least 1"),
        (["--trials", "many"], "--trials: 'many' does not fit"),
        (["--metric", "val-top2"], "--metric 'val-top2': allowed are val-top1"),
        (["--scheduler", "hyperband"], "--scheduler 'hyperband': allowed are asha, random"),
        (["--recipe", "tinny"], "--recipe 'tinny': no such recipe or file; .*did you mean tiny?"),
        (["--train-data", "nowhere.json"], "--train-data nowhere.json: no such file"),
        (["--trails", "3"], "unknown flag --trails; did you mean --trials?"),
        (["--max-stepps", "3"], "unknown flag --max-stepps; did you mean --max-steps?"),
        (["--max-steps", "0"], "--max-steps 0"),
        (["--lr", "fast"], "--lr: 'fast' does not fit"),
        (["--lr-low", "2"], "--lr-low 2 --lr-high 0.1: the low end is above the high one"),
        (["--name", "mine"], "--name is not supported: trials have their own"),
        (["--val-data=other.json"], "--val-data is not supported"),
        (["--batch-size", "100"], "48 pairs for training, fewer than the 100 of a step"),
        (["--max-steps", "10"], "--scheduler asha: the first rung"),
        (["--scheduler", "random", "--zeroshot-frequency", "0"], "--zeroshot-frequency 0"),
        (["--address", "ray://10.0.0.1:10001"], "--address ray://.*: run the command on a machine of the cluster"),
        (["--address", "local"], "--address local: .* leave --address out"),
        (["--address", "somewhere"], "--address somewhere: .*HOST:PORT"),
        (["--address", "127.0.0.1:9"], "--address 127.0.0.1:9: no Ray cluster answers there"),
        (["--cpus-per-trial", "9999"], "--cpus-per-trial 9999: this machine has"),
        (["--out", "manifest.json/tuned"], "is a file; give a folder"),
    ],
)
def test_bad_settings(tmp_path, monkeypatch, capsys, more, said):
    arguments = flags(tmp_path)
    monkeypatch.chdir(tmp_path / "data")
    before = tree(tmp_path)
    error = refused([*arguments, *more], capsys)
    assert re.search(said, error), error
    assert tree(tmp_path) == before


def test_a_recipe_with_other_data_to_choose_by(tmp_path, capsys):
    arguments = flags(tmp_path)
    recipe = tmp_path / "dwarf.toml"
    recipe.write_text(f'val_data = "{tmp_path / "data" / "manifest.json"}"\n{recipe.read_text()}')
    assert f"--recipe {recipe}: val_data is not supported" in refused(arguments, capsys)


@pytest.mark.parametrize("flag", ["--recipe", "--train-data", "--out"])
def test_what_must_be_given(tmp_path, capsys, flag):
    assert f"{flag} is missing" in refused(without(flags(tmp_path), flag), capsys)


@pytest.mark.parametrize("split_name", ["val", "test", "train"])
def test_a_dataset_without_a_split(tmp_path, capsys, split_name):
    arguments = flags(tmp_path)
    manifest = tmp_path / "data" / "manifest.json"
    content = json.loads(manifest.read_bytes())
    del content["splits"][split_name]
    manifest.write_text(json.dumps(content))
    error = refused(arguments, capsys)
    assert f"--train-data {manifest}" in error
    if split_name != "train":
        assert f"no shards in split '{split_name}'" in error
        assert "trials are chosen on val, the best is compared on test" in error
    assert not (tmp_path / "tuned").exists()


@pytest.mark.parametrize("content", [b"", b"\xff", b"[]", b'{"schema_version": 99}'])
def test_a_manifest_that_is_none(tmp_path, capsys, content):
    arguments = flags(tmp_path)
    (tmp_path / "data" / "manifest.json").write_bytes(content)
    assert "--train-data" in refused(arguments, capsys)
    assert not (tmp_path / "tuned").exists()


def test_without_ray_the_line_names_the_extra(tmp_path, monkeypatch, capsys):
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "ray" else find_spec(name))
    assert "pip install 'taxaflow[tune]'" in refused(flags(tmp_path), capsys)
    assert not (tmp_path / "tuned").exists()


def begun(folder: Path) -> list[str]:
    """The arguments of a search that has begun."""
    arguments = flags(folder)
    search = prepare(*load(arguments))
    with search.folder.locked():
        search.folder.begin(search.settings(), shared_settings(dataclasses.asdict(search.shared)))
    return arguments


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--seed", "1"], "--seed 0, not 1"),
        (["--trials", "19"], "--trials 20, not 19"),
        (["--metric", "val-top3"], "--metric val-top1, not val-top3"),
        (["--wd-high", "0.5"], "--wd-high 1.0, not 0.5"),
        (["--batch-size", "6"], "--batch-size 4, not 6"),
        (["--lr", "0.02"], "--lr-low 0.001, not 0.002"),
    ],
)
def test_a_search_goes_on_with_the_settings_it_was_begun_with(tmp_path, capsys, more, said):
    arguments = begun(tmp_path)
    before = tree(tmp_path)
    error = refused([*arguments, *more], capsys)
    assert "that search was begun with" in error
    assert said in error
    assert tree(tmp_path) == before


def test_a_dataset_that_has_changed_is_another_one(tmp_path, capsys):
    arguments = begun(tmp_path)
    manifest = tmp_path / "data" / "manifest.json"
    manifest.write_text(manifest.read_text() + "\n")
    assert "another content of --train-data" in refused(arguments, capsys)


def test_a_search_may_get_more_trials_and_keeps_those_it_has(tmp_path):
    arguments = begun(tmp_path)
    few = prepare(*load(arguments)).specs
    search = prepare(*load([*arguments, "--trials", "23"]))
    assert search.specs[:20] == few
    assert len(search.specs) == 23
    with search.folder.locked():
        search.folder.begin(search.settings(), shared_settings(dataclasses.asdict(search.shared)))
    with pytest.raises(BadInputError, match="--trials 23, not 20"):
        prepare(*load(arguments))


def test_places_may_change(tmp_path):
    arguments = begun(tmp_path)
    prepare(*load([*arguments, "--cpus-per-trial", "1", "--debug"]))


def test_two_searches_in_one_folder(tmp_path, capsys):
    arguments = begun(tmp_path)
    with prepare(*load(arguments)).folder.locked():
        assert "searches in it; wait for it to end" in refused(arguments, capsys)


@pytest.mark.parametrize("name", ["trials/", "base.toml", "train.jsonl", "thesis.tex"])
def test_a_folder_with_who_knows_what(tmp_path, capsys, name):
    arguments = flags(tmp_path)
    (tmp_path / "tuned").mkdir()
    if name.endswith("/"):
        (tmp_path / "tuned" / name).mkdir()
    else:
        (tmp_path / "tuned" / name).write_text("lr = 1\n")
    before = tree(tmp_path)
    assert f"has {name} but no tune.toml, so no search" in refused(arguments, capsys)
    assert tree(tmp_path) == before


def test_a_search_that_ended_among_its_first_files_begins_anew(tmp_path):
    search = prepare(*load(flags(tmp_path)))
    facts = search.settings(), shared_settings(dataclasses.asdict(search.shared))
    in_the_way = tmp_path / "tuned" / "tune.toml"
    with search.folder.locked():
        in_the_way.mkdir()
        with pytest.raises(WorkFailedError, match=r"cannot write .*tune\.toml"):
            search.folder.begin(*facts)
        in_the_way.rmdir()
        assert search.folder.base.is_file()
        search.folder.check(*facts)
        search.folder.begin(*facts)
        search.folder.check(*facts)


def test_flags_go_to_whom_they_belong():
    own, trainers = split(["--trials", "3", "--max-steps", "5", "--lr=-1", "--seed", "2", "--aug-cfg", "a=1", "b=-2"])
    assert own == ["--trials", "3", "--seed", "2"]
    assert trainers == ["--max-steps", "5", "--lr=-1", "--aug-cfg", "a=1", "b=-2"]
    assert split(["--seed", "1", "--", "--seed", "2"]) == (["--seed", "1"], ["--seed", "2"])
    assert split(["--beta1-low", "-0.5"]) == (["--beta1-low", "-0.5"], [])
    with pytest.raises(BadInputError, match="unknown flag --nonsense-of-it"):
        split(["--nonsense-of-it"])


def test_help_and_refusals_import_neither_torch_nor_ray(tmp_path):
    code = (
        "import sys; from trainer.tuning.cli import main\n"
        "for arguments in (['--help'], sys.argv[1:]):\n"
        "    try: main(arguments)\n"
        "    except SystemExit as ended: print(ended.code)\n"
        "print(sorted({'torch', 'ray', 'pyarrow'} & set(sys.modules)))"
    )
    command = [sys.executable, "-c", code, *flags(tmp_path), "--seed", "-1"]
    found = subprocess.run(command, capture_output=True, text=True, cwd=PROJECT, check=True)
    assert found.stdout.splitlines()[-3:] == ["0", "2", "[]"]
