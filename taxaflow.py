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


@app.command(
    "train",
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []},
)
def train(context: typer.Context) -> None:
    """Train a CLIP model on shards: taxaflow train --recipe tiny --train-data data/shards/birds/manifest.json."""
    from trainer.cli import main as train_main

    train_main(context.args)


@app.callback()
def _root() -> None:
    """From species observations to vision-language models."""


def main() -> None:
    """Run the command line."""
    data_cli.main(app)


if __name__ == "__main__":
    main()
