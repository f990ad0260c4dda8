"""Arrays made from buffers are those that pyarrow makes, and pandas stays away."""

import subprocess
import sys
from datetime import UTC, datetime, timedelta, timezone

import pyarrow as pa
import pytest

from spark_jobs.arrow_arrays import make_array
from tests.conftest import PROJECT

MOMENTS = [datetime(2026, 11, 25, 1, 2, 3, 456789, tzinfo=UTC), datetime(1969, 12, 31, 23, 59, 59, 1, tzinfo=UTC), None]
MOMENTS += [datetime(2026, 1, 1, tzinfo=timezone(timedelta(hours=5, minutes=30)))]
CASES = [
    (pa.int32(), [1, None, -(2**31), 2**31 - 1]),
    (pa.int64(), [None, -(2**63), 2**63 - 1]),
    (pa.string(), ["", None, "Größte Schnecke", "x" * 1000]),
    (pa.binary(), [b"", None, b"\0\xff" * 16]),
    (pa.timestamp("us", tz="UTC"), MOMENTS),
]


@pytest.mark.parametrize(("kind", "values"), CASES, ids=str)
def test_the_array_is_the_one_that_pyarrow_makes(kind, values):
    for some in (values, values * 9, [value for value in values if value is not None], [None] * 3, []):
        made = make_array(kind, some)
        made.validate(full=True)
        assert made.equals(pa.array(some, kind))


def test_a_number_that_does_not_fit_is_an_error():
    with pytest.raises(OverflowError):
        make_array(pa.int32(), [2**31])


def test_writing_a_sidecar_imports_no_pandas():
    code = """
import sys, tempfile, pathlib
from datetime import UTC, datetime
from spark_jobs.sidecar import *
shard = ShardRow("d", "train", 0, "original", "taxaflow", "f.tar", "0" * 64, 1, 1, 0, "r")
photo = PhotoRow(0, 5, Status.OK, 200, 1, datetime.now(UTC))
write_sidecar(pathlib.Path(tempfile.mkdtemp()) / "sidecar", shard, [photo])
sys.exit("pandas" in sys.modules)
"""
    assert subprocess.run([sys.executable, "-c", code], cwd=PROJECT).returncode == 0
