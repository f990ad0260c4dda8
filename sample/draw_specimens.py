"""Draws the specimen set: about 700 pictures of 28 real species, as photos.csv and photos/<photo_id>.<ext>.

    python -m sample.draw_specimens OUT [--seed 42] [--limit N]

The pictures are drawings, not photographs, and say so in the columns `source` and `attribution`. The same seed,
limit and Pillow version give the same bytes. OUT belongs to this command: specimens.json in it records what was
drawn, every file appears complete or not at all, photos.csv comes last, and a second call only draws what is missing.
"""

from __future__ import annotations

import argparse
import io
import json
import math
import sys
from pathlib import Path
from random import Random

import PIL
from PIL import Image

from sample.backdrops import compose, give_volume, paint_backdrop
from sample.pen import OVERSAMPLE, Pen, Pose
from sample.specimen_list import Specimen, SpecimenError, csv_bytes, list_specimens
from sample.specimen_taxa import DrawnSpecies
from taxonomy.errors import WorkFailedError
from taxonomy.whole_file import write_whole

SIZES_PX = ((256, 192), (240, 180), (224, 224), (192, 256), (208, 208), (256, 171), (192, 192))
JPEG_QUALITY = 90
DRAWING_STYLE = 1  # raise it when a change of the painters makes other pictures
_TURN_BACK = Image.Transpose.ROTATE_90  # stored so, EXIF orientation 6 shows the picture upright
_EXIF_ORIENTATION = 0x0112


def encode_picture(specimen: Specimen, seed: int = 42) -> bytes:
    """The image file of one specimen, longest side 192 to 256 px.

    Pictures of one observation share the individual's colours and pattern and the scene, not the view.
    """
    name = specimen.species.scientific_name
    view = Random(f"{seed}/view/{name}/{specimen.picture}")
    size = view.choice(SIZES_PX)
    pen = Pen(size, _pose(size, specimen.species, view))
    specimen.species.paint(pen, Random(f"{seed}/individual/{name}/{specimen.observation}"))
    lamp = math.radians(view.uniform(-150, -30))
    light = (math.cos(lamp), math.sin(lamp))
    cutout = give_volume(pen.layer.reduce(OVERSAMPLE), light)
    if specimen.form == "png":
        return _encode(cutout, "PNG")
    scene = Random(f"{seed}/scene/{name}/{specimen.observation}")
    return _encode_opaque(compose(paint_backdrop(size, scene, view), cutout, light, view), specimen.form)


def _pose(size: tuple[int, int], species: DrawnSpecies, view: Random) -> Pose:
    short = min(size)
    half = short * view.uniform(0.34, 0.44)
    room_x, room_y = max(0.0, size[0] / 2 - half), max(0.0, size[1] / 2 - half)
    centre = (
        size[0] / 2 + view.uniform(-0.8, 0.8) * room_x,
        size[1] / 2 + view.uniform(-0.6, 0.6) * room_y,
    )
    turn = view.uniform(-species.max_turn_deg, species.max_turn_deg)
    return Pose(centre, half, turn, view.random() < 0.5)


def _encode_opaque(picture: Image.Image, form: str) -> bytes:
    if form == "webp":
        return _encode(picture, "WEBP", quality=JPEG_QUALITY)
    if form == "exif":
        exif = Image.Exif()
        exif[_EXIF_ORIENTATION] = 6
        return _encode(picture.transpose(_TURN_BACK), "JPEG", quality=JPEG_QUALITY, exif=exif)
    return _encode(picture, "JPEG", quality=JPEG_QUALITY)


def _encode(picture: Image.Image, file_format: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, file_format, **options)
    return buffer.getvalue()


def draw_specimens(out: Path, seed: int = 42, limit: int | None = None) -> int:
    """Draws what OUT lacks and returns the number of pictures drawn by this call; 0 means all was there.

    A folder drawn with another seed, limit, style or Pillow version is emptied of its drawings first.

    Raises:
        SpecimenError: OUT holds pictures or a photos.csv that this command did not make; nothing is touched.
    """
    specimens = list_specimens(seed, limit)
    _claim(out, {"seed": seed, "limit": limit, "style": DRAWING_STYLE, "pillow": PIL.__version__})
    missing = [s for s in specimens if not _picture_path(out, s).exists()]
    for specimen in missing:
        write_whole(_picture_path(out, specimen), encode_picture(specimen, seed))
    write_whole(out / "photos.csv", csv_bytes(specimens))
    return len(missing)


def _picture_path(out: Path, specimen: Specimen) -> Path:
    return out / "photos" / f"{specimen.photo_id}.{specimen.suffix}"


def _claim(out: Path, recipe: dict[str, object]) -> None:
    """Makes OUT ready for this recipe: creates it, removes left-over .tmp files and drawings of another recipe."""
    photos, record = out / "photos", out / "specimens.json"
    wanted = (json.dumps(recipe, sort_keys=True) + "\n").encode()
    foreign = not record.exists() and ((out / "photos.csv").exists() or (photos.is_dir() and any(photos.iterdir())))
    if foreign:
        raise SpecimenError(f"{out} holds pictures that were not drawn here; name an empty or a new folder")
    photos.mkdir(parents=True, exist_ok=True)
    if record.exists() and record.read_bytes() != wanted:
        (out / "photos.csv").unlink(missing_ok=True)
        for path in photos.iterdir():
            path.unlink()
    write_whole(record, wanted)
    for folder in (out, photos):
        for path in folder.glob(".*.tmp"):
            path.unlink()


def main(argv: list[str] | None = None) -> int:
    """The command line; returns the exit status: 0 done, 1 for a failed write, 2 for a bad folder or limit."""
    parser = argparse.ArgumentParser(prog="python -m sample.draw_specimens", description="Draws the specimen set.")
    parser.add_argument("out", type=Path, metavar="OUT", help="folder for photos.csv and photos/")
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("--limit", type=int, default=None, help="at most this many pictures per species")
    args = parser.parse_args(argv)
    try:
        drawn = draw_specimens(args.out, args.seed, args.limit)
    except (SpecimenError, WorkFailedError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2 if isinstance(error, SpecimenError) else 1
    total = len(list_specimens(args.seed, args.limit))
    print(f"{drawn} of {total} drawings made in {args.out}" if drawn else f"nothing to do: {args.out} has all {total}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
