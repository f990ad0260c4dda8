"""Which picture format some bytes are, and what size their header claims; no pixel is decoded."""

import struct
from dataclasses import dataclass
from enum import StrEnum

from spark_jobs.jpeg_header import JpegHeader, JpegHeaderError, read_jpeg_header
from spark_jobs.statuses import Status


class ImageRejected(Exception):
    """Some bytes will not become a sample; `status` says why."""

    def __init__(self, status: Status, message: str) -> None:
        super().__init__(message)
        self.status = status


class Format(StrEnum):
    """The picture formats that are read; the values are Pillow's names."""

    JPEG = "JPEG"
    PNG = "PNG"
    GIF = "GIF"
    WEBP = "WEBP"


@dataclass(frozen=True)
class Header:
    """What the first bytes claim; `jpeg` only for JPEG. Sizes in px, before any rotation."""

    format: Format
    width: int
    height: int
    jpeg: JpegHeader | None = None


def read_header(body: bytes) -> Header:
    """The header of a picture.

    Raises:
        ImageRejected: not_an_image where the bytes are none of the formats read, corrupt_image where the header of
            one of them is damaged.
    """
    if body[:3] == b"\xff\xd8\xff":
        try:
            jpeg = read_jpeg_header(body)
        except JpegHeaderError as error:
            raise ImageRejected(Status.CORRUPT_IMAGE, f"JPEG: {error}") from error
        return Header(Format.JPEG, jpeg.width, jpeg.height, jpeg)
    if body[:8] == b"\x89PNG\r\n\x1a\n":
        if body[12:16] == b"IHDR" and len(body) >= 24:
            return Header(Format.PNG, *struct.unpack_from(">II", body, 16))
        raise ImageRejected(Status.CORRUPT_IMAGE, "PNG: no header chunk")
    if body[:6] in (b"GIF87a", b"GIF89a"):
        if len(body) >= 10:
            return Header(Format.GIF, *struct.unpack_from("<HH", body, 6))
        raise ImageRejected(Status.CORRUPT_IMAGE, "GIF: the header ends early")
    if body[:4] == b"RIFF" and body[8:12] == b"WEBP":
        return Header(Format.WEBP, *_webp_size(body))
    raise ImageRejected(Status.NOT_AN_IMAGE, _what_it_is(body))


def _webp_size(body: bytes) -> tuple[int, int]:
    """Canvas size. Source: RFC 9649 sections 2.5-2.7."""
    kind, content = body[12:16], body[20:30]
    if len(content) == 10:
        if kind == b"VP8X":
            return 1 + int.from_bytes(content[4:7], "little"), 1 + int.from_bytes(content[7:10], "little")
        if kind == b"VP8L" and content[0] == 0x2F:
            bits = int.from_bytes(content[1:5], "little")
            return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
        if kind == b"VP8 " and content[3:6] == b"\x9d\x01\x2a":
            width, height = struct.unpack_from("<HH", content, 6)
            return width & 0x3FFF, height & 0x3FFF
    raise ImageRejected(Status.CORRUPT_IMAGE, "WebP: no header of a kind one knows")


def _what_it_is(body: bytes) -> str:
    """A few words for people on bytes that are no picture one reads."""
    if not body:
        return "the body is empty"
    start = body[:64].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if start.startswith((b"<!doctype html", b"<html", b"<head")):
        return "the body is an HTML page"
    if start.startswith((b"<?xml", b"<svg", b"<error")):
        return "the body is XML"
    return f"neither JPEG, PNG, WebP nor GIF; begins with {body[:8].hex(' ')}"
