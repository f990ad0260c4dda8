"""A list of URLs is fetched once, each URL once; what did not come has a reason."""

from pathlib import Path

import pytest

from inference.inputs.open_inputs import open_inputs
from taxonomy.errors import BadInputError, WorkFailedError
from tests import fault_server as faults
from tests.fault_server import FaultServer
from tests.picture_bodies import HTML, jpeg

AGENT = "taxaflow-test/1 (me@example.org)"


@pytest.fixture
def server():
    with FaultServer() as running:
        for number in (1, 2):
            running.add(f"/{number}.jpg", faults.ok(jpeg(number)))
        running.add("/page.jpg", faults.ok(HTML))
        yield running


def opened(path: Path, **more):
    return open_inputs([], urls=str(path), images_dir=path.parent / "images", **({"user_agent": AGENT} | more))


def write(folder: Path, text: str, name: str = "list.txt") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_a_text_of_urls_is_fetched_when_it_is_gone_through(server, tmp_path):
    urls = [server.url("/1.jpg"), server.url("/gone.jpg"), server.url("/2.jpg"), server.url("/page.jpg")]
    text = f"# photos\n\n{urls[0]}\n{urls[1]}\n  {urls[2]}\n{urls[0]}\n{urls[3]}\nno address\n"
    inputs = opened(write(tmp_path, text))
    assert inputs.total == 5
    assert not (tmp_path / "images").exists()
    pictures = list(inputs)
    assert [one.key for one in pictures] == [*urls, "no address"]
    assert [isinstance(one.source, Path) for one in pictures] == [True, False, True, False, False]
    assert [(one.reason or "").split(":")[0] for one in pictures] == ["", "gone", "", "not_an_image", "no_url"]
    asked = server.record.num_requests()
    assert list(inputs) == pictures
    assert server.record.num_requests() == asked


def test_a_csv_of_urls_too(server, tmp_path):
    path = write(tmp_path, f"photo_id,link\n7,{server.url('/1.jpg')}\n8,\n9,{server.url('/1.jpg')}\n", "photos.csv")
    pictures = list(opened(path, url_column="link"))
    assert [(one.key, one.reason) for one in pictures] == [
        (server.url("/1.jpg"), None),
        ("row 2", "no_url: the row has no http(s) URL"),
    ]
    assert (tmp_path / "images" / "7.jpg").is_file()


def test_a_list_of_the_owner_beside_the_photos_stays(server, tmp_path):
    (tmp_path / "images").mkdir()
    own = write(tmp_path / "images", f"# mine\n{server.url('/2.jpg')}\n", "urls.csv")
    before = own.read_bytes()
    list(opened(write(tmp_path, server.url("/1.jpg"))))
    assert [one.key for one in opened(own)] == [server.url("/2.jpg")]
    assert own.read_bytes() == before


def test_the_fingerprint_is_that_of_the_urls(tmp_path):
    first = opened(write(tmp_path, "https://a.example/1.jpg\n")).fingerprint
    assert opened(write(tmp_path, "\n# other words\nhttps://a.example/1.jpg\n", "b.txt")).fingerprint == first
    assert opened(write(tmp_path, "https://a.example/2.jpg\n")).fingerprint != first


def test_where_not_one_photo_came_the_work_failed(server, tmp_path):
    inputs = opened(write(tmp_path, server.url("/gone.jpg")))
    with pytest.raises(WorkFailedError, match="not one photo came: gone 1"):
        list(inputs)


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("list.txt", "", "no URL in it"),
        ("list.txt", "a\nb\n", "no URL in it"),
        ("list.csv", "id,url\n1,https://a.example/1.jpg\n", r"column photo_url is missing \(it has id, url\)"),
        ("list.csv", "photo_url\n", "has no rows"),
    ],
)
def test_a_list_that_names_nothing_is_refused(tmp_path, name, text, says):
    with pytest.raises(BadInputError, match=says):
        opened(write(tmp_path, text, name))


def test_a_list_that_is_no_text_is_refused(tmp_path):
    (tmp_path / "list.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(BadInputError, match="cannot be read as text"):
        opened(tmp_path / "list.txt")


def test_a_folder_for_the_photos_is_needed(tmp_path):
    with pytest.raises(BadInputError, match="add --images-dir DIR"):
        open_inputs([], urls=str(write(tmp_path, "https://a.example/1.jpg\n")))
