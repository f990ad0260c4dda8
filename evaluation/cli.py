"""The evaluation command: flags in, results out. torch is imported when the flags are known to be right."""

import logging
import os
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from evaluation.launch import launch
from evaluation.settings.config import EvalConfig
from evaluation.settings.flags import load
from taxonomy.ending import ending, last_words
from taxonomy.errors import TaxaflowError
from taxonomy.launch_folder import leave_word
from taxonomy.needed import needed

if TYPE_CHECKING:
    from evaluation.benchmarks.benchmark import Benchmark


def main(arguments: Sequence[str]) -> None:
    """Evaluate as the flags say: in this process, in this rank of torchrun, or in processes of its own (--nproc)."""
    if arguments and arguments[0] == "--":  # what torchrun needs before flags that it could take for its own
        arguments = arguments[1:]
    with ending(debug="--debug" in arguments):
        config = load(arguments)
        if "RANK" not in os.environ and config.nproc > 1:
            raise SystemExit(launch(arguments, config.nproc))
        set_up_logging(config.debug)
        _run_here(config)


def set_up_logging(debug: bool) -> None:
    """Say how a model was understood, and little else; with `debug` leave everything as the libraries have it."""
    warnings.filterwarnings("ignore", "This DataLoader will create")  # --workers is the user's choice
    if debug:
        return
    os.environ.setdefault("HF_HUB_VERBOSITY", "error")  # it tells each retry twice; the last line says what failed
    if os.environ.get("RANK", "0") != "0":
        logging.getLogger().setLevel(logging.ERROR)  # rank 0 talks
    else:
        logging.getLogger("evaluation").setLevel(logging.INFO)  # how a model was understood


def _run_here(config: EvalConfig) -> None:
    try:
        benchmarks = _opened(config)  # before torch is imported: what is wrong with a file is said at once
        run = _runner()
        run(config, benchmarks)
    except Exception as error:
        is_heard = leave_word(*last_words(error)) and not config.debug
        if isinstance(error, TaxaflowError) and is_heard:
            raise SystemExit(error.exit_code) from None  # the parent says it
        raise


def _opened(config: EvalConfig) -> "list[Benchmark]":
    return _needed("evaluation.settings.chosen_benchmarks").open_chosen(config)


def _runner() -> "Callable[[EvalConfig, list[Benchmark]], object]":
    return _needed("evaluation.run_config").run_config


def print_report(results: Path, out: Path | None, against: str | None) -> None:
    """Write the page of a folder of results, print its table and where it is.

    Raises:
        BadInputError: there are no results, or no model `against`.
    """
    page = _needed("evaluation.report.page").write_report(results, out, against)
    records = _needed("evaluation.results.result").read_results(results)
    _needed("evaluation.report.outcome").print_table(_needed("evaluation.report.table").report_table(records))
    print(f"report: {page.resolve()}")


def _needed(module: str) -> ModuleType:
    return needed(module, "evaluation", "eval")
