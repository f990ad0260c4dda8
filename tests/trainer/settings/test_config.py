"""The config of a run: precedence, checks with their one line, TOML and back."""

import dataclasses
import shlex

import pytest

from taxonomy.errors import BadInputError
from trainer.settings import config as configs
from trainer.settings.config import TrainConfig, check_device, check_ranks, from_toml, load
from trainer.settings.flags import ACCEPTED

TARS = {"train_data": "s/{0..9}.tar"}

STANDARD = """
    --save-frequency 1 --train-data '/loc/{000000..000010}.tar' --val-data '/loc/{000000..000002}.tar' --warmup 5000
    --batch-size=4096 --accum-freq 1 --epochs=40 --workers=8 --model ViT-B-16 --lr 0.0005 --wd 0.0004 --precision bf16
    --beta1 0.98 --beta2 0.99 --eps 1.0e-6 --local-loss --gather-with-grad --ddp-static-graph --pretrained openai
    --text_type random --dataset-type webdataset --dataset-resampled --grad-checkpointing --report-to wandb
    --name X --logs LOGS --imagenet-val CLASSES --save-most-recent --zeroshot-frequency 1
"""


@pytest.fixture
def in_folder(tmp_path, monkeypatch):
    """A working folder with one of each file that flags name."""
    monkeypatch.chdir(tmp_path)
    for name in ("manifest.json", "pairs.csv", "other.txt", "run.toml"):
        (tmp_path / name).write_text("")
    (tmp_path / "classes").mkdir()
    return tmp_path


def loaded(line):
    return load(shlex.split(line))


def refusal(**values):
    with pytest.raises(BadInputError) as refused:
        TrainConfig(**values)
    assert "\n" not in str(refused.value)
    return str(refused.value)


def test_the_standard_command_of_the_published_readme_is_understood_as_printed(in_folder):
    config = load(shlex.split(STANDARD.replace("CLASSES", "classes")))
    expected = {
        **{"train_data": "/loc/{000000..000010}.tar", "val_data": "/loc/{000000..000002}.tar", "batch_size": 4096},
        **{"warmup": 5000, "accum_freq": 1, "epochs": 40, "workers": 8, "model": "ViT-B-16", "pretrained": "openai"},
        **{"lr": 5e-4, "wd": 4e-4, "beta1": 0.98, "beta2": 0.99, "eps": 1e-6, "precision": "bf16", "name": "X"},
        **dict.fromkeys(("local_loss", "gather_with_grad", "ddp_static_graph", "grad_checkpointing"), True),
        **dict.fromkeys(("dataset_resampled", "save_most_recent"), True),
        **{"text_type": "random", "dataset_type": "webdataset", "report_to": "wandb", "logs": "LOGS"},
        **{"imagenet_val": "classes", "zeroshot_frequency": 1, "save_frequency": 1},
    }
    assert {name: getattr(config, name) for name in expected} == expected
    untouched = TrainConfig(**TARS)
    for field in dataclasses.fields(config):
        if field.name not in expected:
            assert getattr(config, field.name) == getattr(untouched, field.name), field.name


def test_a_config_has_a_field_for_every_accepted_flag_with_its_default():
    config = TrainConfig(**TARS)
    names = [field.name for field in dataclasses.fields(config)]
    assert sorted(names) == sorted([*ACCEPTED, "model_config"])
    settled = {"train_data", "beta1", "beta2", "eps", "dataset_type"}
    for name in set(ACCEPTED) - settled:
        assert getattr(config, name) == ACCEPTED[name].default, name


def test_flags_win_over_the_recipe_and_the_recipe_over_the_defaults(in_folder):
    (in_folder / "run.toml").write_text(
        "lr = 1\nwarmup = 7\nlocal_loss = true\ngather_with_grad = true\nimage_mean = [0, 0, 1]"
    )
    config = loaded("--recipe run.toml --train-data a.tar --lr 0.5 --no-local-loss")
    assert (config.lr, config.warmup, config.wd, config.recipe) == (0.5, 7, 0.2, "run.toml")
    assert (config.local_loss, config.gather_with_grad, config.image_mean) == (False, True, (0.0, 0.0, 1.0))
    assert loaded("--config run.toml --train-data a.tar").lr == 1.0


def test_a_flag_puts_aside_what_it_would_contradict_in_the_recipe(in_folder):
    (in_folder / "run.toml").write_text(
        "model = 'own'\ncaption_kinds = 'sci'\nactivation = 'gelu'\nkeep_last = 3\ntrain_data = 'a.tar'\n"
        "model_config = {embed_dim = 1, vision_cfg = {}, text_cfg = {}}"
    )
    (in_folder / "other.toml").write_text(
        "force_quick_gelu = true\ndelete_previous_checkpoint = true\ntrain_data = 'a.tar'"
    )
    kept = loaded("--recipe run.toml --model own --text_type mixed")
    assert kept.model_config == {"embed_dim": 1, "vision_cfg": {}, "text_cfg": {}}
    assert (kept.caption_kinds, kept.activation, kept.keep_last) == ("sci", "gelu", 3)
    other = loaded("--recipe run.toml --model RN50 --text_type com --force-quick-gelu --delete-previous-checkpoint")
    assert (other.model_config, other.caption_kinds, other.activation, other.keep_last) == (None, None, None, 1)
    last = loaded("--recipe other.toml --activation gelu --keep-last 2")
    assert (last.force_quick_gelu, last.delete_previous_checkpoint, last.keep_last) == (False, False, 2)


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("ViT-B-16", (0.9, 0.98, 1e-6)),
        ("hf-hub:org/vit", (0.9, 0.98, 1e-6)),
        ("RN50", (0.9, 0.999, 1e-8)),
    ],
)
def test_unset_adam_settings_follow_the_models_name(model, expected):
    config = TrainConfig(**TARS, model=model)
    assert (config.beta1, config.beta2, config.eps) == expected
    config = TrainConfig(**TARS, model=model, beta1=0.5, beta2=0.6, eps=0.1)
    assert (config.beta1, config.beta2, config.eps) == (0.5, 0.6, 0.1)


@pytest.mark.parametrize(
    ("train_data", "expected"),
    [
        *[("d/manifest.json", "shards"), ("d/ab12.json", "shards"), ("a.csv", "csv"), ("a.TSV", "csv")],
        *[
            ("a.tar", "webdataset"),
            ("pipe:cat a.tar", "webdataset"),
            ("a::b", "webdataset"),
            ("s3://b/x", "webdataset"),
        ],
    ],
)
def test_auto_goes_by_the_name_of_the_training_data(train_data, expected):
    assert TrainConfig(train_data=train_data).dataset_type == expected
    assert TrainConfig(train_data=train_data, dataset_type="webdataset").dataset_type == "webdataset"


def test_what_follows_from_several_values():
    config = TrainConfig(**TARS)
    assert (config.crop_scale, config.crop_ratio, config.crop_interpolation) == ((0.9, 1.0), (0.75, 4 / 3), "bicubic")
    assert (config.caption_weights, config.image_size, config.device_name) == ({}, None, None)
    assert config.reporters == ("tensorboard",)
    config = TrainConfig(
        **TARS,
        aug_cfg={"scale": (0.5, 1), "ratio": [1, 1], "interpolation": "bilinear"},
        caption_kinds="sci=2, com,taxonTag = 0.5",
        force_image_size=[64, 64],
        no_set_device_rank=True,
        delete_previous_checkpoint=True,
        csv_separator="\\t",
        pretrained="",
        text_type="MIXED",
    )
    assert (config.crop_scale, config.crop_ratio, config.crop_interpolation) == ((0.5, 1.0), (1.0, 1.0), "bilinear")
    assert config.caption_weights == {"sci": 2.0, "com": 1.0, "taxonTag": 0.5}
    assert (config.image_size, config.device_name, config.keep_last) == (64, "cuda:0", 1)
    assert (config.csv_separator, config.pretrained, config.text_type) == ("\t", None, "mixed")
    assert TrainConfig(**TARS, text_type="taxontag_com").text_type == "taxonTag_com"


@pytest.mark.parametrize(
    ("report_to", "expected"),
    [
        *[("wandb", ("wandb",)), ("wandb,tensorboard", ("tensorboard", "wandb")), ("all", ("tensorboard", "wandb"))],
        *[("", ()), ("none", ()), ("wandb, tensorboard", ("tensorboard", "wandb"))],
    ],
)
def test_who_receives_figures(report_to, expected):
    assert TrainConfig(**TARS, report_to=report_to).reporters == expected


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"train_data": None}, "--train-data is missing: give a manifest.json, tar patterns or a csv file, or "),
        ({"dataset_type": "synthetic"}, "--dataset-type synthetic needs --train-num-samples: how many"),
        ({"dataset_type": "webdatset"}, "--dataset-type 'webdatset': allowed are auto, shards, webdataset, csv, "),
        ({"dataset_type": "webdatset"}, "synthetic; did you mean webdataset?"),
        (
            {"train_data": "a.json::b.json", "dataset_type": "shards"},
            "only --dataset-type webdataset joins sources by ::",
        ),
        ({"csv_separator": "ab"}, "--csv-separator 'ab': give one character"),
        ({"csv_img_key": ""}, "--csv-img-key is empty: give a text, or leave it out"),
        ({"train_data_upsampling_factors": "1"}, "needs --dataset-type webdataset and --dataset-resampled"),
        ({"lr": 0}, "--lr 0.0: must be above 0"),
        ({"lr": "fast"}, "--lr 'fast' does not fit: give a number"),
        ({"lr": float("nan")}, "--lr nan does not fit: give a number"),
        ({"lr": None}, "--lr None does not fit: give a number"),
        ({"epochs": 2.0}, "--epochs 2.0 does not fit: give a whole number"),
        ({"epochs": 0}, "--epochs 0: must be at least 1"),
        ({"epochs": True}, "--epochs True does not fit: give a whole number"),
        ({"local_loss": 1}, "--local-loss 1 does not fit: give true or false"),
        ({"name": "a\udce4"}, "does not fit: give a text of valid characters"),
        ({"beta2": 1}, "--beta2 1.0: must be at least 0 and below 1"),
        ({"spike_factor": 1}, "--spike-factor 1.0: must be above 1"),
        ({"workers": -1}, "--workers -1: must be at least 0"),
        ({"image_mean": [0.5, 0.5]}, "--image-mean 0.5 0.5: give three numbers, for R, G and B"),
        ({"image_std": (0.5, 0, 0.5)}, "--image-std 0.5 0.0 0.5: must be above 0"),
        ({"image_mean": 0.5}, "--image-mean 0.5 does not fit: give a list, each part a number"),
        ({"force_image_size": [64, 32]}, "--force-image-size 64 32: give one number: pictures are square"),
        ({"force_image_size": [64] * 3}, "--force-image-size 64 64 64: give one number"),
        (
            {"precision": "fp16"},
            "--precision fp16 is not supported: half-precision weights lose small updates: use amp or ",
        ),
        (
            {"precision": "fp8"},
            "--precision 'fp8': allowed are fp32, amp, amp_bf16, amp_bfloat16, bf16, bf16_published",
        ),
        ({"dist_url": "host:1"}, "--dist-url 'host:1': give env://, tcp://HOST:PORT or file:///PATH"),
        ({"text_type": "taxontags"}, "mixed, random, sci, com, taxon, sci_com, taxon_com, taxonTag, taxonTag_com, "),
        ({"caption_kinds": "sci", "text_type": "sci"}, "but --text_type is sci"),
        ({"caption_kinds": "sci=2,cmo=1"}, "no kind is called 'cmo'; allowed: sci, com, taxon, sci_com"),
        ({"caption_kinds": "sci=2,cmo=1"}, "did you mean com?"),
        ({"caption_kinds": "sci,sci=2"}, "give each kind once, its weight above 0"),
        ({"caption_kinds": "sci=0"}, "give each kind once, its weight above 0"),
        ({"caption_kinds": "sci="}, "give each kind once, its weight above 0"),
        ({"caption_kinds": "sci=nan"}, "give each kind once, its weight above 0"),
        ({"caption_kinds": "sci,"}, "no kind is called ''"),
        (
            {"aug_cfg": {"colour_jitter": 1}},
            "--aug-cfg colour_jitter: allowed are scale, ratio, interpolation; pictures",
        ),
        ({"aug_cfg": {"scales": [0.9, 1]}}, "did you mean scale?"),
        ({"aug_cfg": {"scale": 0.9}}, "--aug-cfg scale=0.9: give two rising numbers above 0, at most 1"),
        ({"aug_cfg": {"scale": [0.9, 1.1]}}, "two rising numbers above 0, at most 1, like (0.9,1.0)"),
        ({"aug_cfg": {"ratio": [2, 1]}}, "--aug-cfg ratio=[2, 1]: give two rising numbers above 0, like"),
        ({"aug_cfg": {"interpolation": "area"}}, "--aug-cfg interpolation=area: allowed are bicubic, bilinear"),
        ({"force_quick_gelu": True, "activation": "gelu"}, "contradict each other"),
        ({"delete_previous_checkpoint": True, "keep_last": 2}, "keeps one, --keep-last 2: give one of them"),
        ({"model_config": {"embed_dim": 1, "text_cfg": {}}}, "model_config: vision_cfg is missing"),
        ({"model_config": "ViT"}, "model_config = 'ViT' does not fit: give a table"),
        ({"lr_scheduler": "const-cooldown"}, "--lr-scheduler const-cooldown needs --epochs-cooldown"),
        ({"lr_scheduler": "const-cooldown", "epochs_cooldown": 3, "epochs": 2}, "must be at most --epochs, 2"),
        ({"name": "a/b"}, "--name 'a/b': must name one folder"),
        ({"name": ".."}, "--name '..': must name one folder"),
        ({"name": "a\nb"}, "must name one folder"),
        ({"resume": "latest"}, "--resume latest needs --name: the run to go on with"),
        ({"device": "gpu"}, "--device 'gpu': allowed are cpu, cuda, cuda:N and mps"),
        ({"report_to": "wandbb"}, "or none; did you mean wandb?"),
        ({"loss": "multi_positive", "nproc": 2}, "on 2 ranks needs --gather-with-grad"),
    ],
)
def test_what_is_not_allowed_is_refused_in_one_line_that_says_what_to_give(values, message):
    assert message in refusal(**(TARS | values))


@pytest.mark.parametrize("factors", ["1", "1::2::3", "1::x", "1::0", "1::inf", "1::", "1,2"])
def test_upsampling_needs_one_factor_per_source(factors):
    resampled = {"train_data": "a.tar::b.tar", "dataset_resampled": True}
    assert TrainConfig(**resampled, train_data_upsampling_factors="1::0.5").train_data_upsampling_factors == "1::0.5"
    assert "give one number above 0 for each of the 2 sources" in refusal(
        **resampled, train_data_upsampling_factors=factors
    )


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("--train-data gone.json", "--train-data gone.json: no such file"),
        ("--train-data gone.csv", "--train-data gone.csv: no such file"),
        ("--train-data classes", "--train-data classes: is a folder; give its manifest.json, or its tar files"),
        ("--train-data manifest.json --val-data classes", "--val-data classes: is a folder"),
        ("--train-data a.tar --val-data gone.json", "--val-data gone.json: no such file"),
        ("--train-data a.tar --imagenet-val other.txt", "--imagenet-val other.txt: no such folder"),
        ("--train-data a.tar --imagenet-v2 gone", "--imagenet-v2 gone: no such folder"),
        (
            "--train-data a.tar --resume s3://b/epoch_3.pt",
            "--resume s3://b/epoch_3.pt: no such checkpoint; give a local",
        ),
        ("--train-data a.tar --logs other.txt", "--logs other.txt: is a file; give a folder"),
    ],
)
def test_files_that_are_not_there_are_refused_on_loading_alone(in_folder, line, message):
    with pytest.raises(BadInputError) as refused:
        loaded(line)
    assert str(refused.value).startswith(message)
    assert loaded("--train-data manifest.json --val-data 'v/{0..1}.tar' --imagenet-val classes --logs classes")
    assert TrainConfig(train_data="gone.json", resume="gone")


def full_config():
    """A config in which nothing has its default, texts are awkward and every kind of value occurs."""
    awkward = "a'b\"c\\d\ne\tf é 日本 🦋 \x7f\x01"
    texts = {name: awkward for name in ("pretrained", "train_data", "val_data", "wandb_notes", "model")}
    chosen = {
        **{"dataset_type": "webdataset", "report_to": "all", "name": "run 'é' 1", "csv_separator": "|"},
        **{"image_mean": (0.1, 0.2, 0.3), "image_std": (1e-7, 1e16, 0.3), "force_image_size": (64, 64)},
        **{"aug_cfg": {"scale": [0.5, 1], "interpolation": "bilinear"}, "caption_kinds": "sci=2,com=1"},
        **{"model_config": {"embed_dim": 3, "vision_cfg": {"mlp_ratio": 4.0, "a b": [1, [2.5]]}, "text_cfg": {}}},
        **{
            "dataset_resampled": True,
            "train_data_upsampling_factors": "1",
            "text_type": "mixed",
            "dist_url": "file:///a",
        },
        **{"force_quick_gelu": True, "activation": "quickgelu", "delete_previous_checkpoint": True, "keep_last": 1},
        **{"device": "cuda:1", "lr_scheduler": "const-cooldown", "epochs_cooldown": 1},
    }
    others = {}
    for name, flag in ACCEPTED.items():
        number = {int: 3, float: 0.3}.get(flag.type, True if flag.type is bool else "x\\")
        other = next((choice for choice in flag.choices if choice != flag.default), None)
        others[name] = other or (1.5 if name == "spike_factor" else number)
    return TrainConfig(**(others | texts | chosen))


def test_toml_gives_the_same_config_back(in_folder):
    config = full_config()
    defaults = {name for name, flag in ACCEPTED.items() if getattr(config, name) == flag.default}
    assert defaults <= {"text_type"}
    again = from_toml(config.to_toml())
    assert (again.recipe, again.resume, again.resume_at) == (None, None, "step"), "a recipe does not resume by itself"
    config = dataclasses.replace(config, recipe=None, resume=None, resume_at="step")
    assert again == config
    assert from_toml(TrainConfig(**TARS).to_toml()) == TrainConfig(**TARS)
    for field in dataclasses.fields(config):
        assert type(getattr(from_toml(config.to_toml()), field.name)) is type(getattr(config, field.name))


def test_a_runs_config_is_a_recipe_for_the_same_run(in_folder):
    first = loaded("--recipe tiny --train-data manifest.json --lr 0.25")
    (in_folder / "config.toml").write_text(first.to_toml(), encoding="utf-8")
    again = loaded("--recipe config.toml")
    assert dataclasses.replace(again, recipe="tiny") == first
    assert again.recipe == "config.toml"


def test_toml_that_is_none_or_has_a_wrong_key_is_refused():
    for text, message in (
        ("lr 3", "config.toml: not valid TOML"),
        ("lrr = 3", "config.toml: unknown key lrr; did you mean lr?"),
    ):
        with pytest.raises(BadInputError, match=message):
            from_toml(text)


def test_a_device_refuses_what_it_cannot_do():
    for device in ("cpu", "mps"):
        with pytest.raises(
            BadInputError, match=f"--precision amp needs CUDA, this is {device}: use --precision amp_bf16"
        ):
            check_device(TrainConfig(**TARS, precision="amp"), device)
        with pytest.raises(BadInputError, match=f"--dist-backend nccl needs CUDA, this is {device}: use gloo"):
            check_device(TrainConfig(**TARS, dist_backend="nccl"), device)
        check_device(TrainConfig(**TARS, precision="amp_bf16", dist_backend="gloo"), device)
        check_device(TrainConfig(**TARS), device)
    check_device(TrainConfig(**TARS, precision="amp", dist_backend="nccl"), "cuda")


def test_multi_positive_over_several_ranks_needs_gradients_through_the_gathering():
    config = TrainConfig(**TARS, loss="multi_positive")
    check_ranks(config, 1)
    with pytest.raises(BadInputError, match="--loss multi_positive on 3 ranks needs --gather-with-grad"):
        check_ranks(config, 3)
    check_ranks(dataclasses.replace(config, gather_with_grad=True), 3)
    check_ranks(dataclasses.replace(config, loss="infonce"), 3)


def test_a_config_cannot_be_altered_and_does_not_share_what_it_was_given():
    own = {"embed_dim": 1, "vision_cfg": {"layers": [1]}, "text_cfg": {}}
    config = TrainConfig(**TARS, model_config=own)
    own["vision_cfg"]["layers"].append(2)
    assert config.model_config is not None and config.model_config["vision_cfg"] == {"layers": [1]}
    with pytest.raises(dataclasses.FrozenInstanceError):
        config.lr = 3.0  # pyright: ignore[reportAttributeAccessIssue]
    assert TrainConfig(**TARS).aug_cfg is not TrainConfig(**TARS).aug_cfg
    assert configs.dataset_type_of("x.json") == "shards"
