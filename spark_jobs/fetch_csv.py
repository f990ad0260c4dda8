"""A CSV with photo URLs -> a folder of pictures with fetched.csv, in this process alone: no Spark, no data root.

Read: the CSV, and fetched.csv of an earlier run. Written: `<photo_id or hash of the URL>.jpg` for every photo that came
and passed the checks of images.py, renamed into place; fetched.csv with one status per row. A rerun asks only for
pictures that are not there and whose failure, if any, was temporary; where all is settled it asks for nothing.
"""

import logging
import queue
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # for `python spark_jobs/fetch_csv.py`

from spark_jobs.fetch import Fetched, Fetcher, FetchPolicy
from spark_jobs.fetch_config import FetchConfig
from spark_jobs.images import CheckedImage, ImageLimits, ImageRejected, check_image
from spark_jobs.job_manners import make_book
from spark_jobs.lease_service import CountingBook
from spark_jobs.leases import Leases
from spark_jobs.locks import lock
from spark_jobs.photo_list import NO_URL, Outcome, Photo, PhotoList, read_outcomes, read_photo_list, write_outcomes
from spark_jobs.progress import DownloadProgress
from spark_jobs.runs import Summary
from spark_jobs.shard_writer import CORRUPT_FETCHES
from spark_jobs.statuses import FINAL, RETRYABLE, Status
from spark_jobs.transport import make_transport
from taxonomy.errors import BadInputError, WorkFailedError
from taxonomy.whole_file import whole_file

LIST_NAME = "fetched.csv"

MOST_THREADS = 64
"""Photos fetched at once over all hosts: each is a body in memory."""

_SHOW_S = 0.5
_SAVE_S = 30.0
"""How often what is known is written down: a killed run forgets so much of its failures, and no picture."""

_LIMITS = ImageLimits()

_log = logging.getLogger(__name__)


def run(config: FetchConfig) -> Summary:
    """Fetch what is neither there nor settled; returns what became of all photos.

    Raises:
        BadInputError: the CSV cannot be used, or the folder cannot be written or is in use by another run.
        WorkFailedError: the folder holds not one picture of the CSV now, or a file could not be written, as on a full
            disk; what came before stays.
    """
    started = time.monotonic()
    listed = read_photo_list(config.csv, config.url_column)
    outcomes = read_outcomes(config.out / LIST_NAME)
    _make_folder(config.out)
    with lock(config.out, "fetch"):
        _sweep(config.out)
        outcomes = _settled(listed.photos, outcomes, config.out)
        todo = [photo for photo in listed.photos if photo.name not in outcomes]
        if todo and not config.to_download().has_contact:
            _log.warning("--user-agent %r names no contact; add a mail address or a page", config.user_agent)
        try:
            _fetch_and_list(todo, config, outcomes, listed)
        except OSError as error:
            reason = error.strerror or error
            raise WorkFailedError(f"--out {config.out}: {reason}; what came is kept, run again to go on") from error
    return _summary(config, listed, outcomes, len(todo), time.monotonic() - started)


def _fetch_and_list(
    todo: Sequence[Photo], config: FetchConfig, outcomes: dict[str, Outcome], listed: PhotoList
) -> None:
    """Fetch what is to do, and leave the list as it stands however that ends."""

    def save() -> None:
        write_outcomes(config.out / LIST_NAME, listed, outcomes)

    try:
        if todo:
            _fetch_all(todo, config, outcomes, save)
    finally:
        save()


def _make_folder(folder: Path) -> None:
    try:
        (folder / "locks").mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInputError(f"--out {folder}: {error.strerror}; choose a folder that can be written") from error


def _sweep(folder: Path) -> None:
    """Remove what a killed run left unfinished."""
    for file in folder.glob(".*.tmp"):
        file.unlink(missing_ok=True)


def _settled(photos: Sequence[Photo], known: Mapping[str, Outcome], folder: Path) -> dict[str, Outcome]:
    """The outcomes that stand: pictures that are there, and failures that asking again would not change."""
    settled: dict[str, Outcome] = {}
    for photo in photos:
        outcome, file = known.get(photo.name), folder / photo.name
        if outcome is not None and outcome.url != photo.url:
            file.unlink(missing_ok=True)  # the picture of another URL
            continue
        was_ok = outcome is not None and outcome.status == Status.OK
        if _has_bytes(file) and (was_ok or _is_picture(file)):  # not listed: a run was killed before it wrote its list
            settled[photo.name] = outcome if outcome is not None and was_ok else Outcome(photo.url, Status.OK.value)
        elif outcome is not None and outcome.status in FINAL:
            settled[photo.name] = outcome
    return settled


def _has_bytes(file: Path) -> bool:
    return file.is_file() and file.stat().st_size > 0


def _is_picture(file: Path) -> bool:
    try:
        check_image(file.read_bytes(), _LIMITS)
    except ImageRejected:
        return False
    return True


def _fetch_all(
    todo: Sequence[Photo], config: FetchConfig, outcomes: dict[str, Outcome], save: Callable[[], None]
) -> None:
    """Fetch every photo of `todo` and put its outcome into `outcomes`, calling `save` now and then."""
    policy = FetchPolicy.of(config.to_download())
    transport = make_transport(config.transport, config.max_per_host)
    book = CountingBook(make_book(policy, transport, config.max_per_host, config.max_rate))
    waiting: queue.SimpleQueue[Photo] = queue.SimpleQueue()
    for photo in todo:
        waiting.put(photo)
    try:
        with (
            Leases(book, policy.retry_after_cap_s) as leases,
            DownloadProgress(config.csv.name, len(todo), config.out / "locks" / "fetch.progress.json") as progress,
        ):
            fetcher = Fetcher(transport, policy, leases)

            def work() -> None:
                while (photo := _next(waiting)) is not None:
                    outcome = _fetch_one(photo, fetcher, config.out)
                    outcomes[photo.name] = outcome
                    leases.count_photo(Status(outcome.status))

            _run_threads(work, _num_threads(todo, config), fetcher, lambda: progress.show(book.photos()), save)
    finally:
        transport.close()


def _num_threads(todo: Sequence[Photo], config: FetchConfig) -> int:
    hosts = {"/".join(photo.url.split("/", 3)[:3]) for photo in todo} if config.base_url is None else {""}
    return min(MOST_THREADS, len(todo), config.max_per_host * len(hosts))


def _next(waiting: "queue.SimpleQueue[Photo]") -> Photo | None:
    try:
        return waiting.get_nowait()
    except queue.Empty:
        return None


def _run_threads(
    work: Callable[[], None], num_threads: int, fetcher: Fetcher, show: Callable[[], None], save: Callable[[], None]
) -> None:
    """Run `work` in threads until all are done; the first failure stops the fetcher and is raised."""
    last_save = time.monotonic()
    with ThreadPoolExecutor(num_threads, thread_name_prefix="fetch") as pool:
        try:
            running = {pool.submit(work) for _ in range(num_threads)}
            while running:
                done, running = wait(running, timeout=_SHOW_S, return_when=FIRST_EXCEPTION)
                for thread in done:
                    thread.result()
                show()
                if time.monotonic() - last_save >= _SAVE_S:
                    save()
                    last_save = time.monotonic()
        except BaseException:
            fetcher.stop()
            raise


def _fetch_one(photo: Photo, fetcher: Fetcher, folder: Path) -> Outcome:
    """Fetch and check one photo and store its picture."""
    attempts, status, error, checked, http_status = 0, Status.CONNECTION_ERROR, "", None, None
    for _ in range(CORRUPT_FETCHES):
        fetched = fetcher.fetch(photo.url)
        attempts, http_status = attempts + fetched.attempts, fetched.http_status
        status, error, checked = _check(fetched)
        if status is not Status.CORRUPT_IMAGE:
            break
    if checked is not None:
        with whole_file(folder / photo.name) as file:
            file.write(checked.data)
    return Outcome(photo.url, status.value, http_status, attempts, error)


def _check(fetched: Fetched) -> tuple[Status, str, CheckedImage | None]:
    if fetched.body is None:
        return fetched.status, fetched.error or "", None
    try:
        return Status.OK, "", check_image(fetched.body, _LIMITS)
    except ImageRejected as rejected:
        return rejected.status, str(rejected), None


def _summary(
    config: FetchConfig, listed: PhotoList, outcomes: Mapping[str, Outcome], num_asked: int, seconds: float
) -> Summary:
    """What became of all photos of the CSV.

    Raises:
        WorkFailedError: no picture is there.
    """
    statuses = Counter(outcome.status for outcome in outcomes.values())
    num_empty = sum(photo is None for photo in listed.photo_of_row)
    by_status = {status.value: statuses[status.value] for status in Status if statuses[status.value]}
    by_status |= {NO_URL: num_empty} if num_empty else {}
    if not statuses[Status.OK.value]:
        named = ", ".join(f"{name} {number:,}" for name, number in by_status.items())
        raise WorkFailedError(f"not one photo came: {named}; {config.out / LIST_NAME} says why, row by row")
    notes = [f"{config.out}: {statuses[Status.OK.value]:,} pictures; {LIST_NAME} says what became of every row"]
    if num_left := sum(statuses[status.value] for status in RETRYABLE):
        notes.append(f"{num_left:,} failures may pass: the same command asks for them again")
    counts = {"rows": len(listed.rows), "photos": len(listed.photos), "photos_asked_for": num_asked} | by_status
    return Summary("fetch", counts, num_asked > 0, notes, seconds)


def main() -> None:
    """Run `taxaflow data fetch`."""
    from spark_jobs.cli import fetch, run_script

    run_script(fetch)


if __name__ == "__main__":
    main()
