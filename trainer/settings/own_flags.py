"""The flags that the published trainer does not have."""

from trainer.settings.flag import ABOVE_ONE, COUNT, NOT_NEGATIVE, POSITIVE, Flag, in_group, own

LOSSES = ("infonce", "multi_positive", "siglip")

OWN: tuple[Flag, ...] = (
    *in_group(
        "Recipe",
        own("--recipe --config", str, None, "A built-in recipe by name, or a TOML file; flags win over it."),
    ),
    *in_group(
        "Data",
        own(
            "--caption-kinds",
            str,
            None,
            "With --text_type mixed: kinds and weights, as in 'sci=2,com=1' (default: all ten, equally).",
        ),
        own(
            "--resize",
            str,
            "exact",
            "exact: open_clip's pixels; fast: nearly the same ones for much less work.",
            choices=("exact", "fast"),
        ),
        own(
            "--shuffle-window",
            int,
            5000,
            "webdataset alone: samples of a loader process that are permuted together.",
            limits=COUNT,
        ),
    ),
    *in_group(
        "Model",
        own(
            "--activation",
            str,
            None,
            "Of the weights to start from (default: what tag, folder or checkpoint say).",
            choices=("gelu", "quickgelu"),
        ),
        own(
            "--force",
            bool,
            False,
            "Train although --activation contradicts what the weights say.",
            can_be_negated=False,
        ),
    ),
    *in_group(
        "Loss",
        own(
            "--loss",
            str,
            "infonce",
            "infonce (published: open_clip's ClipLoss); multi_positive (all pairs of a taxon belong together); siglip.",
            choices=LOSSES,
        ),
    ),
    *in_group(
        "Optimisation",
        own(
            "--max-steps", int, None, "End, and end the schedule, after N steps if --epochs takes longer.", limits=COUNT
        ),
        own(
            "--spike-factor",
            float,
            None,
            "Skip a step whose loss exceeds N times the median of the last 100 (default: never).",
            limits=ABOVE_ONE,
        ),
    ),
    *in_group(
        "Precision and speed",
        own("--compile", bool, False, "CUDA: compile the layers; minutes at the start, faster steps."),
        own(
            "--deterministic", bool, False, "CUDA: only deterministic operations, for the same losses to the last bit."
        ),
    ),
    *in_group(
        "Checkpoints and resume",
        own("--save-steps", int, None, "Save every N steps too (default: at epochs alone).", limits=COUNT),
        own("--save-minutes", float, None, "Save every N minutes too (default: at epochs alone).", limits=POSITIVE),
        own("--keep-last", int, 0, "Checkpoints to keep; 0 keeps all.", limits=NOT_NEGATIVE),
        own(
            "--format",
            str,
            "taxaflow",
            "open_clip writes each checkpoint as a published .pt file too.",
            choices=("taxaflow", "open_clip"),
        ),
        own(
            "--resume-at",
            str,
            "step",
            "Go on at the checkpoint's step, or at the start of its epoch, with other ranks, workers or data.",
            choices=("step", "epoch"),
        ),
    ),
    *in_group(
        "Evaluation while training",
        own("--zeroshot-batch-size", int, 256, "Pictures per rank and step of an evaluation.", limits=COUNT),
        own(
            "--zeroshot-benchmarks",
            str,
            None,
            "Benchmarks to measure as well, e.g. fungi,biotrove_unseen (taxaflow eval --help lists them).",
        ),
        own("--benchmarks-root", str, None, "Folder of the benchmarks' CSV files."),
        own("--images-root", str, None, "Folder below which the benchmarks' pictures lie."),
    ),
    *in_group(
        "Processes",
        own("--device", str, None, "cpu, cuda, cuda:N or mps (default: cuda where there is one, else cpu)."),
        own(
            "--nproc", int, 1, "Processes to start on this machine; torchrun does the same over several.", limits=COUNT
        ),
    ),
)
"""Ours, by the headings of --help."""
