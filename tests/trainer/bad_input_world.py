"""Everything that a user can give the trainer by mistake: damaged, missing and contradicting files in one folder."""

import json
import shutil
from pathlib import Path

import open_clip
import torch

from tests.trainer.command import QUICK, run_here
from tests.trainer.small_dataset import change_manifest, jpeg, photo, write_dataset
from tests.trainer.tar_shards import plain_sample, write_shards
from trainer.settings.recipe import FOLDER

CHECKPOINT = "runs/done/checkpoints/step_000001"


def make_world(folder: Path) -> None:
    """Fill a folder, the working folder of the process; paths in the tests are relative to it.

    data/manifest.json is good: 12 pairs in two shards. So are tars/{000..001}.tar, and the run `done` in runs/.
    """
    write_dataset(folder / "data", [6, 6])
    write_dataset(folder / "unnamed", [6, 6], photos=lambda number: photo(number, common_name=None))
    _spoil_manifests(folder / "data")
    write_shards(folder / "tars", [6, 6])
    write_shards(folder / "plain", [6, 6], plain_sample)
    write_shards(folder / "uncounted", [6])
    (folder / "uncounted" / "sizes.json").unlink()
    _without_manifest(folder / "unnamed", folder / "unnamed_tars")
    _write_table(folder / "pairs.csv")
    _write_recipes(folder)
    torch.save(open_clip.create_model("ViT-S-32-alt").state_dict(), folder / "bare.pt")
    (folder / "file").write_text("not a folder")
    assert run_here(f"{QUICK} --train-data data/manifest.json --logs runs --name done") == 0
    _spoil_checkpoints(folder)


def _spoil_manifests(folder: Path) -> None:
    good = (folder / "manifest.json").read_bytes()
    for name, change in {
        "size": {"num_bytes": 1},
        "count": {"num_samples": 7},
        "gone": {"file": "train/x.tar"},
    }.items():
        path = folder / f"{name}.json"
        path.write_bytes(good)
        change_manifest(path, **change)
    (folder / "cut.json").write_bytes(good[: len(good) // 2])
    (folder / "list.json").write_text("[]")
    held_out = json.loads((folder / "count.json").read_bytes())["splits"]["train"][:1]
    splits = json.loads(good)["splits"] | {"val": held_out}
    (folder / "val_count.json").write_text(json.dumps(json.loads(good) | {"splits": splits}))


def _without_manifest(dataset: Path, folder: Path) -> None:
    folder.mkdir()
    for number, tar in enumerate(sorted((dataset / "train").glob("*.tar"))):
        shutil.copy(tar, folder / f"{number:03d}.tar")
    (folder / "__len__").write_text("12")


def _write_table(path: Path) -> None:
    rows = []
    for number in range(6):
        (path.parent / f"{number}.jpg").write_bytes(jpeg(number))
        rows.append(f"{number}.jpg,text {number}")
    path.write_text("\n".join(["filepath,title", *rows, ""]))


def _write_recipes(folder: Path) -> None:
    tiny = (FOLDER / "tiny.toml").read_text()
    (folder / "narrow.toml").write_text(tiny.replace("layers = 2", "layers = 1"))
    (folder / "wrong_key.toml").write_text("batch_sise = 4\n")
    (folder / "wrong_value.toml").write_text('lr = "many"\n')
    (folder / "no.toml").write_text("batch_size = = 4\n")


def _spoil_checkpoints(folder: Path) -> None:
    shutil.copytree(folder / CHECKPOINT, folder / "damaged")
    with (folder / "damaged" / "optimizer.pt").open("r+b") as file:
        file.truncate(1000)
    shutil.copytree(folder / "runs" / "done", folder / "runs" / "broken")
    (folder / "runs" / "broken" / "checkpoints" / "step_000001" / "model.safetensors").unlink()
