"""The parts of bench/predict.py and its report, and the whole of it with a small model, without pybioclip."""

import json
import os
import sys

import open_clip
import pytest
import torch

from bench import predict, predict_hollow
from bench.predict import compare, main, parse, read_answers
from bench.predict_report import FULL, HOLLOW, OURS, PEER, Agreement, Run, figures_of, per_picture
from bench.process_tree import CommandFailed
from tests.evaluation.small_models import SMALL

pytestmark = pytest.mark.torch


def runs(per_picture_s, mode, start_s=20.0):
    """Two repeats of each side over 10 and 60 pictures; the second takes twice as long to start."""
    return [
        Run(
            side,
            mode,
            repeat,
            number,
            start_s * (1 + repeat) + one * number,
            start_s * (1 + repeat) + one * number,
            900,
        )
        for repeat in range(2)
        for side, one in per_picture_s.items()
        for number in (60, 10)
    ]


def lines(figures):
    return {one.what: (one.value, one.is_met) for one in figures}


def test_what_a_picture_takes_is_free_of_what_the_start_takes():
    found = runs({OURS: 0.004, PEER: 0.03}, HOLLOW)
    assert per_picture(found, OURS, HOLLOW, "cpu_s") == pytest.approx([0.004, 0.004])
    assert per_picture(found, PEER, HOLLOW, "wall_s") == pytest.approx([0.03, 0.03])


@pytest.mark.parametrize("side", [OURS, PEER])
def test_what_is_lost_in_noise_meets_no_goal(side):
    found = lines(figures_of(runs({OURS: 0.004, PEER: 0.03} | {side: -0.001}, HOLLOW), {}))
    assert found["CPU outside the forward pass, ours over pybioclip's"][1] is False
    assert "lost in noise" in found[f"{side}: CPU outside the forward pass"][0]


@pytest.mark.parametrize(("ours", "is_met"), [(0.0099, True), (0.0101, False)])
def test_cpu_outside_the_forward_pass_has_a_goal(ours, is_met):
    found = lines(figures_of(runs({OURS: ours, PEER: 0.03}, HOLLOW), {}))
    assert found["CPU outside the forward pass, ours over pybioclip's"][1] is is_met
    assert found["pybioclip: CPU outside the forward pass"][0].startswith("30.00 ms (30.00 to 30.00), 33.3 a second")


@pytest.mark.parametrize(("ours", "is_met"), [(0.105, True), (0.106, False)])
def test_end_to_end_has_a_goal(ours, is_met):
    found = lines(figures_of(runs({OURS: ours, PEER: 0.1}, FULL), {FULL: Agreement(59, 60, 0.1)}))
    assert found["time end to end, ours over pybioclip's"][1] is is_met
    assert found["pybioclip: end to end, a picture"][0].endswith(", 10.0 a second")
    assert found["taxaflow: whole command, 60 pictures"][0].endswith("peak 900 MB (PSS)")
    assert found["same top-1, full"] == ("59 of 60, probabilities within 1.0e-01", False)


def test_without_the_peer_there_is_no_ratio():
    found = figures_of(runs({OURS: 0.1}, HOLLOW) + runs({OURS: 0.1}, FULL), {})
    assert len(found) == 3 and all(one.is_met and not one.goal for one in found)


def test_resize_is_a_flag_of_ours_alone_and_the_table_says_so(tmp_path):
    world = predict.World(tmp_path, [tmp_path / "1.jpg"], tmp_path, tmp_path, tmp_path, own_flags=["--resize", "fast"])
    assert [world.command(side, HOLLOW, 1).count("fast") for side in (OURS, PEER)] == [1, 0]
    assert parse(["--work", "x", "--resize", "fast"]).resize == "fast"
    found = figures_of(runs({OURS: 0.1, PEER: 0.1}, HOLLOW) + runs({OURS: 0.1, PEER: 0.1}, FULL), {}, world.own_flags)
    assert [one.what.split(":")[0] for one in found if ":" in one.what] == 3 * [PEER, "taxaflow --resize fast"]


def test_answers_of_both_sides_are_read_and_compared(tmp_path):
    (tmp_path / "peer.csv").write_text(
        "file_name,classification,score\na/1.jpg,x,0.75\na/2.jpg,y,0.5\na/2.jpg,x,0.25\n"
    )
    header = "picture,guess,taxon,rank,probability,cosine,reason\n"
    (tmp_path / "ours.csv").write_text(header + "b/1.jpg,1,x,label,0.7,0.1,\nb/2.jpg,1,x,label,0.5,0.1,\n")
    (tmp_path / "less.csv").write_text(header + "b/1.jpg,1,x,label,0.7,0.1,\nb/2.jpg,,,,,,damaged\n")
    peers, ours, less = (read_answers(tmp_path / f"{name}.csv") for name in ("peer", "ours", "less"))
    assert peers == {"1.jpg": ("x", 0.75), "2.jpg": ("y", 0.5)}
    assert compare(ours, peers) == Agreement(1, 2, pytest.approx(0.05))
    assert list(less) == ["1.jpg"]


@pytest.mark.parametrize(
    "arguments", [["--full", "5", "5"], ["--hollow", "0", "5"], ["--repeat", "0"], ["--threads", "0"]]
)
def test_sizes_that_give_no_difference_are_refused(arguments, capsys):
    with pytest.raises(SystemExit):
        parse(["--work", "x", *arguments])
    assert arguments[0] in capsys.readouterr().err


def test_hollow_embeddings_are_the_pictures_and_not_the_model_s(monkeypatch):
    monkeypatch.setattr(open_clip.model.CLIP, "encode_image", predict_hollow.hollow_encode_image)
    images = torch.randn(5, 3, 16, 16, generator=torch.Generator().manual_seed(1))
    made = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        model = open_clip.CLIP(**SMALL)
        made.append(torch.cat([model.encode_image(images[:2], normalize=True), model.encode_image(images[2:], True)]))
    assert torch.equal(*made)
    assert made[0].shape == (5, model.text_projection.shape[-1])
    torch.testing.assert_close(made[0].norm(dim=-1), torch.ones(5))
    assert len({tuple(row.tolist()) for row in made[0]}) == 5


def test_a_side_that_answers_too_little_is_no_run(tmp_path, monkeypatch):
    world = predict.World(tmp_path, [tmp_path / f"{number}.jpg" for number in range(3)], tmp_path, tmp_path, None)
    world.answers(OURS, FULL).write_text("picture,taxon,probability\n1.jpg,x,0.5\n")
    monkeypatch.setattr(predict.World, "command", lambda *given: [sys.executable, "-c", ""])
    with pytest.raises(CommandFailed, match="3 photos"):
        predict.run_one(world, OURS, FULL, 3, 0, tmp_path)


@pytest.mark.process
@pytest.mark.long
def test_the_whole_measures_our_side(tmp_path, capsys):
    arguments = ["--work", str(tmp_path), "--repeat", "1", "--hollow", "2", "6", "--full", "2", "5"]
    assert main([*arguments, "--edge-px", "240", "--no-peer", "--model", "ViT-S-32-alt"]) == 0
    printed = capsys.readouterr().out.splitlines()
    assert len(printed) == 2 + 3 and "outside the forward pass" in printed[2] and "end to end" in printed[3]
    logged = [json.loads(line) for line in (tmp_path / "runs.jsonl").read_text().splitlines()]
    assert [(run["mode"], run["pictures"]) for run in logged] == [(HOLLOW, 2), (HOLLOW, 6), (FULL, 2), (FULL, 5)]
    assert len(read_answers(tmp_path / "out" / f"{OURS}-{FULL}.csv")) == 5


@pytest.mark.process
@pytest.mark.long
def test_both_sides_name_photos_alike_where_pybioclip_is_installed(tmp_path, capsys):
    place = os.environ.get("TAXAFLOW_PYBIOCLIP")
    if place is None:
        pytest.skip("set TAXAFLOW_PYBIOCLIP to the folder of an environment with pybioclip (DIR/pybioclip-venv)")
    (tmp_path / "pybioclip-venv").symlink_to(place)
    arguments = ["--work", str(tmp_path), "--repeat", "1", "--hollow", "2", "6", "--modes", HOLLOW]
    main([*arguments, "--model", "ViT-S-32-alt", "--edge-px", "240"])
    assert "| same top-1, hollow | 6 of 6, probabilities within" in capsys.readouterr().out
