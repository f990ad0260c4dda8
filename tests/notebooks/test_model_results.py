"""The notebook on models: it runs from the first cell to the last on a few result files."""

import json
import os
import re
from pathlib import Path

import pytest

from tests.evaluation.report.result_files import TASKS, write_results

PROJECT = Path(__file__).resolve().parents[2]
NOTEBOOK = PROJECT / "notebooks" / "02_model_results.ipynb"


def _outputs(results: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, list[dict]]:
    import nbformat
    from nbclient import NotebookClient

    monkeypatch.setenv("TAXAFLOW_RESULTS", str(results))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(PROJECT), os.environ.get("PYTHONPATH", "")]))
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    client = NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(NOTEBOOK.parent)}})
    return {cell["id"]: cell.get("outputs", []) for cell in client.execute()["cells"]}


@pytest.mark.process
def test_runs_on_results_of_three_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_results(tmp_path, draws=5)
    outputs = _outputs(tmp_path, monkeypatch)
    texts = {name: json.dumps(output) for name, output in outputs.items()}
    assert "Results: 24, models: 3, benchmarks: 4" in texts["inputs"]
    for name in ("top1", "levels", "classes", "confidence"):
        assert "Plotly.newPlot" in texts[name], name
        assert not re.search(r"<(script|link|img)[^>]*(src|href)=.{0,2}https?:", texts[name]), name
    assert "BioTrove-Unseen" in texts["top1"]
    assert "rolled up" in texts["levels"]
    assert re.search(r"\w+ \w+ taken for \w+ \w+: \d+ times", texts["confusions"])
    assert [each for each in outputs["confusions"] if "image/png" in each.get("data", {})]
    rows = re.findall(r"<th>(oaks/epoch_12.pt|ViT-B-16)</th>", outputs["pairs"][0]["data"]["text/html"])
    assert len(rows) == 8


def test_one_result_of_one_model_is_enough(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (record, *_) = write_results(tmp_path, draws=5, tasks=[TASKS[3]])
    for path in tmp_path.glob("*.json"):
        if json.loads(path.read_text())["model"]["hash"] != record["model"]["hash"]:
            path.unlink()
    monkeypatch.setenv("TAXAFLOW_RESULTS", str(tmp_path))
    names: dict[str, object] = {}
    for cell in json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]:
        if cell["cell_type"] == "code":
            exec("".join(cell["source"]), names)
    said = capsys.readouterr().out
    assert "Results: 1, models: 1, benchmarks: 1" in said
    assert "one level alone" in said
    assert "Nothing to compare hf-hub:imageomics/bioclip with." in said
