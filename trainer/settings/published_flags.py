"""The 80 flags of the published trainer: what each does here, and what differs and why.

Names, types and defaults are those of BioTrove's model_training (commit a574b81), read by running its parser.
"""

from taxonomy.captions import CAPTION_KINDS
from trainer.settings.flag import (
    COUNT,
    NOT_NEGATIVE,
    POSITIVE,
    SHARE,
    Flag,
    changed,
    in_group,
    no_effect,
    published,
    refused,
)

PRECISIONS = ("fp32", "amp", "amp_bf16", "amp_bfloat16", "bf16", "bf16_published")
DATASET_TYPES = ("auto", "shards", "webdataset", "csv", "synthetic")
TEXT_TYPES = ("mixed", "random", *CAPTION_KINDS)
SCHEDULERS = ("cosine", "const", "const-cooldown")

_OPEN_CLIP = "train such a model with open_clip's own trainer (python -m open_clip_train.main)"
_COCA = f"captioning is not trained here: choose a CLIP model such as ViT-B-16, or {_OPEN_CLIP}"
_SYNC = (
    "a run folder holds only whole checkpoints at any moment: copy it as often as you like with aws s3 sync, rclone or "
    "rsync beside the run"
)
_DISTILL = f"there is no teacher here: start from its weights with --pretrained, or {_OPEN_CLIP}"
_SCRIPTED = "this trainer runs plain modules: train without it and script the model afterwards with torch.jit"

_DATA = in_group(
    "Data",
    changed(
        "--train-data",
        str,
        None,
        "manifest.json of a dataset, tar patterns ('{000000..000159}.tar', several joined by ::), or a csv file.",
        "also takes a manifest; training is what this command does, so it must be given (published: evaluation alone "
        "without it)",
    ),
    changed(
        "--train-data-upsampling-factors",
        str,
        None,
        "With --dataset-resampled: a weight per source of --train-data, joined by :: as in 1::2.",
        "checked at the start: one number above 0 per source",
    ),
    published("--val-data", str, None, "Pairs for the validation loss, given like --train-data."),
    published(
        "--train-num-samples",
        int,
        None,
        "Pairs of an epoch where neither a manifest nor sizes.json says it.",
        limits=COUNT,
    ),
    published("--val-num-samples", int, None, "The same for --val-data.", limits=COUNT),
    changed(
        "--dataset-type",
        str,
        "auto",
        "How to read --train-data; auto goes by the name: .json shards, .csv and .tsv csv, else webdataset.",
        "shards is new: a dataset by its manifest; auto takes any other name than .csv, .tsv and .json for tar shards "
        "(published: .tar only)",
        choices=DATASET_TYPES,
    ),
    published("--dataset-resampled", bool, False, "Draw tar shards with replacement (webdataset alone)."),
    published("--csv-separator", str, "\t", "Between the columns of a csv file; \\t is a tab."),
    published("--csv-img-key", str, "filepath", "The csv column with the picture's path."),
    published("--csv-caption-key", str, "title", "The csv column with the caption."),
    published("--workers", int, 8, "Loader processes of each rank.", limits=NOT_NEGATIVE),
    changed(
        "--aug-cfg",
        dict,
        {},
        "scale='(0.9,1.0)' ratio='(0.75,1.33)' interpolation=bicubic: the random crop of training pictures.",
        "ratio and interpolation work without timm; color_jitter, re_prob, re_count and use_timm are refused: pictures "
        "are only cropped",
        nargs="*",
    ),
    changed(
        "--text_type --text-type",
        str,
        "taxon",
        "Caption of a pair: one of the ten kinds; random (one of five kinds per step, as published); mixed (a kind per "
        "pair, over all that it has).",
        "mixed is new and the default: the ten stored kinds, drawn per pair (published: one kind for all pairs of a "
        "step, from five, and taxonTag and taxonTag_com crash); fixed kinds work in any spelling of the suffix",
        ours="mixed",
        choices=TEXT_TYPES,
    ),
)

_MODEL = in_group(
    "Model",
    published("--model", str, "ViT-B-16", "open_clip model name, or hf-hub:ORG/NAME, or local-dir:FOLDER."),
    changed(
        "--pretrained",
        str,
        None,
        "open_clip tag, weights file or checkpoint folder to start from.",
        "a bare weights file needs --activation, as nothing in it tells GELU from QuickGELU; a tag's own activation is "
        "used, so ViT-B-16 with openai is QuickGELU, as in the published training",
    ),
    published("--pretrained-image", bool, False, "Start the image tower from ImageNet weights, where timm has them."),
    published("--lock-image", bool, False, "Do not train the image tower."),
    published(
        "--lock-image-unlocked-groups",
        int,
        0,
        "With --lock-image: train its last N layer groups.",
        limits=NOT_NEGATIVE,
    ),
    published(
        "--lock-image-freeze-bn-stats", bool, False, "With --lock-image: keep batch norm statistics of locked layers."
    ),
    published("--lock-text", bool, False, "Do not train the text tower."),
    published("--lock-text-unlocked-layers", int, 0, "With --lock-text: train its last N layers.", limits=NOT_NEGATIVE),
    no_effect(
        "--lock-text-freeze-layer-norm",
        "Accepted, does nothing.",
        "layer norms of locked layers are always locked: open_clip's text towers know nothing else",
    ),
    changed(
        "--image-mean",
        float,
        (0.485, 0.456, 0.406),
        "Mean of R, G and B, 0 to 1 (default: what the weights were trained with).",
        "not given, the values come from the tag or folder that the weights come from, else OpenAI's (published: "
        "ImageNet's, which the published evaluation does not use)",
        ours=None,
        nargs="+",
    ),
    changed(
        "--image-std",
        float,
        (0.229, 0.224, 0.225),
        "Standard deviation of R, G and B (default: like --image-mean).",
        "as --image-mean",
        ours=None,
        nargs="+",
        limits=POSITIVE,
    ),
    changed(
        "--force-image-size",
        int,
        None,
        "Edge of the pictures in px, another one than the model's own.",
        "two different numbers are refused: pictures are square",
        nargs="+",
        limits=COUNT,
    ),
    published("--force-quick-gelu", bool, False, "The same as --activation quickgelu."),
    published("--force-patch-dropout", float, None, "Share of picture patches left out in training.", limits=SHARE),
    published("--force-custom-text", bool, False, "Build the text tower as a module of its own."),
)

_LOSS = in_group(
    "Loss",
    published("--local-loss", bool, False, "Each rank compares its own pairs with all (infonce, several ranks)."),
    published("--gather-with-grad", bool, False, "Gradients flow through the gathering of all ranks' features."),
    changed(
        "--accum-freq",
        int,
        1,
        "Micro-batches of one optimizer step; all their pairs are compared.",
        "every gradient equals that of one large batch (published: logit_scale's is N times too large, which also "
        "inflates the norm that --grad-clip-norm sees)",
        limits=COUNT,
    ),
)

_OPTIMISATION = in_group(
    "Optimisation",
    published("--batch-size", int, 4096, "Pairs of one rank in one micro-batch.", limits=COUNT),
    published("--epochs", int, 100, "Passes over the training data.", limits=COUNT),
    published("--epochs-cooldown", int, None, "Last epochs with falling rate (const-cooldown).", limits=COUNT),
    published("--lr", float, 1e-4, "Peak learning rate.", limits=POSITIVE),
    published("--beta1", float, None, "AdamW (default: 0.9).", limits=SHARE),
    published(
        "--beta2", float, None, "AdamW (default: 0.98 if the model's name has vit in it, else 0.999).", limits=SHARE
    ),
    published(
        "--eps", float, None, "AdamW (default: 1e-6 if the model's name has vit in it, else 1e-8).", limits=POSITIVE
    ),
    published(
        "--wd", float, 0.2, "Weight decay of matrices; gains, biases and logit_scale have none.", limits=NOT_NEGATIVE
    ),
    published("--warmup", int, 1000, "Steps over which the learning rate rises.", limits=NOT_NEGATIVE),
    published("--skip-scheduler", bool, False, "Keep the learning rate at --lr throughout."),
    published("--lr-scheduler", str, "cosine", "How the learning rate falls.", choices=SCHEDULERS),
    published("--lr-cooldown-end", float, 0.0, "Learning rate at the end (const-cooldown).", limits=NOT_NEGATIVE),
    published("--lr-cooldown-power", float, 1.0, "Shape of the fall (const-cooldown); 1 is a line.", limits=POSITIVE),
    published("--grad-clip-norm", float, None, "Scale gradients down to this norm (default: never).", limits=POSITIVE),
    changed(
        "--seed",
        int,
        0,
        "Of weights, order, crops and caption kinds.",
        "order, crops and kinds are functions of the seed, the epoch and the pair: the same run twice is the same run "
        "(published: loader workers seed themselves from time and process number)",
        limits=NOT_NEGATIVE,
    ),
)

_PRECISION = in_group(
    "Precision and speed",
    changed(
        "--precision",
        str,
        "amp",
        "fp32; amp (fp16 autocast, CUDA alone); amp_bf16 = bf16 (bf16 autocast, fp32 weights); bf16_published.",
        "bf16 keeps fp32 weights (published: weights stored in bf16, too coarse for its own weight decay; that is "
        "bf16_published); the default needs neither loss scaling nor CUDA; fp16 is refused: half-precision weights "
        "lose small updates",
        ours="amp_bf16",
        choices=PRECISIONS,
        refused_choices={"fp16": "half-precision weights lose small updates: use amp or amp_bf16"},
    ),
    published("--grad-checkpointing", bool, False, "Compute activations twice instead of keeping them."),
    no_effect(
        "--ddp-static-graph",
        "Accepted, does nothing.",
        "gradients are averaged once per step without DDP, so there is no graph to declare static",
    ),
)

_CHECKPOINTS = in_group(
    "Checkpoints and resume",
    published("--save-frequency", int, 1, "Save at the end of every Nth epoch; 0 never.", limits=NOT_NEGATIVE),
    changed(
        "--save-most-recent",
        bool,
        False,
        "Save at the end of every epoch; with --format open_clip also as epoch_latest.pt.",
        "every checkpoint is written whole or not at all, so that each can be resumed, not only the latest",
    ),
    published("--delete-previous-checkpoint", bool, False, "The same as --keep-last 1."),
    changed(
        "--resume",
        str,
        None,
        "latest, or a checkpoint to go on from.",
        "goes on at the very step, with data position, random state and optimizer (published: at an epoch's start, "
        "in another order); latest passes over a damaged checkpoint, and needs --name; only local folders: "
        "a .pt file holds too little to go on exactly, start from its weights with --pretrained",
    ),
)

_EVALUATION = in_group(
    "Evaluation while training",
    published(
        "--imagenet-val",
        str,
        None,
        "Folder of class folders for zero-shot accuracy. All 1,000 of ImageNet, as WordNet ids or as 0 to 999, get its "
        "published names; others are named by their folders.",
    ),
    changed(
        "--imagenet-v2",
        str,
        None,
        "A second such folder.",
        "works alone (published: KeyError without --imagenet-val)",
    ),
    published("--zeroshot-frequency", int, 2, "Epochs between zero-shot evaluations; 0 never.", limits=NOT_NEGATIVE),
    published("--val-frequency", int, 1, "Epochs between validation losses; 0 never.", limits=NOT_NEGATIVE),
)

_RUN = in_group(
    "Run folder and logging",
    changed(
        "--logs",
        str,
        "../storage/model",
        "Where run folders are made.",
        "the published default lies outside of the working folder",
        ours="logs",
    ),
    published("--name", str, None, "Of the run folder (default: time, model and settings)."),
    no_effect(
        "--log-local",
        "Accepted, does nothing.",
        "logged figures are averages over all ranks, so one log says all there is",
    ),
    published("--log-every-n-steps", int, 1, "Steps between two logged lines.", limits=COUNT),
    published(
        "--report-to", str, "tensorboard", "tensorboard, wandb, both with a comma, all or none; train.jsonl always."
    ),
    published("--wandb-notes", str, "", "Notes of the run in wandb."),
    published("--wandb-project-name", str, "open-clip", "Project in wandb."),
    changed(
        "--debug",
        bool,
        False,
        "Log more, show the trace of an error.",
        "also shows the trace of an error",
        can_be_negated=False,
    ),
)

_PROCESSES = in_group(
    "Processes",
    published("--dist-url", str, "env://", "Where processes meet; env:// is MASTER_ADDR and MASTER_PORT."),
    changed(
        "--dist-backend",
        str,
        "nccl",
        "How processes talk (default: nccl on CUDA, gloo elsewhere).",
        "chosen by the device, so that several CPU processes work without it",
        ours=None,
        choices=("nccl", "gloo"),
    ),
    published(
        "--no-set-device-rank",
        bool,
        False,
        "Every process uses its first GPU, where each sees only its own.",
        can_be_negated=False,
    ),
)

_REFUSED = in_group(
    "Refused",
    refused("--remote-sync", str, None, _SYNC),
    refused("--remote-sync-frequency", int, 300, _SYNC),
    refused("--remote-sync-protocol", str, "s3", _SYNC),
    refused("--horovod", bool, False, "start the processes with torchrun -m trainer, or with --nproc on one machine"),
    refused("--torchscript", bool, False, _SCRIPTED),
    refused("--trace", bool, False, _SCRIPTED),
    refused(
        "--use-bn-sync",
        bool,
        False,
        "batch norm statistics are not shared between processes: choose a ViT model, which has no batch norm",
    ),
    refused("--distill-model", str, None, _DISTILL),
    refused("--distill-pretrained", str, None, _DISTILL),
    refused("--coca-caption-loss-weight", float, 2.0, _COCA),
    refused("--coca-contrastive-loss-weight", float, 1.0, _COCA),
    refused(
        "--copy-codebase",
        bool,
        False,
        "code is not copied into runs: start from a git checkout or a release; a run's config.toml has its settings",
    ),
)

PUBLISHED: tuple[Flag, ...] = (
    *_DATA,
    *_MODEL,
    *_LOSS,
    *_OPTIMISATION,
    *_PRECISION,
    *_CHECKPOINTS,
    *_EVALUATION,
    *_RUN,
    *_PROCESSES,
    *_REFUSED,
)
"""All published flags, by the headings of --help."""
