"""What a command's words and flags name, as one stream of pictures. No torch here."""

from collections.abc import Sequence
from pathlib import Path

from inference.inputs.picture import Inputs, Picture
from taxonomy.errors import BadInputError

__all__ = ["Inputs", "Picture", "open_inputs"]


def open_inputs(
    words: Sequence[str],
    *,
    urls: str | None = None,
    shards: str | None = None,
    split: str = "test",
    url_column: str = "photo_url",
    images_dir: Path | None = None,
    user_agent: str | None = None,
) -> Inputs:
    """The pictures named: by words, by a list of URLs, or by shards.

    Args:
        words: files, and folders that are searched through.
        urls: a text file with one URL a line, or a CSV with a column of URLs; fetched when they are first gone through.
        shards: a dataset's manifest.json.
        split: of the shards.
        url_column: of the CSV.
        images_dir: where the photos of URLs are kept.
        user_agent: how the downloader introduces itself; None for its own words.

    Raises:
        BadInputError: nothing is named, or two kinds; something is not there or cannot be used; no picture in it.
    """
    given = {"INPUT": words, "--urls": urls, "--shards": shards}
    named = [name for name, value in given.items() if value]
    if not named:
        raise BadInputError("no pictures: name files or folders, or give --urls FILE or --shards MANIFEST")
    if len(named) > 1:
        raise BadInputError(f"{' and '.join(named)} name pictures in two ways: drop one, or run the command for each")
    if urls:
        from inference.inputs.url_pictures import open_urls

        return open_urls(Path(urls), url_column, images_dir, user_agent)
    if shards:
        from inference.inputs.shard_pictures import open_shard_pictures

        return open_shard_pictures(Path(shards), split)
    from inference.inputs.file_pictures import open_files

    return open_files(words)
