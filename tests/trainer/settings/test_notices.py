"""Lines at the start: said where a setting means another thing or nothing, and only there."""

import pytest

from trainer.settings.config import TrainConfig, load, notices

QUIET = {
    **{"train_data": "a.tar", "precision": "fp32", "text_type": "sci", "gather_with_grad": True},
    **{"image_mean": (0.5, 0.5, 0.5), "image_std": (0.5, 0.5, 0.5)},
}


def said(num_ranks=2, **values):
    return notices(TrainConfig(**(QUIET | values)), num_ranks)


def test_nothing_is_said_where_nothing_differs():
    assert said() == []


@pytest.mark.parametrize(
    ("values", "ranks", "line"),
    [
        ({"precision": "bf16"}, 2, "--precision bf16: bf16 autocast with fp32 weights; bf16_published stores"),
        ({"precision": "bf16_published"}, 2, "--precision bf16_published: weights in bf16 without an fp32 copy"),
        ({"precision": "amp_bf16"}, 2, "--precision amp_bf16: bf16 autocast; the published default was amp"),
        ({"image_mean": None}, 2, "--image-mean: as the weights were trained with, else OpenAI's; the published "),
        ({"image_mean": None, "image_std": None}, 2, "--image-mean and --image-std: as the weights were trained with"),
        ({"text_type": "mixed"}, 2, "--text_type mixed: a caption kind per pair; the published default was taxon"),
        ({"accum_freq": 2}, 2, "--accum-freq: gradients as of one large batch"),
        ({"ddp_static_graph": True}, 2, "--ddp-static-graph: no effect: gradients are averaged once per step"),
        ({"log_local": True}, 2, "--log-local: no effect: logged figures are averages over all ranks"),
        ({"loss": "siglip"}, 2, "--gather-with-grad: no effect with --loss siglip"),
        (
            {"loss": "siglip", "local_loss": True},
            1,
            "--local-loss and --gather-with-grad: no effect with --loss siglip",
        ),
        ({"local_loss": True, "gather_with_grad": False}, 1, "--local-loss: no effect in one process"),
        ({"loss": "multi_positive", "local_loss": True}, 2, "--local-loss: no effect with --loss multi_positive"),
        ({"gather_with_grad": False}, 4, "--gather-with-grad is off: on 4 ranks the gradients of features are 1/4 of"),
        (
            {"dataset_resampled": True, "train_data": "a.csv"},
            2,
            "--dataset-resampled: no effect with --dataset-type csv",
        ),
        (
            {"train_num_samples": 3, "train_data": "a.json"},
            2,
            "--train-num-samples: no effect with --dataset-type shards",
        ),
        ({"lock_image_unlocked_groups": 1}, 2, "--lock-image-unlocked-groups: no effect without --lock-image"),
        ({"lock_text_unlocked_layers": 1}, 2, "--lock-text-unlocked-layers: no effect without --lock-text"),
        ({"lock_text_freeze_layer_norm": True}, 2, "--lock-text-freeze-layer-norm: no effect: layer norms of locked"),
        ({"resume_at": "epoch"}, 2, "--resume-at epoch: no effect without --resume"),
        ({"epochs_cooldown": 1}, 2, "--epochs-cooldown: no effect with --lr-scheduler cosine"),
        ({"max_steps": 5, "warmup": 5}, 2, "--warmup 5: the run ends after 5 steps, before the rate reaches --lr"),
    ],
)
def test_one_line_is_said_for_what_differs(values, ranks, line):
    (only,) = said(ranks, **values)
    assert only.startswith(line)


@pytest.mark.parametrize(
    "values",
    [
        {"lock_image_unlocked_groups": 1, "lock_image_freeze_bn_stats": True, "lock_image": True},
        {"lock_text_unlocked_layers": 1, "lock_text": True},
        {"resume_at": "epoch", "resume": "somewhere"},
        {"epochs_cooldown": 1, "lr_scheduler": "const-cooldown"},
        {"max_steps": 5, "warmup": 5, "skip_scheduler": True},
        {"dataset_resampled": True, "train_num_samples": 3},
        {"local_loss": True},
    ],
)
def test_nothing_is_said_of_a_flag_that_does_something(values):
    assert said(**values) == []


def test_biased_gradients_are_named_as_such():
    (line,) = said(2, gather_with_grad=False, local_loss=True)
    assert line.endswith("as published, and with --local-loss biased")


def test_the_published_recipe_names_each_of_its_differences_once():
    lines = notices(load(["--recipe", "bt-clip-o", "--train-data", "a.tar"]), 8)
    assert [line.split(":")[0] for line in lines] == ["--precision bf16", "--image-mean and --image-std"]
