"""What is kept in temporary files while pictures are listed, where there is no room for it."""

import tempfile
from functools import partial
from pathlib import Path

import pytest

from inference.inputs.open_inputs import open_inputs
from inference.inputs.sorted_names import sorted_names
from taxonomy.errors import WorkFailedError
from tests.small_disk import small_disk


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for name in ("a.jpg", "b.jpg"):
        (folder / name).write_bytes(b"x")
    return folder


@pytest.mark.parametrize("at_once", [1, 100_000])
def test_without_room_for_the_list_the_work_failed_in_one_line(photos, tmp_path, monkeypatch, at_once):
    monkeypatch.setattr("inference.inputs.walk.sorted_names", partial(sorted_names, at_once=at_once))
    for place in (tmp_path / "gone", Path("/dev/null")):
        monkeypatch.setattr(tempfile, "tempdir", str(place))
        with pytest.raises(
            WorkFailedError, match=r"^the list of pictures cannot be kept in a .* directory; set TMPDIR$"
        ):
            open_inputs([str(photos)])
    with small_disk(tmp_path / "disk", "64k") as disk:
        (disk / "ballast").write_bytes(b"x" * 64 * 1024)
        monkeypatch.setattr(tempfile, "tempdir", str(disk))
        with pytest.raises(
            WorkFailedError, match=r"^the list of pictures cannot be kept in a temporary file: No space"
        ):
            open_inputs([str(photos)])
