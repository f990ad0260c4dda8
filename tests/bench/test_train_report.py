"""The tables and goals of bench/train.py on figures worked by hand. No torch."""

from dataclasses import replace

import pytest

from bench.train_report import NO_DEVICE, ReaderRun, Results, Setting, StepRun, TransformResult, goals, render

SETTING = Setting("60 photos", 500, 10, 1, 4, 6)
FAST = ReaderRun("taxaflow fast", "webdataset", SETTING, 0, 60, 0.5, 0.12, 3.0, 4.0)
PEER = replace(FAST, reader="open_clip", wall_s=2.0, cpu_s=0.18)
TRANSFORM = TransformResult(500, 0, {"taxaflow exact": 2.0, "taxaflow fast": 1.0, "open_clip": 3.0}, 50, 0.4, 3.5)
STEP = StepRun("X1", "ViT-B-16", "taxaflow", 1000, [0.5, 0.4, 0.8], 0.45, 7e4, "900 of 50 tokens")


def rows(results):
    return {goal.name: (goal.value, str(goal).split("|")[-2].strip()) for goal in goals(results)}


def test_figures_are_per_sample():
    assert FAST.samples_per_s == 120
    assert FAST.cpu_ms == pytest.approx(2.0)
    assert STEP.images_per_s == pytest.approx([2000, 2500, 1250])


def test_ratios_are_of_medians_and_point_the_right_way():
    slow = replace(FAST, wall_s=5.0, cpu_s=1.2)
    found = rows(Results([FAST, replace(FAST, repeat=1), replace(slow, repeat=2), PEER]))
    speed, verdict = found["500 px, webdataset: samples/s, taxaflow fast / open_clip"]
    assert (speed, verdict) == (pytest.approx(4.0), "met")
    cpu, verdict = found["500 px, webdataset: CPU-ms, open_clip / taxaflow fast"]
    assert (cpu, verdict) == (pytest.approx(1.5), "missed")


def test_our_own_layout_is_compared_with_the_peer_on_its():
    own = replace(FAST, shards="manifest", wall_s=0.25)
    found = rows(Results([own, FAST, PEER]))
    assert found["500 px, manifest: samples/s, taxaflow fast / open_clip"][0] == pytest.approx(8.0)


def test_without_the_peer_nothing_is_met():
    assert {verdict for _, verdict in rows(Results([FAST])).values()} == {"not measured"}


def test_transforms_and_their_difference():
    found = rows(Results(transforms=[TRANSFORM, replace(TRANSFORM, repeat=1, difference=3.1)]))
    assert found["500 px, transform alone: CPU-ms, open_clip / taxaflow fast"] == (pytest.approx(3.0), "met")
    assert found["500 px: mean difference of fast to exact, levels"] == (3.1, "missed")


def test_without_a_device_no_figure_of_one_is_printed():
    printed = render(Results([FAST, PEER], [TRANSFORM], [STEP], has_device=False))
    assert NO_DEVICE in printed
    assert "ViT" not in printed and "2,000" not in printed
    assert NO_DEVICE not in render(Results([FAST]))


def test_steps_are_compared_by_model():
    peer = replace(STEP, side="open_clip", step_s=[1.0, 1.0, 1.0], mfu=0.2)
    results = Results(steps=[STEP, peer], has_device=True)
    assert rows(results)["ViT-B-16: images/s, taxaflow / open_clip"] == (pytest.approx(2.0), "met")
    assert rows(results)["ViT-L-14: MFU"] == (None, "not measured")
    assert "| ViT-B-16 | taxaflow | 1000 | 2,000 (1,250-2,500) | 45.0% | 70,000 | 900 of 50 tokens |" in render(results)


def test_a_row_per_reader_and_a_table_per_setting():
    other = replace(FAST, setting=replace(SETTING, edge_px=1024, photos="big ones"))
    printed = render(Results([FAST, replace(FAST, repeat=1, wall_s=1.0), PEER, other]))
    assert "| taxaflow fast | webdataset | 90 (60-120) | 2.00 | 3.0 | 4.0 |" in printed
    assert "Median of 2 runs" in printed and "Median of 1 run " in printed
    assert printed.count("**Data path: ") == 2 and "big ones" in printed
