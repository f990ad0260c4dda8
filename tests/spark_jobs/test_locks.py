"""One writer at a time, whoever it is, for as long as it lives."""

import subprocess
import sys
import threading

import pytest

from spark_jobs import table_io
from spark_jobs.locks import check_root, lock
from spark_jobs.tables import WITHDRAWALS
from taxonomy.errors import BadInputError
from tests.conftest import PROJECT

HOLDER = """
import sys, time
from pathlib import Path
from spark_jobs.locks import lock
with lock(Path(sys.argv[1]), "photos"):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_second_process_is_told_who_holds_the_lock_until_it_is_killed(root):
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, str(root)], cwd=PROJECT, stdout=subprocess.PIPE, text=True)
    try:
        assert holder.stdout is not None and holder.stdout.readline() == "held\n"
        with (
            pytest.raises(BadInputError, match=rf"photos .* host .* pid {holder.pid} since \d{{4}}-"),
            lock(root, "photos"),
        ):
            raise AssertionError("two hold one lock")
        with lock(root, "selections"):
            pass
    finally:
        holder.kill()
        holder.wait()
    with lock(root, "photos"):
        pass


def test_the_same_thread_may_take_it_again_and_another_may_not(root):
    refused = []

    def take() -> None:
        try:
            with lock(root, "photos"):
                pass
        except BadInputError as error:
            refused.append(error)

    with lock(root, "photos"):
        with lock(root, "photos"):
            pass
        thread = threading.Thread(target=take)
        thread.start()
        thread.join()
    assert len(refused) == 1
    take()
    assert len(refused) == 1


@pytest.mark.parametrize("bad", ["s3://bucket/data", "gs://bucket"])
def test_object_stores_are_refused(bad):
    from pathlib import Path

    with pytest.raises(BadInputError, match="object stores"):
        check_root(Path(bad))


@pytest.mark.parametrize("letter", ["%", "[", "]", "^", "|", "\\", "\n", "\t", "\x7f"])
def test_letters_that_delta_cannot_take_are_refused_in_one_line(tmp_path, letter):
    with pytest.raises(BadInputError, match="Delta tables cannot lie") as refused:
        check_root(tmp_path / f"a{letter}b" / "root")
    assert len(str(refused.value).splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["a b", "é ü", "a*?{b}", "a#b", "a&b+c=d,e;f'", 'a"<`@$!(c)~'])
def test_any_other_name_takes_tables(tmp_path, name):
    root = tmp_path / name
    check_root(root)
    table_io.append_rows(root, WITHDRAWALS, [{"photo_id": 1, "reason": None, "since": None}])
    assert table_io.read_arrow(root, WITHDRAWALS)["photo_id"].to_pylist() == [1]


def test_a_root_below_a_file_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(BadInputError, match="cannot be written"):
        check_root(tmp_path / "file" / "root")
