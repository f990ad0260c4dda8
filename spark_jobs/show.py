"""What a job's summary looks like on the terminal."""

from rich.console import Console
from rich.table import Table as RichTable

from spark_jobs.runs import Summary


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
