"""Thirty-three kinds of trouble a photo's URL can give, and how each must end; for tests and bench/fault_matrix.py.

A kind has one photo or several; it ends rightly where each of them does.
"""

import io
import re
import struct
import time
import zlib
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image, ImageCms

from spark_jobs.statuses import Status
from tests import fault_server as faults
from tests.fault_server import Behaviour, Exchange, FaultServer
from tests.picture_bodies import HTML, damaged, encode

TRIES = 3
"""Requests that a temporary failure is worth; img2dataset's retries=2 is the same."""

ENDLESS_BYTES = 256 * 2**20
"""Where the body without an end does end, for those who would read for ever."""

LARGEST_DIFFERENCE = 24
"""Levels of 255 by which a stored picture may differ from the right one in any cell of a grid of 8 x 6."""

WIDTH, HEIGHT = 320, 240
SOME_FILE = sorted((Path(__file__).parents[1] / "sample" / "photos").glob("*.jpg"))[0]


def quadrants() -> np.ndarray:
    """Red and green above blue and yellow, each a slope: turned, mirrored or recoloured, it is another picture."""
    corners = np.array([[[200, 40, 40], [40, 170, 60]], [[40, 60, 190], [210, 190, 50]]])
    picture = corners.repeat(HEIGHT // 2, 0).repeat(WIDTH // 2, 1)
    slope = np.linspace(-30, 30, WIDTH)[None, :, None] + np.random.default_rng(4).normal(0, 5, (HEIGHT, WIDTH, 3))
    return (picture + slope).clip(0, 255).astype(np.uint8)


PICTURE = quadrants()
GREY = np.asarray(Image.fromarray(PICTURE).convert("L"))
ALPHA = np.linspace(40, 255, HEIGHT).astype(np.uint8)[:, None].repeat(WIDTH, 1)
JPEG = encode(PICTURE, "RGB", "JPEG", quality=90)


def on_white(colours: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """What a page shows of a picture, (height, width, 3), with transparency."""
    weight = alpha[:, :, None] / 255
    return (colours * weight + 255 * (1 - weight)).round().astype(np.uint8)


def grey3(grey: np.ndarray) -> np.ndarray:
    """Grey as RGB."""
    return grey[:, :, None].repeat(3, 2)


def saved(picture: Image.Image, format: str, **options: object) -> bytes:
    """The file that Pillow makes of a picture."""
    buffer = io.BytesIO()
    picture.save(buffer, format, **options)
    return buffer.getvalue()


def turned_jpeg() -> bytes:
    """Lies on its side in the file; its EXIF orientation 6 stands it up."""
    tags = Image.Exif()
    tags[0x0112] = 6
    return encode(np.rot90(PICTURE), "RGB", "JPEG", quality=90, exif=tags.tobytes())


def palette_png() -> tuple[bytes, np.ndarray]:
    """A picture of few colours with one of them transparent in the upper left, and what is to be seen of it."""
    few = Image.fromarray(PICTURE).quantize(31)
    levels = np.asarray(few).copy()
    levels[: HEIGHT // 4, : WIDTH // 4] = 31
    colours = np.array(few.getpalette()).reshape(-1, 3)
    colours = np.vstack([colours[:31], [[0, 0, 0]]]).astype(np.uint8)
    picture = Image.fromarray(levels, "P")
    picture.putpalette(colours.tobytes())
    shown = colours[levels]
    shown[levels == 31] = 255
    return saved(picture, "PNG", transparency=31), shown


def animated_gif() -> bytes:
    """The picture, then its negative twice."""
    frames = [Image.fromarray(pixels) for pixels in (PICTURE, 255 - PICTURE, 255 - PICTURE)]
    return saved(frames[0], "GIF", save_all=True, append_images=frames[1:], duration=100)


def swapped_profile_jpeg() -> tuple[bytes, np.ndarray]:
    """A JPEG whose ICC profile exchanges red and blue, and what is to be seen of it."""
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
    swapped = srgb.tobytes().replace(b"rXYZ", b"????").replace(b"bXYZ", b"rXYZ").replace(b"????", b"bXYZ")
    source = ImageCms.ImageCmsProfile(io.BytesIO(swapped))
    shown = ImageCms.profileToProfile(Image.fromarray(PICTURE), source, srgb)
    assert shown is not None
    return encode(PICTURE, "RGB", "JPEG", quality=90, icc_profile=swapped), np.asarray(shown)


def png_bomb(side: int = 30_000) -> bytes:
    """A sound PNG of about 0.1 MB: `side` x `side` pixels of 1 bit, half of each line black."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    row = (side + 7) // 8
    line = b"\0" + bytes(row // 2) + b"\xff" * (row - row // 2)
    packer = zlib.compressobj(6)
    data = b"".join(packer.compress(line) for _ in range(side)) + packer.flush()
    header = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def throttled(seconds: float, then: Behaviour, code: int = 429, as_date: bool = False) -> Behaviour:
    """Names a time to wait, and insists on it: until then every request is refused."""
    refuse = faults.retry_after(seconds, code, as_date)
    until = 0.0

    def behave(exchange: Exchange) -> None:
        nonlocal until
        if exchange.nth == 1:
            until = time.monotonic() + seconds
        (refuse if time.monotonic() < until else then)(exchange)

    return behave


@dataclass
class Flood:
    """A behaviour: a body without announced length, of ENDLESS_BYTES.

    Attributes:
        num_sent: bytes that the client, or the kernel for it, has taken since the path was first asked for.
    """

    num_sent: int = 0

    def __call__(self, exchange: Exchange) -> None:
        if exchange.nth == 1:
            self.num_sent = 0
        sent = 0
        exchange.head(200, {**faults.JPEG, "Transfer-Encoding": "chunked"})
        piece = bytes(2**16)
        while sent < ENDLESS_BYTES and not exchange.server.closing.is_set():
            exchange.wfile.write(b"10000\r\n" + piece + b"\r\n")
            sent += len(piece)
            self.num_sent += len(piece)
        exchange.wfile.write(b"0\r\n\r\n")


@dataclass(frozen=True)
class Photo:
    """One URL of a kind.

    Attributes:
        behaviour: what its path does.
        status: how its download must end.
        picture: uint8 (height, width, 3), what the stored picture must show; None where none may be stored.
        num_requests: that it is worth, redirects followed included.
        others: more paths that it needs.
    """

    behaviour: Behaviour
    status: Status = Status.OK
    picture: np.ndarray | None = None
    num_requests: int = 1
    others: dict[str, Behaviour] = field(default_factory=dict)

    def __post_init__(self) -> None:
        assert (self.status is Status.OK) == (self.picture is not None)


@dataclass(frozen=True)
class Kind:
    """One of the thirty-three.

    Attributes:
        name: as the table says.
        photos: at least one.
        is_slow: takes seconds of anybody's time, whoever asks.
    """

    name: str
    photos: tuple[Photo, ...]
    is_slow: bool = False

    def serve(self, server: FaultServer) -> list[str]:
        """Add the photos to a server; their URLs."""
        slug = re.sub(r"[^a-z0-9]+", "-", self.name.lower()).strip("-")
        for photo in self.photos:
            for path, behaviour in photo.others.items():
                server.add(path, behaviour)
        return [server.add(f"/{slug}/{n}.jpg", photo.behaviour) for n, photo in enumerate(self.photos)]


def good(body: bytes, picture: np.ndarray = PICTURE) -> Photo:
    """A body that any browser shows, whatever it is: the picture must come out of it by one request."""
    return Photo(faults.ok(body), picture=picture)


def after(behaviour: Behaviour, num_requests: int) -> Photo:
    """The picture is to be had, by so many requests."""
    return Photo(behaviour, picture=PICTURE, num_requests=num_requests)


def refused(behaviour: Behaviour, status: Status, num_requests: int = 1) -> Photo:
    """Nothing is to be had."""
    return Photo(behaviour, status, num_requests=num_requests)


def make_kinds() -> list[Kind]:
    """All thirty-three; a kind may be served by several servers, but by one at a time."""
    kinds = [*_answers(), *_bodies(), *_pictures()]
    assert len(kinds) == len({kind.name for kind in kinds}) == 33
    return kinds


def _answers() -> list[Kind]:
    """What the server or the way to it does."""
    photo, ok = faults.ok(JPEG), Status.OK
    cut = refused(faults.truncated(JPEG, len(JPEG) // 2), Status.CONNECTION_ERROR, TRIES)
    too_long = refused(faults.truncated(JPEG + b"\0", len(JPEG)), Status.CONNECTION_ERROR, TRIES)
    moved = Photo(faults.redirect("/moved.jpg"), ok, PICTURE, 2, {"/moved.jpg": photo})
    ring = {"/b.jpg": faults.redirect("/c.jpg"), "/c.jpg": faults.redirect("/b.jpg")}
    loop = Photo(faults.redirect("/b.jpg"), Status.REDIRECT_REFUSED, None, 3, ring)
    gone = tuple(refused(faults.status(code), Status.GONE) for code in (404, 410))
    store = faults.status(403, {"x-amz-request-id": "4442587FB7D0A2F9"})
    files = (SOME_FILE.as_uri(), f"file://localhost{SOME_FILE}")
    to_file = tuple(refused(faults.redirect(file), Status.REDIRECT_REFUSED) for file in files)
    return [
        Kind("500 twice, then the photo", (after(faults.first(2, faults.status(500), photo), 3),)),
        Kind("429, Retry-After in seconds", (after(throttled(1, photo), 2),)),
        Kind("503, Retry-After as a date", (after(throttled(1, photo, 503, True), 2),)),
        Kind("disconnect, then the photo", (after(faults.first(1, faults.disconnect(), photo), 2),)),
        Kind("404; 410", gone),
        Kind("403 of an object store", (refused(store, Status.GONE),)),
        Kind("403", (refused(faults.status(403), Status.FORBIDDEN),)),
        Kind("body cut off; Content-Length too long", (cut, too_long)),
        Kind("no answer", (refused(faults.hang(), Status.TIMEOUT, TRIES),), is_slow=True),
        Kind("drip, 64 bytes/s", (refused(faults.drip(JPEG * 4), Status.TOO_SLOW, TRIES),), is_slow=True),
        Kind("endless body", (refused(Flood(), Status.TOO_LARGE),), is_slow=True),
        Kind("redirect to the photo", (moved,)),
        Kind("redirect to file:", to_file),
        Kind("redirect loop", (loop,)),
        Kind("X-Robots-Tag: noai", (refused(faults.ok(JPEG, {"X-Robots-Tag": "noai"}), Status.OPTED_OUT),)),
    ]


def _bodies() -> list[Kind]:
    """Bodies that are no picture, no good one, or a good one under a wrong label."""
    corrupt = [refused(faults.ok(body), Status.CORRUPT_IMAGE, 2) for body in (damaged(JPEG), JPEG[: len(JPEG) // 2])]
    tiny = encode(PICTURE[:1, :1], "RGB", "JPEG")
    flat = encode(np.full_like(PICTURE, 200), "RGB", "JPEG")
    return [
        Kind("empty body", (refused(faults.ok(b""), Status.NOT_AN_IMAGE),)),
        Kind("HTML with status 200", (refused(faults.ok(HTML), Status.NOT_AN_IMAGE),)),
        Kind("JPEG as text/html", (after(faults.ok(JPEG, {"Content-Type": "text/html"}), 1),)),
        Kind("Content-Encoding: gzip", (after(faults.encoded(JPEG, "gzip"), 1),)),
        Kind("corrupt JPEG: noise; cut short", tuple(corrupt)),
        Kind("PNG bomb, 30,000 x 30,000", (refused(faults.ok(png_bomb()), Status.TOO_MANY_PIXELS),)),
        Kind("1 x 1 pixel", (refused(faults.ok(tiny), Status.TOO_SMALL),)),
        Kind("one single colour", (refused(faults.ok(flat), Status.PLACEHOLDER),)),
        Kind("same bytes under four ids", (good(JPEG),) * 4),
    ]


def _pictures() -> list[Kind]:
    """Sound pictures that are no plain upright RGB JPEG."""
    colours, tinted = np.dstack([PICTURE, ALPHA]), Image.fromarray(np.dstack([GREY, ALPHA]), "LA")
    transparent = (
        good(saved(Image.fromarray(colours, "RGBA"), "PNG"), on_white(PICTURE, ALPHA)),
        good(saved(tinted, "PNG"), on_white(grey3(GREY), ALPHA)),
    )
    wide = saved(Image.fromarray(GREY.astype(np.uint16) * 257), "PNG")
    return [
        Kind("EXIF orientation 6", (good(turned_jpeg()),)),
        Kind("grey JPEG", (good(encode(GREY, "L", "JPEG"), grey3(GREY)),)),
        Kind("CMYK JPEG", (good(encode(PICTURE, "CMYK", "JPEG")),)),
        Kind("PNG with alpha: RGBA; LA", transparent),
        Kind("palette with transparency", (good(*palette_png()),)),
        Kind("16-bit PNG", (good(wide, grey3(GREY)),)),
        Kind("WebP", (good(encode(PICTURE, "RGB", "WEBP", quality=90)),)),
        Kind("animated GIF", (good(animated_gif()),)),
        Kind("ICC profile that is not sRGB", (good(*swapped_profile_jpeg()),)),
    ]


def mismatch(data: bytes, expected: np.ndarray) -> str | None:
    """What is wrong with a stored picture; None where it shows what it should, whatever size or format it has.

    The pixels count as a training loader sees them: converted to RGB, tags and profiles ignored.
    """
    try:
        with Image.open(io.BytesIO(data)) as picture:
            shown = picture.convert("RGB")
    except (OSError, Image.DecompressionBombError) as error:
        return f"no picture ({type(error).__name__})"
    same_shape = abs(shown.width / shown.height - expected.shape[1] / expected.shape[0]) < 0.05
    if same_shape and _difference(shown, expected) <= LARGEST_DIFFERENCE:
        return None
    if np.asarray(shown).min() > 240:
        return "all white"
    if any(_difference(shown, np.rot90(expected, times)) <= LARGEST_DIFFERENCE for times in (1, 2, 3)):
        return "not upright"
    return "wrong colours"


def _difference(shown: Image.Image, expected: np.ndarray) -> int:
    """The largest difference in levels between two pictures shrunk to a grid of 8 x 6."""
    grids = [
        np.asarray(picture.resize((8, 6), Image.Resampling.BOX)).astype(int)
        for picture in (shown, Image.fromarray(np.ascontiguousarray(expected)))
    ]
    return int(np.abs(grids[0] - grids[1]).max())
