"""The data commands: flags and TOML in, a config and a job out. No Spark is imported before the job starts."""

import dataclasses
import importlib
import inspect
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from spark_jobs import config as configs
from spark_jobs.fetch_config import FetchConfig
from taxonomy.ending import end, ending
from taxonomy.errors import BadInputError

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Metadata files to verified image shards.")

_EXAMPLES = {
    "ingest": "taxaflow data ingest --source biotrove --input metadata/ --root data --snapshot 2026-10",
    "count": "taxaflow data count --root data --rare 30 --cap 50000",
    "select": "taxaflow data select --root data --dataset birds --categories Aves --max-photos 1000",
    "download": "taxaflow data download --root data --dataset birds --user-agent 'my-lab (me@example.org)'",
    "retry": "taxaflow data retry --root data --dataset birds --only timeout,server_error",
    "label": "taxaflow data label --root data --dataset birds",
    "fetch": "taxaflow data fetch --csv benchmark.csv --out photos --user-agent 'my-lab (me@example.org)'",
}


def run_job(config_class: type, job: str, flags: dict[str, Any], runner: Callable[[str, Any], None]) -> None:
    """Make the config of flags over TOML, run the job and print its summary.

    Args:
        config_class: the job's config.
        job: `module:name of the command`.
        flags: what the command line gave, None where a flag was not used; `config` and `debug` included.
        runner: runs a module with a config: `run_config` or `run_without_spark`.
    """
    module_name, _, command = job.partition(":")
    with ending(flags.pop("debug"), (typer.Exit,)):
        config = _config(config_class, flags.pop("config"), flags, f"taxaflow data {command}")
        runner(module_name, config)


def _config(config_class: type, config_file: Path | None, flags: dict[str, Any], where: str) -> Any:
    """The config of flags over TOML; None stands for a flag that was not used."""
    values = configs.read_toml(config_file) if config_file else {}
    values |= {name: value for name, value in flags.items() if value is not None}
    return configs.from_mapping(config_class, values, where)


def run_config(module_name: str, config: Any) -> None:
    """Run one job in this process's Spark session and print its summary.

    What can be refused without Spark is refused before the session starts: the root, the lock, the job's checks.
    """
    from spark_jobs.locks import check_root, lock

    check_root(config.root, config.creates_root)
    with lock(config.root, config.lock_name):
        module = importlib.import_module(module_name)
        module.check(config)
        from spark_jobs.session import get_session
        from spark_jobs.show import print_summary

        spark = get_session(f"taxaflow {module_name.rsplit('.', 1)[-1]}", config.root / "logs" / "spark.log")
        print_summary(module.run(spark, config))


def run_without_spark(module_name: str, config: Any) -> None:
    """Run one job that needs neither Spark nor a data root, and print its summary."""
    module = importlib.import_module(module_name)
    from spark_jobs.show import print_summary

    print_summary(module.run(config))


def _flag_type(field: dataclasses.Field) -> Any:
    kind = str(field.type)
    if kind.startswith("bool"):
        return bool
    return {"int": int, "float": float}.get(kind.split(" ")[0], str)


def _default_note(field: dataclasses.Field) -> str:
    default = field.default
    if default is dataclasses.MISSING:
        return " [required]"
    if default in (None, "", (), False):
        return ""
    shown = ",".join(default) if isinstance(default, tuple) else default
    return f" [default: {shown}]"


def _parameters(config_class: type) -> list[inspect.Parameter]:
    keyword = inspect.Parameter.KEYWORD_ONLY
    made = []
    for field in dataclasses.fields(config_class):
        flag = f"--{field.name.replace('_', '-')}"
        metavar = "PATH" if "Path" in str(field.type) else None  # taken as text: an empty one must not be "."
        help_text = field.metadata["help"] + _default_note(field)
        info = typer.Option(flag, help=help_text, show_default=False, metavar=metavar)
        made.append(
            inspect.Parameter(field.name, keyword, default=None, annotation=Annotated[_flag_type(field) | None, info])
        )
    config_info = typer.Option("--config", help="TOML file with these flags as keys (_ for -).", show_default=False)
    made.append(inspect.Parameter("config", keyword, default=None, annotation=Annotated[Path | None, config_info]))
    debug_info = typer.Option("--debug", help="Show the trace of an error.", show_default=False)
    made.append(inspect.Parameter("debug", keyword, default=False, annotation=Annotated[bool, debug_info]))
    return made


def _command(
    config_class: type, module: str, name: str, runner: Callable[[str, Any], None] = run_config
) -> Callable[..., None]:
    """A typer command whose flags are the fields of the config."""

    def command(**flags: Any) -> None:
        run_job(config_class, f"{module}:{name}", flags, runner)

    command.__signature__ = inspect.Signature(_parameters(config_class))  # pyright: ignore[reportFunctionMemberAccess]
    command.__name__ = name
    command.__doc__ = f"{inspect.getdoc(config_class)}\n\nExample: {_EXAMPLES[name]}"
    app.command(name)(command)
    return command


ingest = _command(configs.IngestConfig, "spark_jobs.ingest_photos", "ingest")
count = _command(configs.CountConfig, "spark_jobs.count_taxa", "count")
select = _command(configs.SelectConfig, "spark_jobs.select_photos", "select")
download = _command(configs.DownloadConfig, "spark_jobs.download_images", "download")
retry = _command(configs.RetryConfig, "spark_jobs.download_images", "retry")
label = _command(configs.LabelConfig, "spark_jobs.label_photos", "label")
fetch = _command(FetchConfig, "spark_jobs.fetch_csv", "fetch", run_without_spark)


@app.command()
def status(
    root: Annotated[Path | None, typer.Option(help="The folder where all data lives.")] = None,
    dataset: Annotated[str | None, typer.Option(help="Only this dataset.")] = None,
    config: Annotated[Path | None, typer.Option(help="TOML file with root and dataset as keys.")] = None,
    debug: Annotated[bool, typer.Option("--debug", help="Show the trace of an error.")] = False,
) -> None:
    """Tables, versions, outcomes and shards done. Works while a download runs; needs no Java.

    Example: taxaflow data status --root data
    """
    with ending(debug, (typer.Exit,)):
        from spark_jobs.show import print_status

        asked = _config(configs.StatusConfig, config, {"root": root, "dataset": dataset}, "taxaflow data status")
        print_status(asked.root, asked.dataset)


@app.command("run")
def run_all(
    config: Annotated[Path, typer.Option(help="TOML with the tables ingest, count, select, download, label.")],
    debug: Annotated[bool, typer.Option("--debug", help="Show the trace of an error.")] = False,
) -> None:
    """Run all steps of a pipeline file in one Spark session.

    Example: taxaflow data run --config pipeline.toml
    """
    with ending(debug, (typer.Exit,)):
        from spark_jobs.run_pipeline import run_pipeline

        run_pipeline(config)


def doctor(
    root: Annotated[Path | None, typer.Option(help="Where data shall live: its disk is looked at.")] = None,
    config: Annotated[Path | None, typer.Option(help="TOML file with root as key.")] = None,
    debug: Annotated[bool, typer.Option("--debug", help="Show the trace of an error.")] = False,
) -> None:
    """Check Java, Spark, Delta, torch, GPU and disk. Says what to do.

    Example: taxaflow doctor --root data
    """
    with ending(debug, (typer.Exit,)):
        from spark_jobs.show import print_findings

        print_findings(_config(configs.DoctorConfig, config, {"root": root}, "taxaflow doctor").root)


def run_script(command: Callable[..., None]) -> None:
    """Run one command as the whole program: what a job file's main() does."""
    script = typer.Typer(add_completion=False, rich_markup_mode=None)
    script.command()(command)
    main(script)


def main(application: Callable[..., Any]) -> None:
    """Run a typer application; usage errors end with exit code 2, Ctrl-C with 130."""
    try:
        application(standalone_mode=False)
    except SystemExit:
        raise
    except BaseException as error:
        _end_usage(error)


def _end_usage(error: BaseException) -> NoReturn:
    """End with the code that fits; typer carries its own copy of click, so its errors are told by their shape."""
    if isinstance(error, typer.Exit):
        raise SystemExit(error.exit_code)
    if isinstance(error, typer.Abort):
        end(KeyboardInterrupt())
    if type(error).__name__ == "NoArgsIsHelpError":
        print(error, file=sys.stderr)
        raise SystemExit(2)
    if message := getattr(error, "format_message", None):
        end(BadInputError(f"{message()}; --help shows the flags"))
    end(error)
