"""The flags of an embedding run, refused in one line before anything heavy is imported or anything written."""

import subprocess
import sys
from pathlib import Path

import pytest

from inference.embed.cli import main
from inference.embed.config import EmbedConfig, load
from taxonomy.errors import BadInputError


def test_flags_and_words_become_a_config(tmp_path):
    config = load(["a", "b", "--model", "RN50", "--format", "npy", "--dtype", "float16", "--out", str(tmp_path)])
    assert (config.inputs, config.format, config.dtype, config.out_dir) == (("a", "b"), "npy", "float16", tmp_path)


def test_a_part_is_whole_batches():
    sizes = [
        EmbedConfig(model="RN50", batch_size=batch, part_size=part).whole_batches
        for batch, part in ((64, 2048), (48, 100), (7, 1), (1, 5))
    ]
    assert sizes == [2048, 144, 7, 5]


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"format": "csv"}, "--format 'csv': allowed are parquet, npy"),
        ({"dtype": "int8"}, "--dtype 'int8': allowed are float32, float16"),
        ({"part_size": 0}, "--part-size 0: must be at least 1"),
        ({"out": __file__}, "--out .* is a file; give a folder"),
        ({"model": None}, "no model"),
    ],
)
def test_values_that_are_not_allowed_name_their_flag(given, says):
    with pytest.raises(BadInputError, match=says):
        EmbedConfig(**({"model": "RN50"} | given))


def ended(arguments: list[str], capsys) -> tuple[int, str]:
    with pytest.raises(SystemExit) as end:
        main(arguments)
    assert isinstance(end.value.code, int)
    return end.value.code, capsys.readouterr().err


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("--model RN50", "no pictures: name files or folders, or give --urls FILE or --shards MANIFEST"),
        ("nowhere --model RN50", "nowhere: No such file or directory"),
        ("empty --model RN50", "empty: no pictures in it"),
        ("photos", "no model: give --model"),
        ("photos --resume bare.bin", "--resume bare.bin: add --model, which says what it is the weights of"),
        ("photos --model RN50 --outt x", "unknown flag --outt; did you mean --out?"),
        ("photos --model RN50 --urls list.txt", "--urls list.txt: no such file"),
        ("photos --model RN50 --out taken", "--out taken: embeddings.npy is there, but no about.json"),
        ("photos --model RN50 --out damaged", "about.json: not what this command wrote"),
        ("photos --model RN50 --out newer", "about.json: schema_version is 99, 1 can be read"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2_and_nothing_written(tmp_path, monkeypatch, capsys, line, says):
    monkeypatch.chdir(tmp_path)
    for folder in ("photos", "empty", "taken", "damaged", "newer"):
        Path(folder).mkdir()
    Path("photos/a.jpg").write_bytes(b"x")
    Path("bare.bin").write_bytes(b"x")
    Path("taken/embeddings.npy").touch()
    Path("damaged/about.json").write_text("{}")
    Path("newer/about.json").write_text('{"schema_version": 99}')
    before = sorted(Path().rglob("*"))
    code, error = ended(line.split(), capsys)
    assert code == 2
    assert says in error
    assert error.count("\n") == 1
    assert sorted(Path().rglob("*")) == before


def test_help_loads_nothing_heavy():
    program = (
        "import sys\nfrom inference.embed.cli import main\n"
        "try: main(['--help'])\nexcept SystemExit as end: assert end.code == 0\n"
        "print([name for name in ('torch', 'numpy', 'pyarrow', 'open_clip', 'pyspark') if name in sys.modules])"
    )
    printed = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert printed.splitlines()[-1] == "[]"
    assert "examples:" in printed
