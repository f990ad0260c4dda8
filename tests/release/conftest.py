"""One export with everything in it, for all tests that look at it."""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

SPECIES = "Turdus merula\nParus major\nApis mellifera\n"


@dataclass(frozen=True)
class Released:
    """An exported folder, the checkpoint that it was made from, and what the command printed."""

    folder: Path
    checkpoint: Path
    printed: str


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Models of a few thousand weights wait for threads longer than they compute."""
    torch = sys.modules.get("torch")
    if torch is None:
        yield
        return
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def released(tmp_path_factory: pytest.TempPathFactory) -> Released:
    import contextlib
    import io

    from release.export.cli import main
    from tests.release.export.small_checkpoints import OWN_PIXELS, small_checkpoint

    place = tmp_path_factory.mktemp("released")
    checkpoint = small_checkpoint(place / "demo", **OWN_PIXELS)
    (place / "species.txt").write_text(SPECIES, encoding="utf-8")
    flags = ["--out", str(place / "out"), "--format", "pt", "onnx", "--labels", str(place / "species.txt")]
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        main(["--resume", str(place / "demo"), *flags, "--prompts", "sci", "--license", "cc-by-4.0"])
    return Released(place / "out", checkpoint, printed.getvalue())
