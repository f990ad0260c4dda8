"""What many threads append comes back by key, and nothing stays behind."""

import errno
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from spark_jobs.spool import Spool


def test_bytes_come_back_by_key_whatever_thread_appended_them(tmp_path):
    data = {key: bytes([key % 251]) * (key * 37 % 5000) for key in range(400)}
    with Spool(tmp_path) as spool:
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda key: spool.append(key, data[key]), data))
        assert {key: spool.read(key) for key in reversed(data)} == data
        assert 399 in spool
        assert 400 not in spool
        assert os.fstat(spool._file.fileno()).st_size == sum(map(len, data.values()))
        assert list(tmp_path.iterdir()) == []


def test_an_error_inside_gives_its_file_back(tmp_path):
    before = len(list(Path("/proc/self/fd").iterdir()))
    with pytest.raises(KeyError), Spool(tmp_path) as spool:
        spool.append(1, b"x")
        spool.read(2)
    assert len(list(Path("/proc/self/fd").iterdir())) == before
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_an_error(tmp_path):
    with Spool(tmp_path) as spool:
        with Path("/dev/full").open("wb", buffering=0) as full:
            spool._file.close()
            spool._file = full
            with pytest.raises(OSError) as error:
                spool.append(1, b"x")
        assert error.value.errno == errno.ENOSPC
        assert 1 not in spool
