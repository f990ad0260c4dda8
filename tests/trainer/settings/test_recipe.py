"""Recipes: found by name or path, keys checked, and the values of the built-in ones."""

import tomllib

import pytest

from taxonomy.errors import BadInputError
from trainer.settings import recipe
from trainer.settings.config import TrainConfig, load

PUBLISHED = ("bt-clip-b", "bt-clip-m", "bt-clip-o")


def test_the_built_in_recipes_are_found_and_make_a_config():
    assert recipe.names() == (*PUBLISHED, "tiny")
    for name in recipe.names():
        config = load(["--recipe", name, "--train-data", "a.tar"])
        values = tomllib.loads(recipe.find(name).read_text("utf-8"))
        assert {key: getattr(config, key) for key in values} == {
            key: tuple(value) if isinstance(value, list) else value for key, value in values.items()
        }


def test_every_value_of_a_built_in_recipe_says_where_it_comes_from():
    for name in recipe.names():
        lines = recipe.find(name).read_text("utf-8").splitlines()
        values = [line for line in lines if " = " in line and not line.startswith("#")]
        marks = ("published", "standard", "chosen here") if name in PUBLISHED else ("",)
        nature = [line.split("# ", 1)[1] for line in values if "# " in line]
        assert all(any(comment.startswith(mark) for mark in marks) for comment in nature), name
        bare = [line for line in values if "# " not in line]
        allowed = ("patch_size", "width", "layers", "heads") if name == "tiny" else ()
        assert all(line.split()[0] in allowed for line in bare), bare


def test_bt_clip_o_is_the_published_standard_recipe():
    config = load(["--recipe", "bt-clip-o", "--train-data", "a.tar"])
    assert (config.model, config.pretrained, config.epochs, config.warmup) == ("ViT-B-16", "openai", 40, 5000)
    assert (config.batch_size, config.lr, config.wd) == (4096, 5e-4, 4e-4)
    assert (config.beta1, config.beta2, config.eps) == (0.98, 0.99, 1e-6)
    assert (config.precision, config.loss, config.text_type) == ("bf16", "infonce", "random")
    assert config.local_loss and config.gather_with_grad and config.grad_checkpointing and config.dataset_resampled


def test_the_three_published_recipes_have_the_published_epochs_and_one_global_batch():
    found = {name: load(["--recipe", name, "--train-data", "a.tar"]) for name in PUBLISHED}
    assert {name: config.epochs for name, config in found.items()} == {"bt-clip-b": 8, "bt-clip-m": 12, "bt-clip-o": 40}
    assert {config.batch_size * config.accum_freq for config in found.values()} == {4096}
    steps = {name: 39_900_000 // 32_768 * config.epochs for name, config in found.items()}
    assert all(0.09 < config.warmup / steps[name] < 0.11 for name, config in found.items())


def test_tiny_is_the_small_model_of_the_design():
    config = load(["--recipe", "tiny", "--train-data", "a.tar"])
    assert (config.batch_size, config.lr, config.loss, config.max_steps) == (128, 2e-3, "multi_positive", 226)
    assert (config.warmup, config.precision, config.workers, config.text_type) == (20, "fp32", 1, "mixed")
    assert config.model_config == {
        "embed_dim": 64,
        "quick_gelu": False,
        "vision_cfg": {"image_size": 32, "patch_size": 8, "width": 64, "layers": 2, "head_width": 32},
        "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 64, "heads": 2, "layers": 2},
    }


def test_a_recipe_can_be_any_toml_file_and_leaves_out_where_it_came_from_itself(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text("recipe = 'tiny'\nlr = 3\nname = 'é'\n", encoding="utf-8")
    assert recipe.read(str(path)) == {"lr": 3, "name": "é"}


def test_a_recipe_that_is_not_there_is_answered_with_those_that_are():
    with pytest.raises(BadInputError) as refused:
        recipe.find("bt-clip-0")
    assert str(refused.value) == (
        "--recipe 'bt-clip-0': no such recipe or file; built in are bt-clip-b, bt-clip-m, bt-clip-o, tiny; "
        "did you mean bt-clip-o?"
    )
    with pytest.raises(BadInputError, match="no such recipe or file"):
        load(["--recipe", "", "--train-data", "a.tar"])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"lr 3", "not valid TOML: "),
        (b"lr = '\xff'", "not a UTF-8 text"),
        (b"warm_up = 3", "unknown key warm_up; did you mean warmup?"),
        (b"batch-size = 3", "unknown key batch-size; did you mean batch_size?"),
        (b"zzz = 3", "unknown key zzz; keys are the flags of --help with _ for -"),
        (b"[model_confg]\na = 1", "unknown key model_confg; did you mean model_config?"),
        (b"horovod = true", "--horovod is not supported: start the processes with torchrun"),
    ],
)
def test_a_file_that_is_no_recipe_is_refused_in_one_line_with_its_name(tmp_path, content, message):
    path = tmp_path / "mine.toml"
    path.write_bytes(content)
    with pytest.raises(BadInputError) as refused:
        recipe.read(str(path))
    assert message in str(refused.value)
    assert str(path) in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_wrong_value_in_a_recipe_is_refused_by_its_flag(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text("batch_size = '128'\ntrain_data = 'a.tar'")
    with pytest.raises(BadInputError, match="--batch-size '128' does not fit: give a whole number"):
        load(["--recipe", str(path)])
    assert load(["--recipe", str(path), "--batch-size", "128"]) == TrainConfig(
        recipe=str(path), batch_size=128, train_data="a.tar"
    )
