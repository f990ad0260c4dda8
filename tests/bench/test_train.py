"""The parts of bench/train.py and the whole of it on 60 tiny photos, without open_clip's loader unless it is there."""

import io
import json
import os
import subprocess
import sys
import tarfile
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import open_clip
import pytest
import torch
from PIL import Image

from bench import train_device, train_step, train_transform
from bench.process_tree import CommandFailed
from bench.train import main, parse, setting_of
from bench.train_photos import make_photo
from bench.train_readers import Reader, peer_python, readers
from bench.train_report import NO_DEVICE, OPEN_CLIP, Setting, StepRun
from bench.train_shards import SPLIT, make_shards
from bench.train_step import Lengths, Timed, measure_side, worth_trying
from bench.train_texts import draw_texts
from bench.train_window import read, tree_cpu_s
from trainer.data.shard_index import ShardIndex, checked_shards
from trainer.data.webdataset_list import count_samples, expand_shards
from trainer.data.webdataset_shard import read_shard

pytestmark = pytest.mark.torch
CPU = torch.device("cpu")
EDGE_PX = 240
TINY_MODEL = {
    "embed_dim": 16,
    "vision_cfg": {"image_size": 32, "layers": 1, "width": 32, "head_width": 16, "patch_size": 16},
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 16, "heads": 1, "layers": 1},
}


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    return tmp_path_factory.mktemp("train")


@pytest.fixture(scope="module")
def shards(work):
    return make_shards(work, 60, EDGE_PX)


def test_a_photo_is_its_number_and_as_large_as_photos_are():
    photos = [make_photo(number, 500) for number in range(12)]
    assert photos == [make_photo(number, 500) for number in range(12)]
    assert len(set(photos)) == 12
    assert all(36e3 < len(photo) < 52e3 for photo in photos)
    pixel_HWC = np.asarray(Image.open(io.BytesIO(photos[0])), np.float32)
    assert pixel_HWC.shape == (375, 500, 3)
    steps = [np.abs(np.diff(pixel_HWC[:, ::stride], axis=1)).mean() for stride in (1, 8, 64)]
    assert steps[0] < steps[1] < steps[2] and pixel_HWC.std() > 20  # smooth nearby, not far off


def test_both_layouts_hold_the_same_pairs(shards):
    listed = checked_shards(shards.manifest(), SPLIT)
    assert sum(shard.num_samples for shard in listed) == 60
    index = ShardIndex(shards.manifest().parent, listed)
    assert not any(index.check(number) for number in range(len(listed)))
    urls = expand_shards(shards.pattern)
    assert count_samples(urls, None) == 60
    published = [sample for url in urls.urls for sample in read_shard(url)]
    assert [sample["jpg"] for sample in published] == [index.picture(item) for item in range(60)]
    assert published[0]["txt"] == published[0]["sci.txt"]
    assert json.loads(published[7]["json"])["photo_of_taxon"].startswith("a photo of ")
    assert json.loads(index.record(7))["width"] == EDGE_PX


def test_shards_are_made_once(work, shards):
    stamps = {path: path.stat().st_mtime_ns for path in shards.tars()}
    assert make_shards(work, 60, EDGE_PX) == shards
    assert stamps == {path: path.stat().st_mtime_ns for path in shards.tars()}


def test_a_window_begins_behind_the_warm_up_and_counts_the_cpu_of_children():
    burn = "import time\nwhile time.process_time() < 0.6: pass\ninput()"
    child = subprocess.Popen([sys.executable, "-c", burn], stdin=subprocess.PIPE)

    def batches():
        for number in range(5):
            time.sleep(0.3 if number < 3 else 0.1)
            yield [torch.zeros(4, 3), None]

    try:
        before = tree_cpu_s()
        deadline = time.monotonic() + 60
        while tree_cpu_s() - before < 0.5 and time.monotonic() < deadline:
            time.sleep(0.05)
        assert tree_cpu_s() - before >= 0.5
        window = read(batches(), 4, 3, 2)
    finally:
        child.kill()
        child.wait()
    assert window.samples == 8
    assert 0.19 < window.wall_s < 0.8
    assert window.first_batch_s > 0.3
    with pytest.raises(AssertionError):
        read(batches(), 5, 1, 1)


def test_readers_are_ours_in_both_modes_on_both_layouts_and_the_peer(shards):
    found = readers(shards, Path("peer"))
    assert [(one.name, one.shards) for one in found] == [
        ("taxaflow exact", "manifest"),
        ("taxaflow exact", "webdataset"),
        ("taxaflow fast", "manifest"),
        ("taxaflow fast", "webdataset"),
        ("open_clip", "webdataset"),
    ]
    assert found[-1].python == Path("peer") and readers(shards, None) == found[:-1]
    given = parse(["--work", "w", "--batch-size", "10", "--passes", "3"])
    assert setting_of(shards, given).num_batches == 18
    with pytest.raises(SystemExit):
        parse(["--work", "w", "--photos", "60"])


def test_a_failed_reader_is_told(work):
    (work / "logs").mkdir(exist_ok=True)
    reader = Reader("broken", "none", Path(sys.executable), "bench.train_ours", ("--train-data", "/nowhere.json"))
    with pytest.raises(CommandFailed, match="nowhere"):
        reader.run(Setting("", EDGE_PX, 10, 1, 1, 1), work, 0)


def test_the_peers_own_packages_come_before_the_projects(tmp_path):
    python = peer_python(tmp_path / "peer", pins=("webdataset",))  # there already, so pip asks nobody
    site = next((tmp_path / "peer" / "lib").glob("*/site-packages"))
    (site / "webdataset.py").write_text("__version__ = 'own'")
    script = "import webdataset, torch; print(webdataset.__version__, torch.__version__)"
    printed = subprocess.run([python, "-c", script], capture_output=True, text=True, check=True).stdout
    assert printed.split() == ["own", torch.__version__]
    assert peer_python(tmp_path / "peer", pins=("webdataset",)) == python
    assert (site / "webdataset.py").exists()  # not made anew


def test_open_clips_loader_is_measured(shards, work):
    python = os.environ.get("TAXAFLOW_BENCH_PEER")
    if python is None:
        pytest.skip("set TAXAFLOW_BENCH_PEER to DIR/open_clip-venv/bin/python of an earlier bench.train --work DIR")
    run = readers(shards, Path(python))[-1].run(Setting("", EDGE_PX, 10, 1, 2, 9), work, 0)
    assert (run.reader, run.samples) == (OPEN_CLIP, 90)
    assert run.whole_cpu_s > run.cpu_s > 0


def test_transforms_are_measured_and_fast_is_near_exact(shards):
    jpegs = train_transform.read_jpegs(shards.tars(), 7)
    with tarfile.open(shards.tars()[0]) as tar:
        first = tar.extractfile(tar.getnames()[0])
        assert first is not None and jpegs[0] == first.read()
    found = train_transform.measure(jpegs)
    assert found.num_photos == len(jpegs) == 7
    assert set(found.cpu_ms) == {"taxaflow exact", "taxaflow fast", "open_clip"}
    assert min(found.cpu_ms.values()) > 0
    assert 0 < found.difference <= found.largest_difference < 3
    shapes = {name: tuple(one(0, jpegs[0]).shape) for name, one in train_transform.transforms().items()}
    assert shapes == {"taxaflow exact": (224, 224, 3), "taxaflow fast": (224, 224, 3), "open_clip": (3, 224, 224)}


def test_texts_are_as_long_as_captions_are():
    one, two = draw_texts("ViT-B-16", 2, 256)
    assert one.shape == two.shape == (256, 77) and not torch.equal(one, two)
    assert torch.equal(one, draw_texts("ViT-B-16", 2, 256)[0])
    length_B = (one != 0).sum(dim=1).float()
    assert 17 < length_B.mean() < 30 and 40 < length_B.max() <= 64
    assert 200 < len(one.unique(dim=0)) < 256


def test_windows_of_steps_are_timed_without_the_warm_up():
    timed = Timed(["a", "b"], Lengths(warm_up=3, windows=2, steps=2), CPU, 8)
    seen = []
    for number, batch in enumerate(timed):
        seen.append(batch)
        time.sleep(0.2 if number < 3 else 0.02)
    assert seen == ["a", "b", "a", "b", "a", "b", "a"]
    assert len(timed.step_s) == 2
    assert all(0.02 <= seconds < 0.15 for seconds in timed.step_s)
    assert (timed.num_batches, timed.num_samples) == (7, 56)


@pytest.fixture(scope="module")
def tiny_model(tmp_path_factory):
    path = tmp_path_factory.mktemp("configs") / "bench-tiny.json"
    path.write_text(json.dumps(TINY_MODEL))
    open_clip.add_model_config(path)
    return path.stem


@pytest.mark.parametrize("side", train_device.SIDES)
def test_a_side_trains(side, tiny_model, monkeypatch):
    """Its own step really updates: the weights after it are not those before."""
    models = []
    for module, name in ((train_step, "make_model"), (open_clip, "create_model_and_transforms")):
        monkeypatch.setattr(module, name, spied(getattr(module, name), models))
    run = measure_side(side, tiny_model, [4], CPU, Lengths(warm_up=1, windows=2, steps=2))
    assert (run.side, run.batch_size, len(run.step_s), run.mfu) == (side, 4, 2, None)
    assert ("77" in run.texts) == (side == OPEN_CLIP)
    ((model, before),) = models
    after = model.state_dict()
    assert all(not torch.equal(before[name], after[name]) for name in ("visual.conv1.weight", "text_projection"))


def spied(make, models):
    """`make`, its models noted with their weights."""

    def made(*arguments, **options):
        result = make(*arguments, **options)
        model = result[0] if isinstance(result, tuple) else result.module
        models.append((model, {name: value.clone() for name, value in model.state_dict().items()}))
        return result

    return made


def test_the_first_batch_that_fits_is_measured(monkeypatch):
    tried = []

    def run(model, token_batches, device, lengths):
        tried.append(len(token_batches[0]))
        if tried[-1] > 4:
            raise torch.OutOfMemoryError
        return [0.1]

    monkeypatch.setitem(train_step.RUN, "taxaflow", run)
    assert measure_side("taxaflow", "ViT-B-16", [16, 8, 4, 2], CPU, Lengths()).batch_size == 4
    assert tried == [16, 8, 4]
    with pytest.raises(torch.OutOfMemoryError):
        measure_side("taxaflow", "ViT-B-16", [16, 8], CPU, Lengths())


def test_batches_that_cannot_fit_are_not_tried(monkeypatch):
    sizes, cuda = train_device.BATCH_SIZES["ViT-B-16"], torch.device("cuda")
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: SimpleNamespace(total_memory=80e9))
    assert worth_trying("ViT-B-16", sizes, cuda)[0] == 1536  # 1,702 pairs of 47 MB
    assert worth_trying("ViT-L-14", [768], cuda) == [768]
    assert worth_trying("ViT-B-16", sizes, CPU) == sizes


def test_both_sides_get_one_batch(monkeypatch, tmp_path):
    fits = {"taxaflow": 512, OPEN_CLIP: 256}
    one = StepRun("X1", "", "", 0, [0.1], None, 0.0, "")

    def run_side(work, side, model, sizes):
        return replace(one, side=side, model=model, batch_size=next(size for size in sizes if size <= fits[side]))

    monkeypatch.setattr(train_device, "run_side", run_side)
    runs = train_device.measure_steps(tmp_path)
    of_b = [(run.side, run.batch_size) for run in runs if run.model == "ViT-B-16"]
    assert of_b == [("taxaflow", 512), ("taxaflow", 256), (OPEN_CLIP, 256)]
    fits[OPEN_CLIP] = 4096
    assert [(run.side, run.batch_size) for run in train_device.measure_steps(tmp_path)][:2] == [
        ("taxaflow", 512),
        (OPEN_CLIP, 512),
    ]


def test_a_side_is_run_in_a_process_of_its_own(tmp_path):
    (tmp_path / "logs").mkdir()
    with pytest.raises(CommandFailed, match="no-such-model"):
        train_device.run_side(tmp_path, "taxaflow", "no-such-model", [4], ["--device", "cpu"])


@pytest.mark.long
def test_the_whole(work, shards, capsys, monkeypatch):
    monkeypatch.setattr("bench.train.accelerator_is_there", lambda: False)
    arguments = ["--work", str(work), "--photos", "60", "--edge-px", str(EDGE_PX), "--batch-size", "10"]
    assert main([*arguments, "--passes", "1", "--repeat", "1", "--no-peer"]) == 0
    printed = capsys.readouterr().out
    runs = [json.loads(line) for line in (work / "runs.jsonl").read_text().splitlines()]
    assert [run["kind"] for run in runs] == ["reader"] * 4 + ["transform"]
    assert all(run["samples"] == 60 and run["whole_cpu_s"] > run["cpu_s"] > 0 for run in runs[:4])
    assert f"60 photos of {EDGE_PX}x{EDGE_PX * 3 // 4} px" in printed and NO_DEVICE in printed
    assert printed.count("| taxaflow fast |") == 3 and "| open_clip | webdataset |" not in printed
    assert f"| {EDGE_PX} px: mean difference of fast to exact, levels | 0.0" in printed
