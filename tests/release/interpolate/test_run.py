"""A whole interpolation by its flags: figures as evaluation gives them, restart, what is written and what refused."""

import json
import re
import subprocess
import sys
from pathlib import Path

import open_clip
import pytest
import torch
from safetensors.torch import load_file

from evaluation import cli as eval_cli
from evaluation.results.result import read_results
from release.card.card_facts import read_facts
from release.card.write_card import write_card
from release.interpolate import cli, run
from tests.release.interpolate.small_world import csv_of, write_model, write_world

pytestmark = pytest.mark.torch

ENDS = ["--from", "local-dir:start", "--to", "local-dir:trained"]
CPU = ["--device", "cpu", "--workers", "0"]
SETS = ["--folder", "seen", "--csv", "kept.csv", "--prompts", "sci"]


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    root = write_world(tmp_path_factory.mktemp("world"))
    csv_of(root, "kept")
    write_model(root / "quick", 3, {"quick_gelu": True})
    write_model(root / "wide", 3, {"embed_dim": 8})
    return root


@pytest.fixture
def folder(world, tmp_path, monkeypatch):
    """A working folder without anything in it but the world's by links."""
    monkeypatch.chdir(tmp_path)
    for entry in world.iterdir():
        (tmp_path / entry.name).symlink_to(entry)
    for module in (cli, eval_cli):
        monkeypatch.setattr(module, "set_up_logging", lambda debug: None)
    return tmp_path


def interpolated(*flags, out="out"):
    cli.main([*ENDS, *CPU, "--out", out, *flags])
    return Path(out)


def weights(folder):
    return load_file(Path(folder) / "open_clip_model.safetensors")


def figures(record):
    return {name: value for name, value in record.items() if name != "model"}


def test_every_point_is_evaluated_and_the_best_one_saved(folder, capsys):
    out = interpolated(*SETS, "--alphas", "1", "0", "0.5", "--choose-by", "csv_kept")
    sweep = json.loads((out / "sweep.json").read_text())
    printed = capsys.readouterr().out
    records = {record["model"]["name"]: record for record in read_results(out / "results")}
    assert len(read_results(out / "results")) == 6
    assert sorted(records) == [f"start..trained alpha {alpha}" for alpha in ("0", "0.5", "1")]
    (kept,) = [line for line in sweep["benchmarks"] if line["name"] == "csv_kept"]
    shares = [metric["value"] for metric in kept["top1"]]
    assert sweep["best"]["number"] == shares.index(max(shares)) and sweep["best"]["flatters"] is None
    assert f"best: alpha {sweep['best']['alpha']:g}" in printed and "flatter" not in printed
    for metric in kept["top1"]:
        assert f"{100 * metric['value']:.1f} (" in printed
    between = run.open_ends(run.InterpolateConfig(from_model="local-dir:start", to_model="local-dir:trained"))
    expected = between.load(sweep["best"]["alpha"]).state_dict()
    assert all(torch.equal(tensor, expected[name]) for name, tensor in weights(out / "best").items())
    assert len((out / "results" / "results.jsonl").read_text().splitlines()) == 3
    facts = read_facts(out / "best")
    assert facts is not None and facts.interpolated is not None
    assert (facts.interpolated.alpha, facts.interpolated.chosen_by) == (sweep["best"]["alpha"], sweep["best"]["rule"])
    assert sorted(one.benchmark for one in facts.results) == ["csv_kept", "folder_seen"]
    assert facts.model_hash == sweep["points"][sweep["best"]["number"]]["hash"]
    card = (out / "best" / "README.md").read_text()
    assert card == write_card(facts) and f"| this point was chosen by | {sweep['best']['rule']} |" in card
    assert (out / "sweep.html").is_file() and str(folder) not in (out / "sweep.json").read_text()


def test_the_ends_have_the_figures_of_a_plain_evaluation(folder):
    interpolated(*SETS, "--alphas", "0", "1")
    for name in ("start", "trained"):
        flags = ["--model", f"local-dir:{name}", "--taxon", "headline", *SETS, *CPU, "--out", f"plain_{name}"]
        eval_cli.main(flags)
        for plain in read_results(Path(f"plain_{name}")):
            swept = [one for one in read_results(Path("out/results")) if one["model"]["hash"] == plain["model"]["hash"]]
            (same,) = [one for one in swept if one["benchmark"] == plain["benchmark"]]
            assert figures(same) == figures(plain)


def test_what_is_evaluated_is_not_evaluated_again(folder, monkeypatch):
    out = interpolated(*SETS, "--alphas", "0", "1")
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    monkeypatch.setattr(run, "run", None)  # may not be called
    interpolated(*SETS, "--alphas", "0", "1")
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before


def test_a_sweep_that_was_stopped_goes_on_to_the_same_end(folder, monkeypatch, capsys):
    flags = [*SETS, "--no-cache", "--alphas", "0", "0.5", "1"]
    whole = interpolated(*flags, out="whole")
    evaluate, seen = run.run, []

    def stop_at_the_fourth(benchmark, encoder, options):
        seen.append(benchmark.name)
        if len(seen) == 4:
            raise KeyboardInterrupt
        return evaluate(benchmark, encoder, options)

    monkeypatch.setattr(run, "run", stop_at_the_fourth)
    with pytest.raises(SystemExit) as end:
        interpolated(*flags, out="again")
    assert end.value.code == 130 and not Path("again/best").exists()
    monkeypatch.setattr(run, "run", lambda *given: (seen.append(given[0].name), evaluate(*given))[1])
    interpolated(*flags, out="again")
    assert len(seen) == 4 + 6 - 3
    assert (whole / "sweep.json").read_bytes() == Path("again/sweep.json").read_bytes()
    for path in (whole / "results").glob("*.json"):
        assert path.read_bytes() == (Path("again/results") / path.name).read_bytes()


def test_what_killed_runs_left_unfinished_goes(folder):
    out = interpolated("--folder", "seen", "--prompts", "sci", "--alphas", "0", "1")
    names = (".sweep.json.999999999.tmp", "results/.a--b.json.999999999.tmp", "results/thumbnails/.6.jpg.999999999.tmp")
    for name in (*names, ".draft.1.tmp"):
        (out / name).write_text("x")
    interpolated("--folder", "seen", "--prompts", "sci", "--alphas", "0", "1")
    assert [(out / name).exists() for name in (*names, ".draft.1.tmp")] == [False, False, False, True]


def test_a_second_run_at_once_is_refused(folder, capsys):
    interpolated("--folder", "seen", "--prompts", "sci", "--alphas", "0")
    holder = (
        "import fcntl, sys\nfile = open('out/results/.lock', 'a')\nfcntl.lockf(file, fcntl.LOCK_EX)\n"
        "print('held', flush=True)\nsys.stdin.read()"
    )
    with subprocess.Popen([sys.executable, "-c", holder], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        other.stdout.readline()
        with pytest.raises(SystemExit) as end:
            interpolated("--folder", "seen", "--prompts", "sci", "--alphas", "0")
        assert end.value.code == 2
        assert capsys.readouterr().err == "taxaflow: --out out: another run is writing there; wait for it to end\n"
        other.communicate()


def test_near_alphas_are_told_apart(folder, capsys):
    out = interpolated("--folder", "seen", "--prompts", "sci", "--alphas", "0.1234561", "0.1234562")
    said, page = capsys.readouterr().out, (out / "sweep.html").read_text()
    for alpha in ("0.1234561", "0.1234562"):
        assert f" {alpha} " in said and f">{alpha}<" in page.replace(" <", "<")
    assert {one["label"] for one in json.loads((out / "sweep.json").read_text())["points"]} == {
        f"start..trained alpha {alpha}" for alpha in ("0.1234561", "0.1234562")
    }


def test_neither_a_model_to_average_nor_settings_of_others_are_written_over(folder, capsys):
    interpolated("--folder", "seen", "--prompts", "sci", "--alphas", "0", "1")
    Path("ours").mkdir()
    Path("ours/config.toml").write_text("mine = 1\n")
    weights_of = "out/best/open_clip_model.safetensors"
    for flags, out, expected in (
        (["--from", "local-dir:out/best"], "out", "--out out: out/best is written anew, and --from is there"),
        (["--to", weights_of], "out", "--out out: out/best is written anew, and --to is there"),
        ([], "ours", "--out ours: its config.toml is not of this command"),
    ):
        before = {path: path.read_bytes() for path in Path().rglob("*") if path.is_file()}
        with pytest.raises(SystemExit) as end:
            interpolated("--folder", "seen", "--prompts", "sci", *flags, out=out)
        assert (end.value.code, expected in capsys.readouterr().err) == (2, True)
        assert before == {path: path.read_bytes() for path in Path().rglob("*") if path.is_file()}


def test_a_damaged_result_is_made_anew(folder):
    out = interpolated("--folder", "seen", "--prompts", "sci", "--alphas", "0", "1")
    victim = next(iter((out / "results").glob("*.json")))
    whole = victim.read_bytes()
    victim.write_bytes(whole[: len(whole) // 2])
    interpolated("--folder", "seen", "--prompts", "sci", "--alphas", "0", "1")
    assert victim.read_bytes() == whole


def test_without_benchmarks_the_points_are_written_and_nothing_else(folder, capsys):
    out = interpolated("--alphas", "0", "0.25", "1")
    assert sorted(path.name for path in out.iterdir()) == ["alpha_0.0", "alpha_0.25", "alpha_1.0", "config.toml"]
    for alpha, end in (("0.0", "start"), ("1.0", "trained")):
        made, own = weights(out / f"alpha_{alpha}"), weights(end)
        assert all(torch.equal(made[name], tensor) for name, tensor in own.items())
    record = json.loads((out / "alpha_0.25" / "taxaflow.json").read_text())
    expected = {"from_model": "start", "to_model": "trained", "alpha": 0.25, "chosen_by": None, "flatters": None}
    assert record["interpolated"] == expected
    card = (out / "alpha_0.25" / "README.md").read_text()
    assert "| weights | 0.75 of start and 0.25 of trained, averaged |" in card
    assert "not chosen: one of the points asked for" in card
    model = open_clip.create_model(f"local-dir:{out / 'alpha_0.25'}")
    expected = torch.lerp(weights("start")["visual.proj"], weights("trained")["visual.proj"], 0.25)
    assert torch.equal(model.visual.proj.detach(), expected)
    assert capsys.readouterr().out.count("written: ") == 3


def test_all_points_can_be_saved(folder):
    out = interpolated("--folder", "seen", "--prompts", "sci", "--alphas", "0", "0.5", "--save-all")
    assert {"alpha_0.0", "alpha_0.5", "best"} <= {path.name for path in out.iterdir()}
    for name in ("alpha_0.0", "alpha_0.5"):
        facts = read_facts(out / name)
        assert facts is not None and [one.benchmark for one in facts.results] == ["folder_seen"]
        assert facts.interpolated is not None and facts.interpolated.chosen_by is None


def test_guesses_that_are_damaged_are_said_to_be_missing_from_the_comparison(folder, caplog):
    out = interpolated("--folder", "seen", "--prompts", "sci", "--alphas", "0", "1")
    sweep = json.loads((out / "sweep.json").read_text())
    assert len(sweep["differences"]) == 1 and not caplog.text
    for victim in (out / "results").rglob("*.npz"):
        victim.write_bytes(victim.read_bytes()[:50])
    interpolated("--folder", "seen", "--prompts", "sci", "--alphas", "0", "1")
    assert json.loads((out / "sweep.json").read_text())["differences"] == []
    assert "folder_seen is not compared with an end" in caplog.text


def test_a_choice_by_all_that_is_shown_is_said_to_flatter(folder, capsys):
    interpolated("--folder", "seen", "--prompts", "sci", "--alphas", "0", "1")
    assert "flatter" in capsys.readouterr().out
    assert "flatter" in Path("out/sweep.html").read_text() and "flatter" in Path("out/best/README.md").read_text()


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        (["--to", "local-dir:quick"], "--from uses gelu .* --to quickgelu"),
        (["--to", "local-dir:wide"], "different architectures .*embed_dim 16 against 8"),
        (["--to", "local-dir:start"], "same weights"),
        (["--to", "local-dir:nowhere"], "nowhere"),
        (["--to", "nothing"], "--to nothing: no such file or folder; for a tag"),
        (["--alphas", "0", "1.5"], "--alphas 1.5"),
        (["--alphas", "-0.5"], "--alphas -0.5"),
        (["--folder", "nowhere"], "--folder nowhere: no such folder"),
        (["--folder", "seen", "--choose-by", "fungi"], "--choose-by fungi: evaluated here are folder_seen"),
        (["--folder", "seen", "--taxon", "genus"], "genus"),
        (["--folder", "seen", "--prompts", "taxon"], "has no caption of kind taxon"),
        (["--precision", "amp"], "--precision amp needs CUDA"),
        (["--out", "kept.csv"], "is a file"),
        (["--lifestage"], "unknown flag --lifestage; did you mean --lifestages"),
    ],
)
def test_what_is_wrong_is_refused_in_one_line_before_anything_is_written(folder, capsys, flags, expected):
    before = sorted(folder.iterdir())
    with pytest.raises(SystemExit) as end:
        interpolated(*flags)
    said = capsys.readouterr().err
    assert end.value.code == 2
    assert said.startswith("taxaflow: ") and said.count("\n") == 1
    assert re.search(expected, said), said
    assert sorted(folder.iterdir()) == before


def test_results_of_other_settings_are_not_mixed_in(folder, capsys):
    interpolated("--folder", "seen", "--prompts", "sci", "--alphas", "0", "1")
    before = {path: path.read_bytes() for path in Path("out").rglob("*") if path.is_file()}
    with pytest.raises(SystemExit) as end:
        interpolated("--folder", "seen", "--prompts", "sci", "--alphas", "0", "1", "--precision", "amp_bf16")
    assert end.value.code == 2 and "another precision" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in Path("out").rglob("*") if path.is_file()} == before


def test_pictures_none_of_which_can_be_read_fail_in_one_line(folder, capsys):
    (folder / "broken" / "Amanita muscaria").mkdir(parents=True)
    (folder / "broken" / "Amanita muscaria" / "0.png").write_bytes(b"x")
    with pytest.raises(SystemExit) as end:
        interpolated("--folder", "broken", "--alphas", "0", "1")
    assert end.value.code == 1
    assert "not one picture could be read of folder_broken" in capsys.readouterr().err
