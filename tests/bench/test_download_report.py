"""The report of the download measurement: who is charged for what, which goals hold, the table."""

import json
from dataclasses import asdict, replace

import pytest

from bench.download_ledger import DRIVER, JVM, OTHER, WORKERS
from bench.download_report import (
    DownloadRun,
    Goal,
    Setting,
    check_of_cpu,
    from_json,
    goals,
    ratio,
    render,
    setting_table,
    spread,
)
from bench.download_server import Served

HTTP, HTTPS = Setting("http", 1000), Setting("https", 1000)
TEN, FORTY = Setting("http", 1000, 10), Setting("http", 1000, 40)


def run(tool, setting=HTTP, worker_cpu_s=0.5, other_cpu_s=10.0, images_per_s=1000.0, rss=100.0):
    ours = tool.startswith("taxaflow")
    cpu_s = {DRIVER: other_cpu_s, JVM: 0.0, WORKERS: worker_cpu_s if ours else 0.0, OTHER: 0.0}
    served = Served(setting.num_rows, setting.num_rows, setting.num_rows / images_per_s)
    kernel_cpu_s = other_cpu_s * (0.1 if ours else 1.0)
    return DownloadRun(tool, ours, setting, 20.0, cpu_s, kernel_cpu_s, rss, 500.0, served, setting.num_rows)


def verdicts(runs):
    return {goal.name: (goal.value, goal.verdict) for goal in goals(runs)}


def test_cpu_of_ours_is_the_workers_and_of_others_everything():
    assert run("taxaflow curl", worker_cpu_s=0.7, other_cpu_s=9).cpu_ms == pytest.approx(0.7)
    assert run("taxaflow curl", worker_cpu_s=0.7, other_cpu_s=9).tree_cpu_s == pytest.approx(9.7)
    assert run("img2dataset", other_cpu_s=3).cpu_ms == pytest.approx(3.0)
    assert run("img2dataset", TEN, other_cpu_s=3).cpu_ms == pytest.approx(0.3)


def test_each_transport_has_its_own_goal():
    found = verdicts([run("taxaflow curl", worker_cpu_s=1.5), run("taxaflow requests", worker_cpu_s=1.5, rss=251)])
    assert found == {
        "CPU-ms per image, taxaflow curl": (1.5, "missed"),
        "peak RSS of a Python worker, MB, taxaflow curl": (100.0, "met"),
        "CPU-ms per image, taxaflow requests": (1.5, "met"),
        "peak RSS of a Python worker, MB, taxaflow requests": (251.0, "missed"),
    }


@pytest.mark.parametrize(
    ("setting", "peer_cpu_s", "verdict"),
    [(HTTP, 2.5, "met"), (HTTP, 2.4, "missed"), (HTTPS, 30, "met"), (HTTPS, 29, "missed")],
)
def test_the_peer_costs_as_many_times_more_as_wanted(setting, peer_cpu_s, verdict):
    runs = [run("taxaflow curl", setting, worker_cpu_s=1.0), run("taxaflow requests", setting, worker_cpu_s=9)]
    [goal] = [
        one for one in goals([*runs, run("img2dataset", setting, other_cpu_s=peer_cpu_s)]) if "CPU-ms, " in one.name
    ]
    assert (goal.value, goal.verdict) == (pytest.approx(peer_cpu_s), verdict)


@pytest.mark.parametrize(
    ("setting", "ours", "verdict"),
    [
        (TEN, 2500, "met"),
        (TEN, 2400, "missed"),
        (HTTP, 2400, "reported"),
        (Setting("https", 1000, 10), 9, "reported"),
        (Setting("http", 1000, 10, True), 9, "reported"),
    ],
)
def test_speed_is_a_goal_on_http_with_the_list_asked_ten_times(setting, ours, verdict):
    runs = [run("taxaflow curl", setting, images_per_s=ours), run("img2dataset", setting, images_per_s=1000)]
    [goal] = [one for one in goals(runs) if "images/s" in one.name]
    assert (goal.value, goal.verdict) == (pytest.approx(ours / 1000), verdict)


@pytest.mark.parametrize(("rss", "verdict"), [(104, "met"), (120, "missed")])
def test_a_long_list_takes_no_more_memory_than_a_short_one(rss, verdict):
    runs = [run("taxaflow curl", rss=100), run("taxaflow curl", FORTY, rss=rss), run("taxaflow requests", rss=50)]
    [goal] = [one for one in goals(runs) if "asked once" in one.name]
    assert (goal.value, goal.verdict) == (pytest.approx(rss / 100), verdict)
    assert not [one for one in goals(runs[1:]) if "asked once" in one.name]


def test_a_further_photo_costs_what_the_longer_list_costs_more():
    runs = [run("taxaflow curl", worker_cpu_s=2.0), run("taxaflow curl", TEN, worker_cpu_s=6.5), run("biotrove", TEN)]
    [goal] = [one for one in goals(runs) if "beyond the first 1,000" in one.name]
    assert (goal.value, goal.verdict) == (pytest.approx(0.5), "reported")


def test_medians_count_and_the_first_of_ours_is_the_default():
    runs = [run("taxaflow requests", worker_cpu_s=cpu_s) for cpu_s in (1, 5, 3)]
    runs += [run("taxaflow curl", worker_cpu_s=1), run("img2dataset", other_cpu_s=6)]
    found = verdicts(runs)
    assert found["CPU-ms per image, taxaflow requests"] == (3, "missed")
    assert found["CPU-ms, img2dataset / taxaflow requests"] == (2, "missed")


def test_ratio_of_what_is_missing_or_nothing_is_none():
    runs = [run("img2dataset"), run("taxaflow curl", worker_cpu_s=0.0)]
    assert ratio(runs, "img2dataset", "biotrove", lambda one: one.cpu_ms) is None
    assert ratio(runs, "img2dataset", "taxaflow curl", lambda one: one.cpu_ms) is None
    assert Goal(HTTP, "speed", None, 1.0).verdict == "not measured"


def test_a_row_of_the_table_is_a_tool_with_its_median_and_range():
    runs = [run("taxaflow curl", images_per_s=speed) for speed in (2000, 1000, 3000)] + [run("biotrove")] * 3
    lines = setting_table(HTTP, runs).splitlines()
    assert lines[0] == "**http, 1,000 photos**"
    assert lines[4] == "| taxaflow curl | 2,000 (1,000-3,000) | 20.0 | 0.50 | 10.50 | 100 | 500 | 1,000 | 1,000 |"
    assert lines[5] == "| biotrove | 1,000 | 20.0 | 10.00 | 10.00 | 100 | 500 | 1,000 | 1,000 |"
    assert lines[7].startswith("Median of 3 runs")


def test_all_is_printed_once_per_setting():
    runs = [run("taxaflow curl", setting) for setting in (HTTP, HTTPS, HTTP, TEN)]
    text = render(runs)
    assert [line for line in text.splitlines() if line.startswith("**")] == [f"**{one}**" for one in (HTTP, HTTPS, TEN)]
    assert "| https, 1,000 photos | CPU-ms per image, taxaflow curl | 0.50 | ≤ 1 | met |" in text
    assert "no peer ran" in text
    assert str(Setting("http", 5000, 1, True)) == ("http, 5,000 photos, 50 ms and two flights")


def test_spread_names_the_range_only_where_there_is_one():
    assert spread([1.0, 1.001], 2) == "1.00"
    assert spread([3.0, 1.0, 2.0], 1) == "2.0 (1.0-3.0)"


def test_cpu_as_seen_is_compared_with_the_kernels_for_peers_alone():
    runs = [run("taxaflow curl"), run("img2dataset"), replace(run("biotrove"), kernel_cpu_s=12.5)]
    assert "80.0% to 100.0%" in check_of_cpu([*runs, replace(runs[1], kernel_cpu_s=99.0, wall_s=2.0)])
    assert runs[2].cpu_ms == 12.5


def test_a_run_survives_the_log():
    one = run("taxaflow curl", TEN)
    assert from_json(json.loads(json.dumps(asdict(one)))) == one
