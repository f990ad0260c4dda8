"""What BioTrove's published GetImages does, in as few lines: the peer of bench/download.py.

    python bench/download_biotrove.py --urls FILE --out DIR

As published: asyncio and aiohttp, one task per row, all made up front; a semaphore of 1000, of which aiohttp's own
limit of 100 connections is what counts; no retry, no deadline but aiohttp's, no look at the body; every answer 200 is
written as .jpg, with writes that block the event loop. Prints `{"ok": N, "errors": N}`. Imports nothing of the project.
Source: the published step's documented and observed behaviour.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from pathlib import Path

import aiohttp  # pyright: ignore[reportMissingImports]  # lives in an environment of its own

CONCURRENT_DOWNLOADS = 1000


async def get_image(session: aiohttp.ClientSession, limit: asyncio.Semaphore, url: str, path: Path) -> bool:
    """Whether one photo was answered with 200; then it is written."""
    async with limit:
        try:
            async with session.get(url) as answer:
                if answer.status != 200:
                    return False
                body = await answer.read()
        except (TimeoutError, aiohttp.ClientError):
            return False
        with path.open("wb") as file:
            file.write(body)
        return True


async def get_images(urls: list[str], folder: Path) -> list[bool]:
    """Whether each photo was got."""
    limit = asyncio.Semaphore(CONCURRENT_DOWNLOADS)
    async with aiohttp.ClientSession() as session:
        tasks = [get_image(session, limit, url, folder / f"{row}.jpg") for row, url in enumerate(urls)]
        return await asyncio.gather(*tasks)


def main() -> None:
    """Downloads and prints the counts."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--urls", type=Path, required=True, metavar="FILE", help="one address a line")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    given = parser.parse_args()
    given.out.mkdir(parents=True)
    got = asyncio.run(get_images(given.urls.read_text().split(), given.out))
    print(json.dumps({"ok": sum(got), "errors": len(got) - sum(got)}))


if __name__ == "__main__":
    main()
