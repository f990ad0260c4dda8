"""Any bytes in: an upright sRGB JPEG that decodes strictly and looks like the original, or the right refusal."""

import csv
import hashlib
import io
import os
import struct
import tracemalloc
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms, ImageOps

from spark_jobs.images import CheckedImage, ImageLimits, ImageRejected, check_image
from spark_jobs.statuses import Status
from tests.picture_bodies import HTML, damaged, decode, encode, jpeg, pixels

ODD_IMAGES = Path(os.environ.get("TAXAFLOW_SHARED", "../shared")) / "data" / "odd_images"
LIMITS = ImageLimits()
PICTURE = pixels(1)
ORIENTATION = 0x0112


def checked(body: bytes, max_edge_px: int | None = None, limits: ImageLimits = LIMITS) -> CheckedImage:
    """The result, with what holds for each: it decodes strictly, is upright RGB, and its facts are true."""
    image = check_image(body, limits, max_edge_px)
    assert decode(image.data).shape == (image.height, image.width, 3)
    assert image.sha256 == hashlib.sha256(image.data).digest()
    with Image.open(io.BytesIO(image.data)) as picture:
        assert picture.mode == "RGB"
        assert picture.getexif().get(ORIENTATION, 1) not in range(2, 9)
        assert "icc_profile" not in picture.info
    return image


def refusal(body: bytes, limits: ImageLimits = LIMITS) -> Status:
    with pytest.raises(ImageRejected) as rejected:
        check_image(body, limits)
    assert str(rejected.value)
    return rejected.value.status


def distance(image: CheckedImage, expected: np.ndarray) -> float:
    """Mean difference in levels of 255."""
    return float(np.abs(decode(image.data).astype(int) - expected).mean())


def exif(orientation: int) -> bytes:
    block = Image.Exif()
    block[ORIENTATION] = orientation
    return block.tobytes()


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"exif": exif(1)}, {"subsampling": 0}, {"quality": 30}])
def test_a_sound_upright_jpeg_keeps_its_bytes(options):
    body = encode(PICTURE, "RGB", "JPEG", **options)
    assert checked(body).data == body
    assert checked(body, max_edge_px=PICTURE.shape[1]).data == body


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP"])
def test_every_orientation_becomes_upright(orientation, format):
    extra = {"quality": 95} if format != "PNG" else {}
    body = encode(PICTURE, "RGB", format, exif=exif(orientation), **extra)
    with Image.open(io.BytesIO(body)) as picture:
        shown = np.asarray(ImageOps.exif_transpose(picture))
    assert distance(checked(body), shown) < 3.5


GREY = PICTURE.mean(axis=2).astype(np.uint8)
ALPHA = np.linspace(0, 255, PICTURE.shape[1]).astype(np.uint8)[None].repeat(PICTURE.shape[0], 0)
ON_WHITE = (PICTURE * (ALPHA[..., None] / 255) + 255 * (1 - ALPHA[..., None] / 255)).round()


def bare_png(array: np.ndarray, colour_type: int, depth: int = 8) -> bytes:
    """A PNG as the standard has it, of the array's bytes, for kinds that Pillow does not write."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    lines = array.astype(">u2" if depth == 16 else "u1")
    raw = b"".join(b"\0" + line.tobytes() for line in lines)
    size = struct.pack(">IIBBBBB", array.shape[1], array.shape[0], depth, colour_type, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", size) + chunk(b"IDAT", zlib.compress(raw)) + chunk(b"IEND", b"")


def grey3(array: np.ndarray) -> np.ndarray:
    return np.repeat(array[..., None], 3, axis=2)


KINDS = {
    "grey JPEG": (encode(GREY, "L", "JPEG", quality=95), grey3(GREY)),
    "CMYK JPEG": (encode(PICTURE, "CMYK", "JPEG", quality=95), PICTURE),
    "PNG": (encode(PICTURE, "RGB", "PNG"), PICTURE),
    "grey PNG": (encode(GREY, "L", "PNG"), grey3(GREY)),
    "RGBA PNG": (bare_png(np.dstack([PICTURE, ALPHA]), 6), ON_WHITE),
    "LA PNG": (bare_png(np.dstack([GREY, ALPHA]), 4), grey3((GREY * (ALPHA / 255) + 255 - ALPHA).round())),
    "16-bit grey PNG": (bare_png(GREY.astype(int) * 257, 0, 16), grey3(GREY)),
    "16-bit RGB PNG": (bare_png(PICTURE.astype(int) * 257, 2, 16), PICTURE),
    "lossless WebP": (encode(PICTURE, "RGB", "WEBP", lossless=True), PICTURE),
    "RGBA WebP": (encode(np.dstack([PICTURE, ALPHA]), "RGBA", "WEBP", lossless=True), ON_WHITE),
    "GIF": (encode(GREY, "L", "GIF"), grey3(GREY)),
}


@pytest.mark.parametrize("kind", KINDS)
def test_other_kinds_become_srgb_on_white(kind):
    body, expected = KINDS[kind]
    image = checked(body)
    assert image.data != body
    assert distance(image, expected) < 4


def test_a_lossy_webp_looks_as_pillow_shows_it():
    body = encode(PICTURE, "RGB", "WEBP", quality=60)
    assert distance(checked(body), np.asarray(Image.open(io.BytesIO(body)))) < 3


def test_of_an_animation_the_first_frame_is_kept():
    frames = [Image.fromarray(pixels(n)).quantize(256) for n in range(3)]
    buffer = io.BytesIO()
    frames[0].save(buffer, "GIF", save_all=True, append_images=frames[1:])
    assert distance(checked(buffer.getvalue()), np.asarray(frames[0].convert("RGB"))) < 4


def test_a_palette_with_transparency_is_put_on_white():
    indices = (GREY // 32).astype(np.uint8)
    picture = Image.fromarray(indices, "P")
    picture.putpalette([level for n in range(8) for level in (30 * n, 255 - 30 * n, 40)])
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", transparency=3)
    shown = np.asarray(picture.convert("RGB")).copy()
    shown[indices == 3] = 255
    assert (indices == 3).any()
    assert distance(checked(buffer.getvalue()), shown) < 6


SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def swapped_profile() -> bytes:
    """sRGB with its red and blue primaries exchanged: colours visibly change."""
    return SRGB.replace(b"rXYZ", b"????").replace(b"bXYZ", b"rXYZ").replace(b"????", b"bXYZ")


def test_an_srgb_profile_is_cut_out_and_the_picture_data_kept():
    plain, tagged = jpeg(1), encode(PICTURE, "RGB", "JPEG", icc_profile=SRGB)
    image = checked(tagged)
    assert np.array_equal(decode(image.data), decode(tagged))
    assert len(tagged) - len(image.data) == len(SRGB) + 18
    assert checked(plain).data == plain


@pytest.mark.parametrize("format", ["JPEG", "PNG"])
def test_another_profile_is_converted(format):
    extra = {"quality": 95} if format == "JPEG" else {}
    body = encode(PICTURE, "RGB", format, icc_profile=swapped_profile(), **extra)
    source = ImageCms.ImageCmsProfile(io.BytesIO(swapped_profile()))
    shown = np.asarray(ImageCms.profileToProfile(Image.fromarray(PICTURE), source, ImageCms.createProfile("sRGB")))
    assert np.abs(shown.astype(int) - PICTURE).mean() > 20
    assert distance(checked(body), shown) < 6


def test_a_profile_that_cannot_be_used_is_ignored():
    for profile in (b"no profile at all" * 20, SRGB[:200], SRGB.replace(b"RGB XYZ ", b"GRAYXYZ ", 1)):
        body = encode(PICTURE, "RGB", "JPEG", icc_profile=profile)
        assert np.array_equal(decode(checked(body).data), decode(body))


def test_stray_bytes_between_header_segments_are_cut_out():
    body = jpeg(1)
    tables = body.index(b"\xff\xdb")
    for stray in (b"\0\0\0\0\0", b"\xff\0\0\0", b"\x12"):
        image = checked(body[:tables] + stray + body[tables:])
        assert image.data == body


def test_damage_in_picture_data_is_corrupt_wherever_it_is():
    body = jpeg(1, 256, 256)
    assert refusal(damaged(body)) is Status.CORRUPT_IMAGE
    for share in (0.02, 0.3, 0.6, 0.9, 0.99):
        cut = body[: int(len(body) * share)]
        assert refusal(cut) is Status.CORRUPT_IMAGE
        assert refusal(cut + b"\xff\xd9") is Status.CORRUPT_IMAGE
    start = body.index(b"\xff\xda") + 200
    assert refusal(body[:start] + b"\xff\xd3" + body[start:]) is Status.CORRUPT_IMAGE


@pytest.mark.parametrize("kind", ["PNG", "lossless WebP", "GIF", "16-bit RGB PNG"])
def test_other_formats_cut_short_are_corrupt(kind):
    body = KINDS[kind][0]
    for share in (0.005, 0.1, 0.5, 0.9):
        assert refusal(body[: max(12, int(len(body) * share))]) is Status.CORRUPT_IMAGE


@pytest.mark.parametrize(
    "body",
    [b"", HTML, b"\n " + HTML, b"<?xml version='1.0'?><Error/>", b"BM" + bytes(60), b"II*\0" + bytes(60), b"\xff\xd8"]
    + [encode(PICTURE, "RGB", name) for name in ("BMP", "TIFF", "PPM")],
)
def test_what_is_no_picture_of_a_format_read_says_so(body):
    assert refusal(body) is Status.NOT_AN_IMAGE


@pytest.mark.parametrize(("body", "word"), [(b"", "empty"), (HTML, "HTML"), (b"<svg/>", "XML"), (b"BM6", "42 4d 36")])
def test_people_are_told_what_it_is_instead(body, word):
    with pytest.raises(ImageRejected, match=word):
        check_image(body, LIMITS)


def test_the_size_limits_are_inclusive_and_read_from_the_header():
    limits = ImageLimits(max_pixels=96 * 64, min_side_px=64)
    for body in (jpeg(1), encode(PICTURE, "RGB", "PNG"), encode(PICTURE, "RGB", "WEBP"), encode(GREY, "L", "GIF")):
        checked(body, limits=limits)
        assert refusal(body, ImageLimits(max_pixels=96 * 64 - 1)) is Status.TOO_MANY_PIXELS
        assert refusal(body, ImageLimits(min_side_px=65)) is Status.TOO_SMALL
    assert refusal(encode(PICTURE[:1, :1], "RGB", "PNG")) is Status.TOO_SMALL


def test_a_single_colour_is_a_placeholder():
    flat = np.full((64, 64, 3), 200, np.uint8)
    for body in (
        encode(flat, "RGB", "JPEG"),
        encode(flat, "RGB", "PNG"),
        encode(flat, "L", "JPEG"),
        encode(flat, "RGB", "GIF"),
    ):
        assert refusal(body) is Status.PLACEHOLDER
    assert refusal(encode(np.dstack([PICTURE, ALPHA * 0]), "RGBA", "PNG")) is Status.PLACEHOLDER
    flat[:32] = 100
    checked(encode(flat, "RGB", "JPEG"))


def huge(format: str, side: int = 30_000) -> bytes:
    """A file whose header claims a huge picture."""
    if format == "PNG":
        line = zlib.compress(bytes(side // 8 + 1) * side, 9)
        return bare_png(np.zeros((1, 8)), 0)[:16] + struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0) + line
    body = bytearray(
        jpeg(1)
        if format == "JPEG"
        else encode(PICTURE, "RGB", format, **({"lossless": True} if format == "WEBP" else {}))
    )
    if format == "JPEG":
        start = body.index(b"\xff\xc0")
        body[start + 5 : start + 9] = struct.pack(">HH", side, side)
    elif format == "GIF":
        body[6:10] = struct.pack("<HH", side, side)
    else:
        body[21:25] = ((side & 0x3FFF) - 1 | (side & 0x3FFF) - 1 << 14).to_bytes(4, "little")
    return bytes(body)


@pytest.mark.parametrize(("format", "side"), [("PNG", 30_000), ("JPEG", 30_000), ("GIF", 30_000), ("WEBP", 16_000)])
def test_bombs_are_refused_before_a_pixel_is_decoded(format, side):
    body = huge(format, side)
    tracemalloc.start()
    assert refusal(body) is Status.TOO_MANY_PIXELS
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1_000_000


@pytest.mark.parametrize("kind", ["plain", "turned", "CMYK JPEG", "PNG"])
def test_a_rendition_is_no_larger_than_asked_and_looks_the_same(kind):
    body = {"plain": jpeg(1, 600, 400), "turned": encode(pixels(1, 600, 400), "RGB", "JPEG", exif=exif(6))}.get(kind)
    body = body or KINDS[kind][0]
    full = decode(checked(body).data)
    image = checked(body, max_edge_px=48)
    assert max(image.width, image.height) == 48
    assert abs(image.width / image.height - full.shape[1] / full.shape[0]) < 0.05
    small = np.asarray(Image.fromarray(full).resize((image.width, image.height), Image.Resampling.LANCZOS))
    assert distance(image, small) < 15  # halved chroma costs the most in pictures this small and colourful
    assert np.abs(decode(image.data).mean(axis=2) - small.mean(axis=2)).mean() < 5


def test_damage_is_seen_in_renditions_too():
    with pytest.raises(ImageRejected) as rejected:
        check_image(damaged(jpeg(1, 256, 256)), LIMITS, 64)
    assert rejected.value.status is Status.CORRUPT_IMAGE


def test_equal_input_gives_equal_bytes():
    for body, _ in KINDS.values():
        assert check_image(body, LIMITS).data == check_image(body, LIMITS).data


def test_no_damage_whatever_ends_in_anything_but_a_refusal():
    random = np.random.default_rng(5)
    bodies = [body for body, _ in KINDS.values()] + [
        jpeg(1),
        encode(PICTURE, "RGB", "JPEG", exif=exif(6), icc_profile=SRGB),
    ]
    for n in range(600):
        body = bytearray(bodies[n % len(bodies)])
        for _ in range(random.integers(1, 6)):
            body[random.integers(0, min(len(body), 2000 if n % 2 else 200))] = random.integers(0, 256)
        try:
            checked(bytes(body))
        except ImageRejected as rejected:
            assert rejected.status in Status


def odd_images() -> list[dict[str, str]]:
    if not (ODD_IMAGES / "index.csv").exists():
        return []
    with (ODD_IMAGES / "index.csv").open() as file:
        return list(csv.DictReader(file))


HARMLESS = {"jpeg_ff00_header.jpg", "junk_jpeg_header.jpg", "photoshop-200dpi-broken.jpg", "truncated_app14.jpg"}
UNREADABLE = {
    "apng__syntax_num_frames_zero.png": Status.CORRUPT_IMAGE,
    "broken.png": Status.CORRUPT_IMAGE,
    "decompression_bomb.gif": Status.TOO_MANY_PIXELS,
    "hopper_bad_exif.jpg": Status.CORRUPT_IMAGE,  # torn into bands: damage, though Pillow does not say so
    "truncated_jpeg.jpg": Status.CORRUPT_IMAGE,
    "ultrahdr.jpg": Status.CORRUPT_IMAGE,  # cut off before its picture data
    "unknown_compression_method.png": Status.CORRUPT_IMAGE,
    "african_elephants_truncated_file.jpg": Status.CORRUPT_IMAGE,
}


@pytest.mark.skipif(not odd_images(), reason=f"{ODD_IMAGES} is absent: set TAXAFLOW_SHARED to the shared folder")
def test_real_odd_files_end_right_and_look_as_in_a_browser():
    names: set[str] = set()
    for row in odd_images():
        body, name = (ODD_IMAGES / row["file"]).read_bytes(), row["file"].partition("__")[2]
        names.add(name)
        try:
            image = checked(body)
        except ImageRejected as rejected:
            expected = UNREADABLE.get(name)
            assert rejected.status in ((expected,) if expected else (Status.TOO_SMALL, Status.PLACEHOLDER)), name
            continue
        assert name not in UNREADABLE
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            picture = ImageOps.exif_transpose(Image.open(io.BytesIO(body)))
        assert picture.size == (image.width, image.height), name
        if not picture.mode.startswith("I"):
            shown = Image.new("RGBA", picture.size, "white")
            shown.alpha_composite(picture.convert("RGBA"))
            assert distance(image, np.asarray(shown.convert("RGB"))) < 4, name
        if name in HARMLESS:
            assert np.array_equal(decode(image.data), np.asarray(picture)), name
    assert HARMLESS | set(UNREADABLE) <= names
