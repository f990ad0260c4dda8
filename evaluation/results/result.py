"""One JSON file per task: what was measured, with what, on which pictures. No time stamps and no machine's paths.

What every field means stands in result_schema.json.
"""

import hashlib
import json
import logging
import math
import re
import unicodedata
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from evaluation.results.schema_check import first_problem
from taxonomy.errors import BadInputError
from taxonomy.whole_file import write_whole

_LOG = logging.getLogger(__name__)

SCHEMA_VERSION = 1
"""Of the records written here; files of another version are not read."""

NUM_LISTED = 100
"""Missing and unreadable pictures that a record names; all of them are counted."""

_NO_MODEL = {"name": "", "activation": None, "activation_source": None, "pretrained": None}
_UNKNOWN = {
    "interval": {"method": "normal, stratified by class, shares shrunk by half a picture", "level": 0.95},
    "paper_interval": None,
    "other_species_interval": None,
    "confusions": [],
    "calibration": None,
    "abstention": None,
    "few_shot": None,
    "linear_probe": None,
    "unreadable": [],
    "missing": [],
}
"""What a record says where nothing was measured."""

_SAME = ("precision", "preprocessing", "prompts", "rows_sha256")
"""Fields that an earlier result of the same key has in common with the one that replaces it."""

_HASH_LETTERS, _NAME_LETTERS = 8, 80
_ALLOWED = re.compile(r"[^A-Za-z0-9._]+")


def file_name(record: Mapping[str, Any]) -> str:
    """`<benchmark>--<taxon>--<class_list>--<protocol>--<model_hash8>-<activation>.json`: the record's key.

    Args:
        record: at least benchmark, taxon, class_list, protocol and model with hash and activation.
    """
    parts = [name_in_files(str(part)) for part in _key(record)[:4]]
    model = record["model"]
    return "--".join([*parts, f"{model['hash'][:_HASH_LETTERS]}-{name_in_files(model['activation'] or 'none')}.json"])


def split_file(record: Mapping[str, Any]) -> Path:
    """`splits/<benchmark>--<taxon>--<class_list>.json`: the few-shot split, the same for every model.

    Args:
        record: at least benchmark, taxon and class_list.
    """
    return Path("splits", "--".join(name_in_files(str(part)) for part in _key(record)[:3]) + ".json")


def name_in_files(name: str) -> str:
    """The name if file names may hold it, else its harmless part and six digits of its SHA-256.

    The result holds letters, digits, ".", "_" and single "-", so that no two names meet and none leaves its folder.
    """
    harmless = _ALLOWED.sub("-", name).strip("-.")
    if harmless == name and 0 < len(name) <= _NAME_LETTERS:
        return name
    return f"{harmless[: _NAME_LETTERS - 20].strip('-.') or 'name'}-{hashlib.sha256(name.encode()).hexdigest()[:6]}"


def names_sha256(names: Sequence[str]) -> str:
    """Hex SHA-256 of the names in list order, NFC, joined by line feeds."""
    return hashlib.sha256("\n".join(unicodedata.normalize("NFC", name) for name in names).encode()).hexdigest()


def write_result(out: Path, record: Mapping[str, Any]) -> Path:
    """Path of the record's file, there whole; one of the same key is replaced, equal records give equal bytes.

    Args:
        out: the folder of results, made if need be.
        record: as result_schema.json says; what was not measured may be left out and becomes null or an empty list,
            NumPy's numbers and arrays are let in, NaN becomes null.

    Raises:
        BadInputError: the file of this name holds another result, as `check_replaceable` says.
        WorkFailedError: the disk is full.
    """
    plain = complete(record)
    problem = first_problem(plain, result_schema())
    assert problem is None, problem
    check_replaceable(out, plain)
    path = out / file_name(plain)
    write_whole(path, (json.dumps(plain, ensure_ascii=False, indent=1, allow_nan=False) + "\n").encode())
    return path


def check_replaceable(out: Path, record: Mapping[str, Any]) -> None:
    """Check that a record's file is not there, or is an earlier one of the same; damaged and older files may go.

    Args:
        out: the folder of results.
        record: at least its key, precision, preprocessing and rows_sha256.

    Raises:
        BadInputError: it is of another model, or of the same one otherwise computed or on other rows.
    """
    earlier_result(out, record)


def earlier_result(out: Path, record: Mapping[str, Any]) -> dict[str, Any] | None:
    """The record that is there in the place of this one; None if there is none, or a damaged or older file.

    Args:
        out: the folder of results.
        record: as for `check_replaceable`.

    Raises:
        BadInputError: as check_replaceable.
    """
    path = out / file_name(record)
    try:
        there = _read(path) if path.is_file() else None
    except BadInputError as error:
        _LOG.warning("%s; it is replaced", error)
        return None
    wanted = json_able(record)
    differing = [name for name in _SAME if there is not None and there.get(name) != wanted.get(name)]
    if there is not None and _key(there) != _key(wanted):
        differing.insert(0, "model or task")
    if differing:
        raise BadInputError(f"{path} is there with another {differing[0]}; write to another folder (--out)")
    return there


def read_results(folder: Path) -> list[dict[str, Any]]:
    """All records in a folder, in the order of their file names; other files there are not looked at.

    Raises:
        BadInputError: no such folder, no result in it, or a file that is not a result of this version.
    """
    paths = sorted(folder.glob("*--*--*--*--*.json")) if folder.is_dir() else []
    if not paths:
        raise BadInputError(f"{folder}: no results (*.json) there; taxaflow eval --out {folder} writes some")
    return [_read(path) for path in paths]


def complete(record: Mapping[str, Any]) -> dict[str, Any]:
    """The record as its file has it: fields in the schema's order, null or [] where nothing was measured."""
    filled = _UNKNOWN | json_able(record)
    filled["model"] = _NO_MODEL | filled["model"]
    filled["confusions"] = [{"examples": []} | confusion for confusion in filled["confusions"] or []]
    order = {name: place for place, name in enumerate(result_schema()["properties"])}
    return {name: filled[name] for name in sorted(filled, key=lambda name: order.get(name, len(order)))}


@cache
def result_schema() -> dict[str, Any]:
    """The JSON Schema of a record."""
    return json.loads(Path(__file__).with_name("result_schema.json").read_text("utf-8"))


def json_able(value: Any) -> Any:
    """A copy of plain dicts, lists, texts and numbers; numbers that are none (NaN, infinite) become None."""
    if isinstance(value, Mapping):
        return {str(key): json_able(each) for key, each in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        return json_able(value.tolist())
    if isinstance(value, list | tuple):
        return [json_able(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _read(path: Path) -> dict[str, Any]:
    try:
        record = json.loads(path.read_text("utf-8"), parse_constant=_no_constant)
    except (OSError, ValueError, RecursionError) as error:
        raise BadInputError(f"{path}: not a result file: {error}; remove it or evaluate again") from error
    problem = first_problem(record, result_schema())
    if problem is not None:
        raise BadInputError(f"{path}: not a result file of version {SCHEMA_VERSION}: {problem}; evaluate again")
    return record


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _key(record: Mapping[str, Any]) -> tuple[Any, ...]:
    own = tuple(record[name] for name in ("benchmark", "taxon", "class_list", "protocol"))
    return (*own, record["model"]["hash"], record["model"]["activation"])
