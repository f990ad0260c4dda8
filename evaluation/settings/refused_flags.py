"""Flags of the published evaluator (VLHub) that are known and refused: each with the reason, and what to use.

Source: VLHub's training/params.py; docs/design.md, Evaluation.
"""

_OTHER_DATA = "not built in: give a folder of class folders with --folder DIR, or a table with --csv FILE"
_TRAINS = "this command evaluates; taxaflow train trains"
_ALWAYS = "per-class figures and confusions are in every result file in --out"
_PIXELS = "pictures are shown as the model was trained, or as --protocol says"
_PROMPTS = "class names are prompted as the CSV spells them; --prompts chooses the texts around them"

_DATA_SETS = (
    *("--imagenet-v2", "--imagenet-real", "--imagenet-s", "--imagenet-r", "--imagenet-a", "--imagenet_c"),
    *("--stylized_imagenet", "--easyrobust_eval", "--objectnet", "--openimages-val", "--insecta", "--inat2021"),
    *("--inat2018", "--inat2017", "--stanfordcars", "--cars", "--flowers", "--air", "--food", "--dc_eval"),
    *("--dc_eval_data_dir", "--imagenet-train"),
)
_TRAINING = (
    *("--train-data", "--val-data", "--train-num-samples", "--val-num-samples", "--dataset-type", "--epochs", "--lr"),
    *("--wd", "--warmup", "--save-frequency", "--save-most-recent", "--val-frequency", "--local-loss"),
    *("--gather-with-grad", "--grad-checkpointing", "--dataset-resampled", "--lock-image", "--lock-text"),
    *("--pretrained-image", "--ddp-static-graph", "--use-bn-sync"),
)

REFUSED = {
    **dict.fromkeys(_DATA_SETS, _OTHER_DATA),
    **dict.fromkeys(_TRAINING, _TRAINS),
    "--extended-metrics": _ALWAYS,
    "--save-results-to-csv": _ALWAYS,
    "--image-mean": _PIXELS,
    "--image-std": _PIXELS,
    "--zs-upper": _PROMPTS,
    "--zs-lower": _PROMPTS,
    "--no-ensembling": _PROMPTS,
    "--force-quick-gelu": "say --activation quickgelu",
    "--torchscript": "the model runs as it is; --precision amp_bf16 makes it faster on a GPU",
    "--trace": "the model runs as it is; --precision amp_bf16 makes it faster on a GPU",
    "--horovod": "start the processes with torchrun -m evaluation, or with --nproc on one machine",
    "--dist-url": "start the processes with torchrun -m evaluation, or with --nproc on one machine",
    "--dist-backend": "it follows the device: nccl on CUDA, gloo elsewhere",
    "--copy-codebase": "code is not copied; config.toml in --out has the settings",
    "--log-local": "one process writes",
    "--zeroshot-scramble": "prompts are not altered",
}
"""Flag -> why it is refused, and what to use instead."""
