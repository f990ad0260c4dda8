"""The bench of embedding: what it draws, and the verdict that it prints."""

import subprocess
import sys

import psutil
from PIL import Image

from bench.embed_memory import PeakMemory, Run, draw_pictures, ratios, render


def test_pictures_are_as_many_and_as_large_as_asked_for(tmp_path):
    draw_pictures(tmp_path / "photos", 300, 40)
    found = sorted((tmp_path / "photos").rglob("*.jpg"))
    assert len(found) == 300
    assert {Image.open(path).size for path in found[:3]} == {(48, 40)}
    assert len({path.read_bytes() for path in found}) == 256


def test_memory_that_grows_is_said():
    few = Run(wall_s=10, cpu_s=5, own_mb=500, rss_mb=900)
    runs = {1000: few, 50_000: Run(wall_s=108, cpu_s=54, own_mb=600, rss_mb=945)}
    assert ratios(runs) == (1.2, 1.05)
    said = render(runs)
    assert "50,000 to 1,000 pictures: memory x 1.20, RSS x 1.05 (goal <= 1.1: MISSED)" in said
    assert "500 images/s, 1.00 CPU-ms per image" in said
    assert "MISSED" not in render({1000: few, 50_000: Run(108, 54, 549, 900)})


def test_memory_of_other_processes_is_seen():
    program = "import time; held = bytearray(b'x') * 80_000_000; print('held', flush=True); time.sleep(60)"
    earlier = {child.pid for child in psutil.Process().children()}
    peak = PeakMemory()
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        peak({process.pid} | earlier)
        assert peak.own_mb == 0
        peak = PeakMemory()
        peak(earlier)
        process.kill()
    assert 80 < peak.own_mb < 120
    assert peak.rss_mb > 80
