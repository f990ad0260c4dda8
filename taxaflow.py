"""The `taxaflow` console command: wiring only."""

import typer

from spark_jobs import cli as data_cli

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    help="From species observations to vision-language models.",
)
app.add_typer(data_cli.app, name="data")
app.command("doctor")(data_cli.doctor)


@app.callback()
def _root() -> None:
    """From species observations to vision-language models."""


def main() -> None:
    """Run the command line."""
    data_cli.main(app)


if __name__ == "__main__":
    main()
