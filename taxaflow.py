"""The `taxaflow` console command: wiring only."""

from pathlib import Path
from typing import Annotated

import typer

from spark_jobs import cli as data_cli
from taxonomy.ending import ending, open_missing_streams

_FLAGS_OF_ITS_OWN = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,  # half the time of --help, and it would take [required] for a style
    help="From species observations to vision-language models.",
)
app.add_typer(data_cli.app, name="data")
app.command("doctor")(data_cli.doctor)


@app.command("train", context_settings=_FLAGS_OF_ITS_OWN)
def train(context: typer.Context) -> None:
    """Train a CLIP model on shards."""
    from trainer.cli import main as train_main

    train_main(context.args)


@app.command("eval", context_settings=_FLAGS_OF_ITS_OWN)
def evaluate(context: typer.Context) -> None:
    """Evaluate models on benchmarks."""
    from evaluation.cli import main as eval_main

    eval_main(context.args)


@app.command("predict", context_settings=_FLAGS_OF_ITS_OWN)
def predict(context: typer.Context) -> None:
    """Name what pictures show."""
    from inference.predict.cli import main as predict_main

    predict_main(context.args)


@app.command("embed", context_settings=_FLAGS_OF_ITS_OWN)
def embed(context: typer.Context) -> None:
    """Embeddings of pictures."""
    from inference.embed.cli import main as embed_main

    embed_main(context.args)


@app.command("tune", context_settings=_FLAGS_OF_ITS_OWN)
def tune(context: typer.Context) -> None:
    """Search lr, betas and weight decay."""
    from trainer.tuning.cli import main as tune_main

    tune_main(context.args)


@app.command("export", context_settings=_FLAGS_OF_ITS_OWN)
def export(context: typer.Context) -> None:
    """A model for others, with its card."""
    from release.export.cli import main as export_main

    export_main(context.args)


@app.command("convert", context_settings=_FLAGS_OF_ITS_OWN)
def convert(context: typer.Context) -> None:
    """Published weights into a folder that is safe to load."""
    from release.convert.cli import main as convert_main

    convert_main(context.args)


@app.command("interpolate", context_settings=_FLAGS_OF_ITS_OWN)
def interpolate(context: typer.Context) -> None:
    """Average two models' weights."""
    from release.interpolate.cli import main as interpolate_main

    interpolate_main(context.args)


@app.command("report")
def report(
    results: Annotated[Path, typer.Argument(help="The folder that taxaflow eval wrote.", metavar="RESULTS")],
    out: Annotated[Path | None, typer.Option(help="The page (default: report.html in the folder).")] = None,
    against: Annotated[str | None, typer.Option(help="A model by its name: differences to it, paired.")] = None,
    debug: Annotated[bool, typer.Option("--debug", help="Show the trace of an error.")] = False,
) -> None:
    """Make one self-contained HTML page of result files.

    Example: taxaflow report results --against "OpenAI CLIP"
    """
    with ending(debug, (typer.Exit,)):
        from evaluation.cli import print_report

        print_report(results, out, against)


@app.callback()
def _root() -> None:
    """From species observations to vision-language models."""


def main() -> None:
    """Run the command line."""
    open_missing_streams()
    data_cli.main(app)


if __name__ == "__main__":
    main()
