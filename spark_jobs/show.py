"""What summaries, states and findings look like on the terminal."""

from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table as RichTable

from spark_jobs.doctor import findings
from spark_jobs.progress import read_state
from spark_jobs.runs import Summary
from spark_jobs.status import DatasetState, dataset_states, last_runs, table_states
from taxonomy.errors import WorkFailedError


def print_summary(summary: Summary, console: Console | None = None) -> None:
    """Print the counts of a run as a table, its notes, and whether there was anything to do."""
    console = console or Console(width=None if Console().is_terminal else 100)
    verdict = f"{summary.seconds:.1f} s" if summary.changed else f"nothing to do ({summary.seconds:.1f} s)"
    console.print(f"[bold]{summary.job}[/bold]: {verdict}", highlight=False)
    table = RichTable(box=None, show_header=False, pad_edge=False)
    table.add_column(justify="left")
    table.add_column(justify="right")
    for name, number in summary.counts.items():
        table.add_row(f"  {name.replace('_', ' ')}", f"{number:,}")
    console.print(table)
    for note in summary.notes:
        console.print(f"  {note}", highlight=False, soft_wrap=True)


def print_status(root: Path, dataset: str | None) -> None:
    """Print the tables of `root`, its last runs, and how far its datasets are.

    Raises:
        BadInputError: no tables, or no dataset of that name.
    """
    console = Console(width=None if Console().is_terminal else 100)
    states = dataset_states(root, dataset)
    tables = RichTable("table", "version", "rows", box=None, pad_edge=False)
    for table in table_states(root):
        tables.add_row(table.name, str(table.version), f"{table.num_rows:,}")
    console.print(tables)
    for run in last_runs(root):
        console.print(f"{run['finished_at']:%Y-%m-%d %H:%M} UTC  {run['job']}  {run['seconds']:.1f} s", highlight=False)
    for state in states:
        _print_dataset(console, state)
    if (running := read_state(root)) is not None:
        done = f"{running.num_done:,} of {running.num_photos:,} photos"
        console.print(f"\ndownloading {running.dataset} now: {done}, {running}", highlight=False, soft_wrap=True)


def _print_dataset(console: Console, state: DatasetState) -> None:
    fates = ", ".join(f"{fate} {number:,}" for fate, number in sorted(state.fates.items()))
    console.print(f"\n[bold]{state.name}[/bold]: {fates}", highlight=False)
    if state.planned_shards:
        size = f"{state.num_bytes / 1e6:,.1f} MB"
        console.print(f"  shards: {state.done_shards:,} of {state.planned_shards:,} done, {size}", highlight=False)
    for status, number in state.statuses.items():
        console.print(f"  {status}: {number:,}", highlight=False)


def print_findings(root: Path) -> None:
    """Print what the doctor found.

    Raises:
        WorkFailedError: something that the data steps need is missing.
    """
    console = Console(width=None if Console().is_terminal else 120)
    marks = {"ok": "[green]ok[/green]", "missing": "[red]missing[/red]", "optional": "[yellow]optional[/yellow]"}
    table = RichTable(box=None, show_header=False, pad_edge=False)
    found = findings(root)
    for finding in found:
        table.add_row(marks[finding.state], finding.what, escape(finding.detail))
    console.print(table)
    if missing := [finding.what for finding in found if finding.state == "missing"]:
        raise WorkFailedError(f"missing: {', '.join(missing)}")
