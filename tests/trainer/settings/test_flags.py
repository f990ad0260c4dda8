"""The flag table: all published flags, as they were; the parser made of it; the document made of it."""

import subprocess
import sys
from collections import Counter

import pytest

from taxonomy.errors import BadInputError
from tests.conftest import PROJECT
from trainer.settings.flag import Status, published
from trainer.settings.flags import ACCEPTED, FLAGS, REFUSED, nearest, parse, to_markdown
from trainer.settings.own_flags import OWN
from trainer.settings.published_flags import PUBLISHED

# Read from the published parser: flag, type and default, in its order. Kept apart from the table on purpose.
PUBLISHED_PARSER = """
--train-data str None | --train-data-upsampling-factors str None | --val-data str None | --train-num-samples int None
--val-num-samples int None | --dataset-type str auto | --dataset-resampled flag | --csv-separator str \t
--csv-img-key str filepath | --csv-caption-key str title | --imagenet-val str None | --imagenet-v2 str None
--logs str ../storage/model | --log-local flag | --name str None | --workers int 8 | --batch-size int 4096
--epochs int 100 | --epochs-cooldown int None | --lr float 0.0001 | --beta1 float None | --beta2 float None
--eps float None | --wd float 0.2 | --warmup int 1000 | --use-bn-sync flag | --skip-scheduler flag
--lr-scheduler str cosine | --lr-cooldown-end float 0.0 | --lr-cooldown-power float 1.0 | --save-frequency int 1
--save-most-recent flag | --zeroshot-frequency int 2 | --val-frequency int 1 | --resume str None | --precision str amp
--model str ViT-B-16 | --pretrained str None | --pretrained-image flag | --lock-image flag
--lock-image-unlocked-groups int 0 | --lock-image-freeze-bn-stats flag | --image-mean float (0.485, 0.456, 0.406)
--image-std float (0.229, 0.224, 0.225) | --aug-cfg dict {} | --grad-checkpointing flag | --local-loss flag
--gather-with-grad flag | --force-image-size int None | --force-quick-gelu flag | --force-patch-dropout float None
--force-custom-text flag | --torchscript flag | --trace flag | --accum-freq int 1 | --dist-url str env://
--dist-backend str nccl | --report-to str tensorboard | --wandb-notes str | --wandb-project-name str open-clip
--debug flag | --copy-codebase flag | --horovod flag | --ddp-static-graph flag | --no-set-device-rank flag
--seed int 0 | --grad-clip-norm float None | --lock-text flag | --lock-text-unlocked-layers int 0
--lock-text-freeze-layer-norm flag | --log-every-n-steps int 1 | --coca-caption-loss-weight float 2.0
--coca-contrastive-loss-weight float 1.0 | --remote-sync str None | --remote-sync-frequency int 300
--remote-sync-protocol str s3 | --delete-previous-checkpoint flag | --distill-model str None
--distill-pretrained str None | --text_type str taxon
"""


def published_parser():
    for entry in PUBLISHED_PARSER.strip().replace("\n", " | ").split(" | "):
        name, kind, *default = entry.split(" ", 2)
        yield name, "bool" if kind == "flag" else kind, "False" if kind == "flag" else "".join(default)


def test_the_table_has_the_80_published_flags_with_their_types_and_defaults():
    expected = set(published_parser())
    assert len(expected) == 80
    assert {(flag.names[0], flag.type.__name__, str(flag.published)) for flag in PUBLISHED} == expected
    assert all(flag.is_published for flag in PUBLISHED) and not any(flag.is_published for flag in OWN)


def test_a_flag_whose_default_is_not_the_published_one_counts_as_changed_and_every_difference_is_explained():
    for flag in PUBLISHED:
        assert flag.published == flag.default or flag.status is Status.CHANGED, flag.names
        assert bool(flag.note) == (flag.status is not Status.WORKS), flag.names


def test_every_published_flag_parses_as_the_published_parser_took_it():
    typed = {"str": "x", "int": "3", "float": "0.5"}
    several = {
        "--image-mean": ["0.1", "0.2", "0.3"],
        "--force-image-size": ["64", "64"],
        "--aug-cfg": ["scale=(0.8,1)"],
    }
    seen = []
    for name, kind, _ in published_parser():
        words = [name, *several.get(name, [] if kind == "bool" else [typed.get(kind, "")])]
        field = name[2:].replace("-", "_")
        if field in REFUSED:
            with pytest.raises(BadInputError, match=rf"^{name} is not supported: .*(: |choose|start|train)"):
                parse(words)
        else:
            assert list(parse(words)) == [field]
        seen.append(field)
    assert len(set(seen)) == 80


def test_values_come_in_their_type_and_flags_not_given_do_not_come():
    words = "--image-mean 0.1 0.2 -0.3 --aug-cfg scale=(0.8,1.0) interpolation=bilinear --text_type sci --epochs=3"
    assert parse(words.split()) == {
        "image_mean": [0.1, 0.2, -0.3],
        "aug_cfg": {"scale": (0.8, 1.0), "interpolation": "bilinear"},
        "text_type": "sci",
        "epochs": 3,
    }
    assert parse(["--text-type", "com"]) == {"text_type": "com"}
    assert parse(["--aug-cfg"]) == {"aug_cfg": {}}
    assert parse([]) == {}


def test_a_switch_can_be_put_out_except_where_no_recipe_puts_it_on():
    assert parse(["--local-loss", "--no-grad-checkpointing"]) == {"local_loss": True, "grad_checkpointing": False}
    assert parse(["--no-set-device-rank"]) == {"no_set_device_rank": True}
    for name in ("--no-debug", "--no-force", "--no-no-set-device-rank", "--no-horovod"):
        with pytest.raises(BadInputError, match=f"unknown flag {name}"):
            parse([name])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--batchsize", "3"], "unknown flag --batchsize; did you mean --batch-size?"),
        (["--warm-up=3"], "unknown flag --warm-up; did you mean --warmup?"),
        (["--no-local-los"], "unknown flag --no-local-los; did you mean --no-local-loss?"),
        (["--zzz"], "unknown flag --zzz; --help shows all"),
        (["--epoch", "3"], "unknown flag --epoch; did you mean --epochs?"),
        (["--lr", "1", "tars"], "unexpected 'tars': every value follows a flag; --help shows them"),
        (["--lr", "fast"], "--lr: 'fast' does not fit: give a number"),
        (["--epochs", "2.5"], "--epochs: '2.5' does not fit: give a whole number"),
        (["--aug-cfg", "scale"], "--aug-cfg: 'scale' does not fit: give key=value"),
        (["--lr"], "--lr: expected one argument"),
    ],
)
def test_a_typing_error_is_one_line_that_names_what_was_meant(words, message):
    with pytest.raises(BadInputError) as refused:
        parse(words)
    assert str(refused.value) == message
    assert refused.value.exit_code == 2


def test_no_name_is_taken_twice_negations_included():
    counts = Counter(name for flag in FLAGS for name in flag.names)
    counts.update(f"--no-{name[2:]}" for flag in FLAGS if flag.can_be_negated for name in flag.names)
    assert set(counts.values()) == {1}
    assert len(ACCEPTED) + len(REFUSED) == len(FLAGS) == 80 + len(OWN)
    assert set(REFUSED) == {
        *("horovod", "torchscript", "trace", "use_bn_sync", "distill_model", "distill_pretrained", "copy_codebase"),
        *("coca_caption_loss_weight", "coca_contrastive_loss_weight"),
        *("remote_sync", "remote_sync_frequency", "remote_sync_protocol"),
    }


def test_help_comes_at_once_with_groups_and_examples_and_imports_nothing_heavy():
    code = (
        "import sys, time\n"
        "from trainer.settings.config import load\n"
        "try: load(['--help'])\n"
        "except SystemExit as end: assert end.code == 0\n"
        "heavy = {'torch', 'numpy', 'open_clip', 'webdataset', 'PIL', 'typer'} & set(sys.modules)\n"
        "print(f'heavy: {sorted(heavy)}, quick: {time.process_time() < 0.3}')"  # start of Python included
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "heavy: [], quick: True"
    assert "examples:\n  taxaflow train --recipe tiny" in done.stdout
    for group in {flag.group for flag in ACCEPTED.values()}:
        assert f"\n{group}:\n" in done.stdout
    for flag in ACCEPTED.values():
        assert flag.names[-1] in done.stdout
    assert "--horovod" not in done.stdout
    assert "  --lr X  " in done.stdout and "Peak learning rate. [default: 0.0001]\n" in done.stdout
    assert "Notes of the run in wandb.\n" in done.stdout


def test_the_document_is_the_one_the_table_makes():
    assert (PROJECT / "docs" / "flags.md").read_text("utf-8") == to_markdown() + "\n", (
        "make it: python -m trainer.settings.flags"
    )


def test_the_document_has_every_flag_once_in_a_table_of_even_rows():
    tables = [part.splitlines() for part in to_markdown().split("\n\n") if part.startswith("|")]
    rows = [row for table in tables for row in table[2:]]
    assert [row.split("`")[1] for row in rows] == [
        *(flag.names[0] for flag in PUBLISHED if flag.name in ACCEPTED),
        *(flag.names[0] for flag in PUBLISHED if flag.name in REFUSED),
        *(flag.names[0] for flag in OWN),
    ]
    for table in tables:
        assert len({row.replace("\\|", "").count("|") for row in table}) == 1


def test_values_are_taken_strictly_by_type():
    number, listed, table = (published("--x", float, None, ""), published("--x", int, None, "", nargs="+"),
                             published("--x", dict, {}, ""))  # fmt: skip
    assert (number.converted(3), type(number.converted(3))) == (3.0, float)
    assert listed.converted([1, 2]) == (1, 2)
    assert table.converted({"a": (1, (2, "b"))}) == {"a": [1, [2, "b"]]}
    for value in (True, "1", float("nan"), float("inf"), 10**400, None, [1.0]):
        with pytest.raises(ValueError, match=r"^a number$"):
            number.converted(value)
    for value in (1, [], [1.5], ["1"], [True], "12"):
        with pytest.raises(ValueError, match="a whole number"):
            listed.converted(value)
    with pytest.raises(ValueError, match="valid characters"):
        published("--x", str, None, "").converted("\udce4")


def test_the_nearest_word_is_named_only_if_it_is_near():
    assert nearest("wrm_up", ["warmup", "epochs"]) == "; did you mean warmup?"
    assert nearest("zzz", ["warmup", "epochs"]) == ""
