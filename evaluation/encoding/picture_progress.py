"""The bar that counts pictures on a terminal while they are encoded."""

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

from evaluation.encoding.picture_batches import PictureBatch


def counted(batches: Iterable[PictureBatch], total: int, title: str | None) -> Iterator[PictureBatch]:
    """The batches, counted on a bar when they are done.

    Args:
        batches: of pictures, readable or not.
        total: number of pictures.
        title: of the bar; None shows none.
    """
    with picture_bar(title, total) as advance:
        for batch in batches:
            yield batch
            advance(len(batch.index_N) + len(batch.unreadable))


@contextmanager
def picture_bar(title: str | None, total: int | None) -> Iterator[Callable[[int], None]]:
    """What counts pictures on an updating line of stderr, with their speed and the time left.

    Args:
        title: of the bar; None shows none. Nothing is shown where stderr is no terminal.
        total: number of pictures; None where it is not known.
    """
    if title is None or not sys.stderr.isatty():
        yield lambda count: None
        return
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        _Speed(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(title, total=total)
        yield lambda count: bar.advance(task, count)


class _Speed(ProgressColumn):
    def render(self, task: Task) -> Text:
        return Text(f"{task.speed:,.0f} images/s" if task.speed else "")
