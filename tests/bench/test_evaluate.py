"""The measurement of the evaluation: a line for every figure, exit code 1 for a missed goal."""

import pytest

from bench.evaluate import Figure, main, render

pytestmark = pytest.mark.torch

SMALL = ["--images", "300", "--classes", "40", "--width", "16", "--prompt-classes", "6"]
SMALL += ["--few-shot-classes", "8", "--few-shot-images", "60"]


def test_small_sizes_print_a_line_for_every_figure(capsys):
    main(SMALL)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("| what") and len(lines) == 2 + 9
    measured = {line.split(" | ")[0].split(": ")[-1]: line.split(" | ")[1] for line in lines[2:]}
    assert "core-s" in measured["with all metrics"] and "GB" in measured["peak memory"]
    assert float(measured["times faster"]) > 0 and any("100.00% of the guesses agree" in line for line in lines)


def test_a_missed_goal_is_said_and_ends_with_1(monkeypatch, capsys):
    missed = [Figure("a", "3 s", "<= 2 s", False), Figure("b", "1 s")]
    monkeypatch.setattr("bench.evaluate.measure", lambda given: missed)
    assert main([]) == 1 and "MISSED" in capsys.readouterr().out
    monkeypatch.setattr("bench.evaluate.measure", lambda given: missed[1:])
    assert main([]) == 0
    assert render(missed).splitlines()[-1] == "| b | 1 s |  |  |"
