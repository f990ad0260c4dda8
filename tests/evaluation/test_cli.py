"""The evaluation as a command: help at once, one line and exit code 2 for what is wrong, one ending for many ranks."""

import json
import subprocess
import sys

import pytest

from evaluation import cli
from taxonomy.errors import BadInputError, WorkFailedError
from taxonomy.launch_folder import FOLDER_VARIABLE

HEAVY = ("torch", "open_clip", "numpy", "scipy", "pandas", "pyspark")


def ended(arguments, capsys):
    """(exit code, stderr) of the command in this process."""
    with pytest.raises(SystemExit) as end:
        cli.main(arguments)
    return end.value.code, capsys.readouterr().err


@pytest.fixture
def runs(monkeypatch):
    """What was run: the configs, instead of evaluations."""
    seen = []
    monkeypatch.setattr(cli, "_opened", lambda config: [])
    monkeypatch.setattr(cli, "set_up_logging", lambda debug: None)
    monkeypatch.setattr(cli, "_runner", lambda: lambda config, benchmarks: seen.append(config))
    return seen


def test_help_loads_nothing_heavy():
    program = (
        "import sys\nfrom evaluation.cli import main\n"
        "try: main(['--help'])\nexcept SystemExit as end: assert end.code == 0\n"
        f"print([name for name in {HEAVY} if name in sys.modules])"
    )
    printed = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert printed.splitlines()[-1] == "[]"
    assert "examples:" in printed


@pytest.mark.parametrize("module", ["evaluation.protocols", "evaluation.run_options", "evaluation.settings.flags"])
def test_settings_can_be_imported_without_torch(module):
    program = f"import sys, {module}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_a_right_command_is_run_with_its_config(runs, tmp_path):
    cli.main(["--", "--model", "RN50", "--folder", str(tmp_path), "--seed", "3"])
    assert [(config.model, config.folder, config.seed) for config in runs] == [("RN50", str(tmp_path), 3)]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--fungy"], "taxaflow: unknown flag --fungy; did you mean --fungi?"),
        (["--taxon", "genera", "--fungi", "--model", "RN50"], "taxaflow: --taxon 'genera': allowed are all, "),
        (["--folder", "nowhere", "--model", "RN50"], "taxaflow: --folder nowhere: no such folder"),
        (["--fungi"], "taxaflow: no model: give --model "),
    ],
)
def test_a_wrong_command_ends_in_one_line_and_writes_nothing(runs, tmp_path, monkeypatch, capsys, arguments, expected):
    monkeypatch.chdir(tmp_path)
    code, said = ended(arguments, capsys)
    assert (code, runs, list(tmp_path.iterdir())) == (2, [], [])
    assert said.startswith(expected)
    assert said.count("\n") == 1


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (BadInputError("no such thing"), 2, "taxaflow: no such thing"),
        (WorkFailedError("no network"), 1, "taxaflow: no network"),
        (KeyError("x"), 1, "taxaflow: KeyError: 'x' (--debug shows the trace)"),
    ],
)
def test_a_failure_of_the_work_ends_in_one_line(monkeypatch, tmp_path, capsys, error, code, line):
    def fail(config):
        raise error

    monkeypatch.setattr(cli, "_opened", fail)
    assert ended(["--model", "RN50", "--folder", str(tmp_path)], capsys) == (code, f"{line}\n")


def test_a_rank_leaves_its_line_to_the_parent(monkeypatch, tmp_path, capsys):
    def fail(config):
        raise BadInputError("no such thing")

    monkeypatch.setattr(cli, "_opened", fail)
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))
    for _ in range(2):  # the first is heard
        assert ended(["--model", "RN50", "--folder", str(tmp_path)], capsys) == (2, "")
    assert json.loads((tmp_path / "ending.json").read_text()) == {"line": "taxaflow: no such thing", "code": 2}


def test_many_processes_are_started_unless_this_is_one_of_them(monkeypatch, tmp_path, runs):
    started = []
    monkeypatch.setattr(cli, "launch", lambda arguments, number: started.append((arguments, number)) or 0)
    arguments = ["--model", "RN50", "--folder", str(tmp_path), "--nproc", "3"]
    with pytest.raises(SystemExit) as end:
        cli.main(arguments)
    assert (end.value.code, started, runs) == (0, [(arguments, 3)], [])
    monkeypatch.setenv("RANK", "1")
    cli.main(arguments)
    assert len(runs) == len(started) == 1


def test_a_missing_package_is_named(monkeypatch, tmp_path, capsys):
    def missing(name):
        raise ModuleNotFoundError("No module named 'open_clip'", name="open_clip")

    monkeypatch.setattr("taxonomy.needed.import_module", missing)
    code, said = ended(["--model", "RN50", "--folder", str(tmp_path)], capsys)
    assert (code, said) == (2, "taxaflow: evaluation needs the package open_clip: pip install 'taxaflow[eval]'\n")


def test_the_console_command_takes_the_same_flags(runs, tmp_path, monkeypatch):
    import taxaflow

    taxaflow.app(["eval", "--model", "RN50", "--folder", str(tmp_path), "--fungi"], standalone_mode=False)
    assert [(config.model, config.fungi) for config in runs] == [("RN50", True)]
