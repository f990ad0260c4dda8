"""Which tar shards are read, how often, and how many samples they hold.

`--train-data` is written as for the published trainer: braces `{000..099}` name many shards, `::` joins sources. A
shard is a path or any address that webdataset opens: file:, http:, https:, gs:, hf:, pipe:, and s3: by the aws command.
"""

import ast
import hashlib
import json
import logging
import math
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlparse
from urllib.request import url2pathname

import braceexpand
from webdataset.gopen import gopen_schemes

from taxonomy.errors import BadInputError

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class ShardList:
    """Shards in the order in which they were named.

    Attributes:
        urls: paths and addresses; one named twice is two shards.
        weights: of each shard when shards are drawn; None where all are alike.
    """

    urls: tuple[str, ...]
    weights: tuple[float, ...] | None = None

    @property
    def sha256(self) -> str:
        """Hex hash of names and weights, by which a resumed run knows its list."""
        return hashlib.sha256(json.dumps([self.urls, self.weights]).encode()).hexdigest()


def expand_shards(train_data: str, factors: str | None = None, resampled: bool = False) -> ShardList:
    """The shards that `--train-data` names.

    Args:
        train_data: braces and `::` allowed.
        factors: `--train-data-upsampling-factors`: one number per source, `1::2`. Each shard of a source gets it, so
            that of two sources of one factor the one with more shards is drawn more often, as published.
        resampled: whether shards are drawn with replacement.

    Raises:
        BadInputError: a pattern, a factor or an address cannot be understood, or a local shard does not exist.
    """
    sources = [_expand(source) for source in train_data.split("::")]
    urls = tuple(url for source in sources for url in source)
    for url in urls:
        _check(url)
    if factors is None:
        return ShardList(urls)
    if not resampled:
        raise BadInputError("--train-data-upsampling-factors needs --dataset-resampled")
    weights = _factors(factors, len(sources))
    return ShardList(urls, tuple(weight for weight, source in zip(weights, sources, strict=True) for _ in source))


def _expand(source: str) -> list[str]:
    if not source.strip():
        raise BadInputError("--train-data: a source is empty; sources are joined by `::`")
    try:
        return list(braceexpand.braceexpand(source))
    except ValueError as error:
        raise BadInputError(f"--train-data: cannot expand the braces of {source!r}: {error}") from error


def _factors(text: str, num_sources: int) -> list[float]:
    try:
        factors = [float(part) for part in text.split("::")]
    except ValueError as error:
        raise BadInputError(f"--train-data-upsampling-factors: numbers joined by `::`, got {text!r}") from error
    if len(factors) != num_sources:
        raise BadInputError(
            f"--train-data-upsampling-factors has {len(factors)} numbers, --train-data {num_sources} sources"
        )
    if not all(0 <= factor < math.inf for factor in factors) or not sum(factors) > 0:
        raise BadInputError(f"--train-data-upsampling-factors must be at least 0 and not all 0, got {text!r}")
    return factors


def local_path(url: str) -> Path | None:
    """The file that a shard is on this machine; None for other addresses."""
    parsed = urlparse(url)
    if parsed.scheme == "file":
        return Path(url2pathname(parsed.path))
    return Path(url) if parsed.scheme == "" else None


def _check(url: str) -> None:
    path = local_path(url)
    if path is None:
        schemes = sorted({"file", "s3", *gopen_schemes} - {"__default__"})
        if urlparse(url).scheme not in schemes:
            raise BadInputError(f"--train-data: cannot open {url!r}; a path, or one of {', '.join(schemes)}")
    elif not path.is_file():
        hint = "; many shards are written as {000..099}, not with *" if "*" in url else ""
        if (path / "manifest.json").is_file():
            hint = f"; did you mean {path / 'manifest.json'}?"
        raise BadInputError(f"--train-data: there is no shard {url!r}{hint}")


def count_samples(shards: ShardList, given: int | None) -> int:
    """Samples in an epoch: what the shards' folder says, else `--train-num-samples`.

    `sizes.json` (base name -> samples, also below `per_shard`) is looked for beside each shard, then beside the first;
    `__len__` beside the first. Both win over the flag, as published.

    Raises:
        BadInputError: nothing says it, or what says it lacks a shard or is no count.
    """
    counted = _count_by_sizes(shards)
    if counted is None:
        counted = _count_by_len(shards)
    if counted is None and given is None:
        raise BadInputError(
            f"the number of samples is unknown: no sizes.json or __len__ beside {shards.urls[0]!r}; "
            "give --train-num-samples"
        )
    if counted is not None and given is not None and counted != given:
        _LOG.warning("--train-num-samples %d is ignored: the shards' folder says %d", given, counted)
    num_samples = counted if counted is not None else given
    assert num_samples is not None
    if num_samples < 1:
        raise BadInputError(f"the number of samples must be at least 1, got {num_samples}")
    return num_samples


def _count_by_sizes(shards: ShardList) -> int | None:
    sizes: dict[Path | None, dict[str, object] | None] = {None: None}
    paths = [local_path(url) for url in shards.urls]
    for folder in {path and path.parent for path in paths}:
        sizes[folder] = folder and _read_sizes(folder / "sizes.json")
    first = sizes[paths[0] and paths[0].parent]
    if first is None:
        return None
    total = 0
    for url, path in zip(shards.urls, paths, strict=True):
        # A source with sizes of its own is counted by them: base names repeat from source to source.
        known = sizes[path and path.parent] or first
        name = url.rsplit("/", 1)[-1]
        try:
            total += int(str(known[name]))
        except (KeyError, ValueError) as error:
            raise BadInputError(f"sizes.json beside the shards has no count for {url!r}") from error
    return total


def _read_sizes(path: Path) -> dict[str, object] | None:
    if not path.is_file():
        return None
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise BadInputError(f"{path} is no JSON: {error}") from error
    content = content.get("per_shard", content) if isinstance(content, dict) else content
    if not isinstance(content, dict):
        raise BadInputError(f"{path} must map the shards' base names to their samples")
    return content


def _count_by_len(shards: ShardList) -> int | None:
    path = local_path(shards.urls[0])
    path = path and path.parent / "__len__"
    if path is None or not path.is_file():
        return None
    try:
        return int(ast.literal_eval(path.read_text().strip()))
    except (OSError, ValueError, SyntaxError, TypeError) as error:
        raise BadInputError(f"{path} is no number") from error
