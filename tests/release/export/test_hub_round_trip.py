"""A real process exports and pushes to a stand-in of the hub, and open_clip loads it back: the same embeddings."""

import hashlib
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from evaluation.encoding.encoder import OpenClipEncoder
from evaluation.encoding.pictures import eval_picture
from evaluation.model import ModelRequest, build_model, get_tokenizer
from tests.conftest import PROJECT
from tests.release.export.hub_stand_in import TOKEN, hub_stand_in
from tests.release.export.small_checkpoints import OWN_PIXELS, TEXTS, photos, small_checkpoint

pytestmark = [pytest.mark.torch, pytest.mark.process]

_SCRIPT = """
import io, json, sys

def only_loopback(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.sendto"):
        address = arguments[1] if event != "socket.getaddrinfo" else arguments
        if not str(address[0]).startswith(("127.", "localhost", "::1")):
            print("asks for", address, file=sys.stderr)
            raise AssertionError(address)

sys.addaudithook(only_loopback)
checkpoint, out, photos, texts, result = json.loads(sys.argv[1])

from taxaflow import app
app(["export", "--resume", checkpoint, "--out", out, "--push", "org/model", "--private"], standalone_mode=False)

import open_clip, torch
from PIL import Image
model, preprocess = open_clip.create_model_from_pretrained("hf-hub:org/model")
tokenizer = open_clip.get_tokenizer("hf-hub:org/model")
with torch.no_grad():
    image_ND = model.eval().encode_image(torch.stack([preprocess(Image.open(one)) for one in photos]), normalize=True)
    text_VD = model.encode_text(tokenizer(texts), normalize=True)
torch.save({"image": image_ND, "text": text_VD}, result)
"""


def _sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def test_what_is_pushed_is_loaded_from_the_hub_with_the_same_embeddings(tmp_path: Path) -> None:
    checkpoint = small_checkpoint(tmp_path / "demo", **OWN_PIXELS)
    files = [tmp_path / f"{number}.png" for number in range(4)]
    for file, photo in zip(files, photos(), strict=True):
        file.write_bytes(photo)
    named = [str(checkpoint), str(tmp_path / "out"), [*map(str, files)], TEXTS, str(tmp_path / "embeddings.pt")]
    with hub_stand_in() as hub:
        # large files by plain HTTP, which the stand-in speaks, rather than by the client's own protocol
        own = {"HF_ENDPOINT": hub.endpoint, "HF_TOKEN": TOKEN, "HF_HUB_DISABLE_XET": "1"}
        place = {"HF_HOME": str(tmp_path / "hub"), "PYTHONPATH": str(PROJECT), "OMP_NUM_THREADS": "1"}
        run = subprocess.run(
            [sys.executable, "-c", _SCRIPT, json.dumps(named)],
            env=os.environ | own | place,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=240,
        )
        assert run.returncode == 0, run.stderr
        assert "asks for" not in run.stderr
        commit = hub.repositories["org/model"].branches["main"][-1]
        assert f"pushed: {hub.endpoint}/org/model/commit/{commit.sha}" in run.stdout
        assert hub.repositories["org/model"].private
        assert commit.message.startswith("demo step_000007, weights ")
        assert f"GET /lfs/{_sha256(tmp_path / 'out' / 'open_clip_model.safetensors')}" in hub.requests
        assert hub.files("org/model").keys() >= {"README.md", "open_clip_config.json", "open_clip_model.safetensors"}
    model, facts = build_model(ModelRequest(str(checkpoint)))
    encoder = OpenClipEncoder(model.eval(), facts, get_tokenizer(facts), torch.device("cpu"))
    pictures = [eval_picture(file, facts.image_size, facts.interpolation, facts.resize_mode) for file in files]
    image_ND = torch.cat([encoder.encode_images(torch.from_numpy(one)[None]) for one in pictures])
    found = torch.load(io.BytesIO((tmp_path / "embeddings.pt").read_bytes()), weights_only=True)
    assert torch.allclose(found["image"], image_ND, rtol=0, atol=1e-6)
    assert torch.allclose(found["text"], encoder.encode_texts(TEXTS), rtol=0, atol=1e-6)
