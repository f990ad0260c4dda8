"""Uploads of a folder to a stand-in of the hub: what is there afterwards, and how each failure ends."""

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from release.export.push import Repository, check_token, push
from release.folder.whole_folder import whole_folder
from taxonomy.errors import BadInputError, WorkFailedError
from tests.release.export.hub_stand_in import READ_ONLY, TOKEN, Hub, hub_stand_in

CARD = "---\nlicense: mit\n---\n# A model\n"
FILES = {"open_clip_config.json": "{}", "open_clip_model.safetensors": "weights", "labels/embeddings.npy": "numbers"}
NAME = "org/model"


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Hub]:
    with hub_stand_in() as running:
        monkeypatch.setenv("HF_ENDPOINT", running.endpoint)
        monkeypatch.setenv("HF_TOKEN", TOKEN)
        # large files by plain HTTP, which the stand-in speaks, rather than by the client's own protocol
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_XET", True)
        monkeypatch.setattr(time, "sleep", lambda seconds: None)  # the client waits between its tries
        yield running


def folder_of(place: Path, files: dict[str, str] = FILES, card: str = CARD) -> Path:
    out = place / "released"
    with whole_folder(out, {"label": "a model"}) as folder:
        for name, content in (files | {"README.md": card}).items():
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_text(content, encoding="utf-8")
    return out


def content_of(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_push_is_one_commit_of_the_whole_folder(hub: Hub, tmp_path: Path) -> None:
    folder = folder_of(tmp_path)
    address = push(folder, Repository(NAME), "a model, weights abc")
    commits = hub.repositories[NAME].branches["main"]
    assert [commit.message for commit in commits] == ["initial commit", "a model, weights abc"]
    assert hub.files(NAME) == content_of(folder) | {".gitattributes": b"*.safetensors filter=lfs\n"}
    assert address == f"{hub.endpoint}/{NAME}/commit/{commits[-1].sha}"
    assert not hub.repositories[NAME].private


def test_the_same_content_again_is_nothing_to_do(hub: Hub, tmp_path: Path) -> None:
    folder = folder_of(tmp_path)
    push(folder, Repository(NAME), "first")
    del hub.requests[:]
    assert push(folder, Repository(NAME), "second") is None
    assert len(hub.repositories[NAME].branches["main"]) == 2
    assert not [one for one in hub.requests if one.startswith("PUT") or "/commit/" in one]


def test_a_later_push_removes_what_an_earlier_one_left_and_nothing_else(hub: Hub, tmp_path: Path) -> None:
    hub.add(NAME, {"notes.txt": b"of the owner", "image_encoder.onnx": b"of the owner"})
    push(folder_of(tmp_path), Repository(NAME), "first")
    folder = folder_of(tmp_path, {"open_clip_config.json": "{}", "open_clip_model.safetensors": "other weights"})
    push(folder, Repository(NAME), "second")
    assert hub.files(NAME) == content_of(folder) | {"notes.txt": b"of the owner", "image_encoder.onnx": b"of the owner"}
    assert len(hub.repositories[NAME].branches["main"]) == 3


def test_private_holds_for_a_new_repository_and_is_not_broken_by_an_old_one(hub: Hub, tmp_path: Path) -> None:
    folder = folder_of(tmp_path)
    push(folder, Repository("org/new", must_be_private=True), "first")
    assert hub.repositories["org/new"].private
    assert push(folder, Repository("org/new"), "again") is None  # without the flag it stays as it is
    assert hub.repositories["org/new"].private
    hub.add(NAME)
    with pytest.raises(WorkFailedError, match=r"org/model: it is public"):
        push(folder, Repository(NAME, must_be_private=True), "first")
    assert hub.files(NAME) == {}
    assert not [one for one in hub.requests if NAME in one and one.startswith(("PUT", "POST /api/models"))]


def test_a_branch_is_made_and_main_stays(hub: Hub, tmp_path: Path) -> None:
    hub.add(NAME, {"notes.txt": b"x"})
    folder = folder_of(tmp_path)
    push(folder, Repository(NAME, revision="v2"), "first")
    assert push(folder, Repository(NAME, revision="v2"), "second") is None
    assert hub.files(NAME) == {"notes.txt": b"x"}
    assert hub.files(NAME, "v2") == content_of(folder) | {"notes.txt": b"x"}


@pytest.mark.parametrize(
    ("refuse", "said"),
    [
        ({"POST /api/repos/create": 401, "GET /api/models": 401}, r"does not accept the token.*HF_TOKEN.*HTTP 401"),
        ({"GET /api/models": 404}, r"no such repository.*HTTP 404"),
        ({"preupload": 503}, r"HTTP 503"),
        ({"PUT /lfs": 403}, r"Error while uploading '.*' to the Hub.*HTTP 403"),
        ({"PUT /lfs": 0}, r"Error while uploading '.*' to the Hub"),
        ({"/commit/": 500}, r"HTTP 500"),
        ({"/commit/": 0}, r"cannot be reached"),
    ],
)
def test_a_failure_ends_in_one_line_and_without_a_commit(
    hub: Hub, tmp_path: Path, refuse: dict[str, int], said: str
) -> None:
    hub.add(NAME, {"notes.txt": b"x"})
    hub.refuse |= refuse
    with pytest.raises(WorkFailedError, match=rf"^--push org/model: .*{said}") as raised:
        push(folder_of(tmp_path), Repository(NAME), "first")
    assert "\n" not in str(raised.value)
    assert TOKEN not in str(raised.value)
    assert hub.files(NAME) == {"notes.txt": b"x"}


def test_after_a_failure_the_same_push_completes(hub: Hub, tmp_path: Path) -> None:
    folder = folder_of(tmp_path)
    hub.refuse["/commit/"] = 500
    with pytest.raises(WorkFailedError):
        push(folder, Repository(NAME), "first")
    hub.refuse.clear()
    del hub.requests[:]
    push(folder, Repository(NAME), "first")
    assert hub.files(NAME).items() >= content_of(folder).items()
    assert not [one for one in hub.requests if one.startswith("PUT")]  # large files are there already


def test_another_commit_meanwhile_is_not_overwritten(hub: Hub, tmp_path: Path) -> None:
    hub.add(NAME, {"notes.txt": b"x"})

    def someone_else() -> None:
        hub.before_commit = None
        commits = hub.repositories[NAME].branches["main"]
        commits.append(type(commits[-1])("f" * 40, "theirs", {"notes.txt": (b"theirs", False)}))

    hub.before_commit = someone_else
    with pytest.raises(WorkFailedError, match="changed meanwhile"):
        push(folder_of(tmp_path), Repository(NAME), "first")
    assert hub.files(NAME) == {"notes.txt": b"theirs"}


def test_a_card_that_the_hub_refuses_is_said(hub: Hub, tmp_path: Path) -> None:
    with pytest.raises(WorkFailedError, match=r"Invalid metadata in README.md"):
        push(folder_of(tmp_path, card="---\nlicense: [\n---\n"), Repository(NAME), "first")
    assert set(hub.files(NAME)) == {".gitattributes"}


def test_a_hub_that_is_down_is_said(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(WorkFailedError, match=r"the hub at http://127.0.0.1:9 cannot be reached"):
        push(folder_of(tmp_path), Repository(NAME), "first")
    with pytest.raises(WorkFailedError, match=r"the hub at http://127.0.0.1:9 cannot be reached"):
        check_token(Repository(NAME))


def test_the_token_is_checked_before_any_work(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    check_token(Repository(NAME))
    monkeypatch.setenv("HF_TOKEN", "hf_wrong")
    with pytest.raises(WorkFailedError, match=r"^--push org/model: .*does not accept the token.*\(HTTP 401\)$"):
        check_token(Repository(NAME))
    monkeypatch.delenv("HF_TOKEN")
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(tmp_path / "no token"))
    with pytest.raises(BadInputError, match=r"there is no token for the hub: set HF_TOKEN"):
        check_token(Repository(NAME))
    assert hub.requests == ["GET /api/whoami-v2"] * 2


@pytest.mark.parametrize("token", ["hf_of\x0bmine", "hf_of\u2026mine", "hf_of\x7fmine", "hf_of\tmine"])
def test_what_is_no_token_is_refused_without_showing_it(hub: Hub, monkeypatch: pytest.MonkeyPatch, token: str) -> None:
    monkeypatch.setenv("HF_TOKEN", token)
    with pytest.raises(BadInputError, match=r"^--push org/model: .* letters that no token has") as raised:
        check_token(Repository(NAME))
    assert "mine" not in str(raised.value)
    assert hub.requests == []


@pytest.mark.parametrize("route", ["GET /api/models", "create", "preupload", "batch", "/commit/"])
@pytest.mark.parametrize("answer", [b"<html>", b"[]", b"{}", b"null", b'"text"'])
def test_an_odd_answer_ends_in_one_line_and_without_a_commit(
    hub: Hub, tmp_path: Path, route: str, answer: bytes
) -> None:
    if route != "create":
        hub.add(NAME, {"notes.txt": b"x"})
    hub.answers[route] = answer
    with pytest.raises(WorkFailedError, match=r"^--push org/model: .+") as raised:
        push(folder_of(tmp_path), Repository(NAME), "first")
    assert "\n" not in str(raised.value)
    assert route == "create" or hub.files(NAME) == {"notes.txt": b"x"}


def test_an_odd_answer_is_said_to_be_one(hub: Hub) -> None:
    hub.answers["whoami"] = b"<html>"
    with pytest.raises(WorkFailedError, match=rf"the hub at {hub.endpoint} gave an odd answer \(JSONDecodeError"):
        check_token(Repository(NAME))


def test_an_address_that_is_none_is_said(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://[::1")
    with pytest.raises(WorkFailedError, match=r"^--push org/model: .*port"):
        check_token(Repository(NAME))


def test_why_the_hub_refused_is_said(hub: Hub, tmp_path: Path) -> None:
    hub.add(NAME)
    hub.refuse["/commit/"] = 400
    said = r"^--push org/model: Bad request.*: refused with 400: Bearer <token> \(HTTP 400\)$"
    with pytest.raises(WorkFailedError, match=said):  # the stand-in repeats the token as some proxies do
        push(folder_of(tmp_path), Repository(NAME), "first")


def test_a_token_that_may_only_read_is_refused(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.add(NAME, {"notes.txt": b"x"})
    monkeypatch.setenv("HF_TOKEN", READ_ONLY)
    check_token(Repository(NAME))
    for name in (NAME, "org/new"):
        with pytest.raises(WorkFailedError, match=rf"^--push {name}: .*may not write there.*\(HTTP 403\)"):
            push(folder_of(tmp_path), Repository(name), "first")
    assert hub.files(NAME) == {"notes.txt": b"x"}
    assert hub.repositories.keys() == {NAME}


def test_a_foreign_record_on_the_hub_removes_nothing(hub: Hub, tmp_path: Path) -> None:
    there = {"taxaflow.json": json.dumps({"files": {"notes.txt": "0"}}).encode(), "notes.txt": b"x"}
    hub.add(NAME, there)
    push(folder_of(tmp_path), Repository(NAME), "first")
    assert hub.files(NAME)["notes.txt"] == b"x"
