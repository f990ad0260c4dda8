"""The interpolate command: flags in, averaged models and their figures out. torch is imported when flags are right."""

from collections.abc import Sequence

from evaluation.cli import set_up_logging
from evaluation.settings.command_line import Command, load
from release.interpolate.config import InterpolateConfig, check_files
from taxonomy.ending import ending
from taxonomy.needed import needed

INTERPOLATE = Command(
    name="taxaflow interpolate",
    usage="--from MODEL --to MODEL [--alphas X ...] [BENCHMARK FLAGS] [FLAG ...]",
    description=(
        "Averages the weights of two models of one architecture, (1 - alpha) FROM + alpha TO (WiSE-FT, Wortsman et al. "
        "2022): what training forgot comes back, for little of what it learnt. With benchmarks every point is "
        "evaluated and the best one written; without, the points alone are written."
    ),
    epilog="""\
examples:
  taxaflow interpolate --from demo_output/runs/demo/checkpoints/step_000200 --to demo_output/runs/demo --alphas 0.5
  taxaflow interpolate --from openai --model ViT-B-16 --to runs/birds --lifestages --arbor-rare --images-root photos \\
    --shards data/shards/birds/manifest.json --split val --choose-by shards_birds_val --out averaged

OUT/best is the chosen point (local-dir:OUT/best for other commands), OUT/sweep.html the trade-off, OUT/results the
result files. Run again after a stop, it goes on: points with results are not evaluated again.""",
    config_class=InterpolateConfig,
)


def main(arguments: Sequence[str]) -> None:
    """Average as the flags say."""
    with ending(debug="--debug" in arguments):
        config = load(INTERPOLATE, arguments)
        check_files(config)
        benchmarks = None
        if config.has_benchmarks:
            benchmarks = needed("release.interpolate.choice", "taxaflow interpolate", "eval").open_benchmarks(config)
        set_up_logging(config.debug)
        needed("release.interpolate.run", "taxaflow interpolate", "eval").run_config(config, benchmarks)
