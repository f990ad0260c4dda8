"""What a JPEG says before its picture data: size, components, rotation, colour profile, stray bytes.

Only the segments up to the first scan are read, a few microseconds; no pixel is touched.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

SOI, EOI, SOS, APP1, APP2, TEM = 0xD8, 0xD9, 0xDA, 0xE1, 0xE2, 0x01
FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
"""Start-of-frame markers. Source: ITU-T T.81 table B.1."""

BARE = frozenset({SOI, TEM, *range(0xD0, 0xD8)})
"""Markers without a length."""

ICC_LABEL = b"ICC_PROFILE\0"
EXIF_LABEL = b"Exif\0\0"


class JpegHeaderError(ValueError):
    """The header ends or contradicts itself before the picture data begins."""


@dataclass(frozen=True)
class JpegHeader:
    """The facts of one JPEG.

    Attributes:
        width, height: stored size, px, before any rotation.
        precision: bits per sample.
        num_components: 1 grey, 3 colour, 4 CMYK.
        full_chroma: colour is stored at the same resolution as brightness (4:4:4).
        orientation: of the EXIF block, 1-8; 1 where there is none.
        icc_profile: its bytes; None without one, empty where its parts do not fit together.
        clean: the whole file without stray bytes between header segments and without ICC segments; None where that
            is the file itself.
    """

    width: int
    height: int
    precision: int
    num_components: int
    full_chroma: bool
    orientation: int
    icc_profile: bytes | None
    clean: bytes | None


def read_jpeg_header(data: bytes) -> JpegHeader:
    """The header of a JPEG.

    Raises:
        JpegHeaderError: the data ends, or the first scan comes, before a frame with a size.
    """
    frame: bytes | None = None
    orientation: int | None = None
    icc_parts: list[bytes] = []
    kept = [data[:2]]
    expected = 2
    stray = False
    for start, marker, end in _segments(data):
        stray = stray or start != expected
        expected = end
        content = data[start + 4 : end]
        if marker == APP2 and content.startswith(ICC_LABEL):
            icc_parts.append(content[len(ICC_LABEL) :])
            continue
        kept.append(data[start:end])
        if marker in FRAMES and frame is None:
            frame = content
        elif marker == APP1 and orientation is None and content.startswith(EXIF_LABEL):
            orientation = exif_orientation(content[len(EXIF_LABEL) :])
    if frame is None or len(frame) < 6:
        raise JpegHeaderError("the picture data begins without a frame header")
    clean = b"".join([*kept, data[expected:]]) if stray or icc_parts else None
    return JpegHeader(
        width=int.from_bytes(frame[3:5]),
        height=int.from_bytes(frame[1:3]),
        precision=frame[0],
        num_components=frame[5],
        full_chroma=len(set(frame[7::3])) == 1,
        orientation=orientation or 1,
        icc_profile=_join_profile(icc_parts) if icc_parts else None,
        clean=clean,
    )


def _segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """(start, marker, end) of each segment up to and with the first start of scan; stray bytes lie between them."""
    position = 2
    while True:
        start = data.find(b"\xff", position)
        if start < 0 or start + 4 > len(data):
            raise JpegHeaderError("the header ends early")
        marker = data[start + 1]
        if marker == 0xFF or marker == 0:  # a fill byte; an escaped byte, stray outside picture data
            position = start + 1 + (marker == 0)
            continue
        if marker == EOI:
            raise JpegHeaderError("the file ends before any picture data")
        end = start + 2 if marker in BARE else start + 2 + int.from_bytes(data[start + 2 : start + 4])
        if end > len(data) or (marker not in BARE and end < start + 4):
            raise JpegHeaderError(f"the header segment 0x{marker:02x} is longer than the file")
        yield start, marker, end
        if marker == SOS:
            return
        position = end


def _join_profile(parts: list[bytes]) -> bytes:
    """The profile out of its numbered parts; empty where they do not fit. Source: ICC.1:2022 annex B.4."""
    numbered = sorted((part[0], part[2:]) for part in parts if len(part) > 2)
    total = parts[0][1] if len(parts[0]) > 1 else 0
    if [number for number, _ in numbered] != list(range(1, total + 1)):
        return b""
    return b"".join(content for _, content in numbered)


def exif_orientation(tiff: bytes) -> int:
    """The orientation, 1-8, of an EXIF block (from its TIFF header on); 1 where it says none. Source: EXIF 2.32."""
    if tiff[:4] not in (b"II*\0", b"MM\0*"):
        return 1
    order: Literal["little", "big"] = "little" if tiff[:1] == b"I" else "big"

    def number(start: int, size: int) -> int:
        return int.from_bytes(tiff[start : start + size], order)

    directory = number(4, 4)
    for entry in range(number(directory, 2) if directory + 2 <= len(tiff) else 0):
        start = directory + 2 + 12 * entry
        if start + 12 > len(tiff):
            break
        if number(start, 2) == 0x0112 and number(start + 2, 2) == 3:
            value = number(start + 8, 2)
            return value if 1 <= value <= 8 else 1
    return 1
