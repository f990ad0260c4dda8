"""A folder to a model repository of the hub, in one commit, by the hub's own client.

The token is the client's own matter (HF_TOKEN, or `hf auth login`), as is the hub's address (HF_ENDPOINT).
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from json import JSONDecodeError
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi, get_token
from huggingface_hub.errors import HfHubHTTPError, RepositoryNotFoundError
from huggingface_hub.utils import disable_progress_bars

from release.folder.whole_folder import RECORD, read_record
from taxonomy.errors import BadInputError, TaxaflowError, WorkFailedError

_HTTP_ERRORS: tuple[type[BaseException], ...] = HfHubHTTPError.__bases__
"""Of the HTTP library that the client uses, which has been another one before: a lost connection is one too."""

_ODD = (LookupError, TypeError, AttributeError, JSONDecodeError)

_TOKEN = "set HF_TOKEN, or run `hf auth login`"
_REASONS = {
    401: f"the hub does not accept the token: {_TOKEN}",
    403: "the token may not write there: give it write access, or another ORG/NAME",
    404: "no such repository, branch or organisation for this token",
    412: "the repository was changed meanwhile: run the same command again",
    413: "a file is too large for the hub",
    429: "too many requests: wait, then run the same command again",
}


@dataclass(frozen=True)
class Repository:
    """Where to push.

    Attributes:
        name: ORG/NAME.
        must_be_private: it is made private, and refused if it is there and public.
        revision: a branch; None for main.
    """

    name: str
    must_be_private: bool = False
    revision: str | None = None


def check_token(repository: Repository) -> None:
    """Check that there is a token and that the hub takes it, before work is done for a push.

    Raises:
        BadInputError: there is no token, or it is none.
        WorkFailedError: the hub does not take it, or cannot be reached.
    """
    with _told(repository):
        token = get_token()
    if token is None:
        raise BadInputError(f"--push {repository.name}: there is no token for the hub: {_TOKEN}")
    if not (token.isascii() and token.isprintable()):  # the client would refuse it, and show it
        raise BadInputError(
            f"--push {repository.name}: the token for the hub holds letters that no token has: {_TOKEN}"
        )
    with _told(repository):
        _api().whoami()


def push(folder: Path, repository: Repository, message: str) -> str | None:
    """Upload a folder of ours in one commit; returns its address, None where the hub has the same content already.

    What an earlier push of such a folder left there, and this one lacks, is removed in the same commit; other files
    of the repository stay.

    Raises:
        WorkFailedError: the hub refused, cannot be reached, or the repository is public and must not be. Without a
            commit the repository shows what it showed before.
    """
    if not sys.stderr.isatty():
        disable_progress_bars()
    api = _api()
    name, revision = repository.name, repository.revision
    with _told(repository):
        info = _info(api, repository)
        if repository.must_be_private and not info.private:
            raise WorkFailedError(f"--push {name}: it is public; make it private on the hub, or drop --private")
        names = {file.rfilename for file in info.siblings or ()}
        made: Any = api.create_commit(
            name,
            _operations(api, folder, repository, info.sha, names),
            commit_message=message,
            revision=revision,
            parent_commit=info.sha,
        )
    return None if made.oid == info.sha else made.commit_url


def _info(api: HfApi, repository: Repository) -> Any:
    """What the hub says of the branch; repository and branch are made where they are not there."""
    name, revision = repository.name, repository.revision
    try:
        info = api.repo_info(name)
    except RepositoryNotFoundError:
        api.create_repo(name, private=repository.must_be_private or None, exist_ok=True)
        info = api.repo_info(name)
    if revision is None or (repository.must_be_private and not info.private):
        return info
    api.create_branch(name, branch=revision, exist_ok=True)
    return api.repo_info(name, revision=revision)


def _operations(api: HfApi, folder: Path, repository: Repository, commit: str, there: set[str]) -> list[Any]:
    files = {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*")) if path.is_file()}
    earlier: set[str] = set()
    if RECORD in there:
        with TemporaryDirectory() as place:
            api.hf_hub_download(repository.name, RECORD, revision=commit, local_dir=place)
            earlier = set(read_record(Path(place)).get("files", {}))
    outdated = sorted((earlier & there) - files.keys())
    return [
        *(CommitOperationDelete(name) for name in outdated),
        *(CommitOperationAdd(name, path) for name, path in files.items()),
    ]


def _api() -> HfApi:
    return HfApi(endpoint=os.environ.get("HF_ENDPOINT"))


@contextmanager
def _told(repository: Repository) -> Iterator[None]:
    """The client's exceptions as one line."""
    try:
        yield
    except TaxaflowError:
        raise
    except Exception as error:  # any: what the client makes of an odd answer has no type of its own
        raise WorkFailedError(f"--push {repository.name}: {_without_token(_reason(error))}") from error


def _without_token(text: str) -> str:
    """The text where an answer repeats what it was asked with."""
    with suppress(OSError, ValueError):
        if token := get_token():
            return text.replace(token, "<token>")
    return text


def _reason(error: BaseException) -> str:
    """What failed, in one line: of a chain of exceptions what the hub answered, else the first cause."""
    chain = [error]
    while (cause := chain[-1].__cause__) is not None:
        chain.append(cause)
    answer = next((one for one in chain if isinstance(one, HfHubHTTPError)), None)
    what = f"{_first_line(error)}: " if answer is not None and answer is not error else ""
    if answer is not None and answer.response is not None:
        code = answer.response.status_code
        return f"{what}{_REASONS.get(code, _first_line(answer))} (HTTP {code})"
    if isinstance(error, _HTTP_ERRORS):
        return f"the hub at {_api().endpoint} cannot be reached: {_first_line(error)}"
    if isinstance(error, _ODD):
        return f"the hub at {_api().endpoint} gave an odd answer ({type(error).__name__}: {_first_line(error)})"
    return f"{_first_line(error)}" if chain[-1] is error else f"{_first_line(error)}: {_first_line(chain[-1])}"


def _first_line(error: BaseException) -> str:
    """With what it announces, where it ends in a colon."""
    lines = [line.strip().rstrip(".") for line in str(error).splitlines() if line.strip()]
    told = " ".join(lines[:2]) if lines and lines[0].endswith(":") else "".join(lines[:1])
    return told[:200] or type(error).__name__
