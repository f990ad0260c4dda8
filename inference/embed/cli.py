"""The embedding command: flags in, a folder of embeddings out. torch is imported when the pictures are known."""

from collections.abc import Sequence

from evaluation.cli import set_up_logging
from inference.embed.config import EmbedConfig, load
from inference.idle_threads import let_idle_threads_sleep
from taxonomy.ending import ending
from taxonomy.needed import needed


def main(arguments: Sequence[str]) -> None:
    """Embed the pictures that the flags name."""
    with ending(debug="--debug" in arguments):
        config = load(arguments)
        set_up_logging(config.debug)
        let_idle_threads_sleep()
        _embed(config)


def _embed(config: EmbedConfig) -> None:
    inputs = config.open()
    needed("inference.embed.out_folder", "taxaflow embed", "eval").check_inputs(config, inputs)
    needed("inference.embed.run", "taxaflow embed", "eval").run_embed(config, inputs)
