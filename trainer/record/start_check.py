"""What a run says before its first step: what it trains on what, and what was found in its first pairs."""

from trainer.data.batch import DataSettings
from trainer.loop import Run


def first_lines(run: Run, settings: DataSettings) -> list[str]:
    """Lines for the console: model, data, steps."""
    return [_model_line(run), _data_line(run, settings), _steps_line(run)]


def _model_line(run: Run) -> str:
    facts, ranks = run.model.facts, run.ranks
    trained = sum(parameter.numel() for parameter in run.model.parts.parameters)
    weights = f"weights {facts.pretrained}" if facts.pretrained else "random weights"
    mean, std = (", ".join(f"{value:.4g}" for value in values) for values in (facts.image_mean, facts.image_std))
    return (
        f"model {facts.name}, {weights}, {trained / 1e6:,.2f} M parameters in training, activation {facts.activation} "
        f"({facts.activation_source}), pictures of {facts.image_size} px, mean {mean}, std {std}; "
        f"{ranks.size} x {ranks.device.type}, {run.config.precision}"
    )


def _data_line(run: Run, settings: DataSettings) -> str:
    kinds = ", ".join(settings.caption.kinds)
    how = "one kind per step of" if settings.caption.one_kind_per_batch else "captions"
    return f"data {run.config.train_data or 'synthetic'}: {run.data.num_samples:,} pairs, {how} {kinds}"


def _steps_line(run: Run) -> str:
    config = run.config
    global_batch = config.batch_size * config.accum_freq * run.ranks.size
    return (
        f"{run.total_steps:,} steps of {global_batch:,} pairs ({config.batch_size} x {config.accum_freq} x "
        f"{run.ranks.size}), {run.steps_per_epoch:,} per epoch, from step {run.step:,}; loss {config.loss}"
    )
