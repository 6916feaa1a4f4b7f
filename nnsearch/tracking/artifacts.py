"""Put the files of one run where its artifacts lie. Knows no trial and no event."""

import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from urllib.parse import unquote, urlparse

from nnsearch.crashes import crash_point

Content = bytes | str | dict[str, object] | Path
MANIFEST = "manifest.json"


def write_artifacts(
    uri: str,
    contents: Mapping[str, Content],
    *,
    upload: Callable[[Path], object],
    there: Callable[[], Mapping[str, int | None]] = dict,
) -> None:
    """Write every content under its name, and `manifest.json` with sizes and hashes last.

    A local store is written directly, 5 times cheaper than through MLflow; for any other,
    `upload` is handed a temporary folder. Writing again changes nothing, so a writer that was
    killed starts over, but for the files of the trial itself, which may be large: those that are
    `there`, in their full size, are not uploaded again.
    """
    local = local_folder(uri)
    if local is not None:
        _fill(local, contents)
        return
    with tempfile.TemporaryDirectory(prefix="nnsearch-") as folder:
        _fill(Path(folder), contents)
        sizes = there()
        for name, content in contents.items():
            if isinstance(content, Path) and sizes.get(name) == content.stat().st_size:
                (Path(folder) / name).unlink()
        upload(Path(folder))


def local_folder(uri: str) -> Path | None:
    """The folder that a URI of artifacts names; None where they lie elsewhere."""
    parts = urlparse(uri)
    return Path(unquote(parts.path)) if parts.scheme in {"", "file"} else None


def _fill(folder: Path, contents: Mapping[str, Content]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    manifest: dict[str, dict[str, object]] = {}
    for name, content in contents.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, Path):
            shutil.copyfile(content, path)
            with path.open("rb") as file:
                sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        else:
            raw = _bytes(content)
            path.write_bytes(raw)
            sha256 = hashlib.sha256(raw).hexdigest()
        manifest[name] = {"size": path.stat().st_size, "sha256": sha256}
        crash_point("C2")
    (folder / MANIFEST).write_bytes(_bytes(dict(manifest)))


def _bytes(content: bytes | str | dict[str, object]) -> bytes:
    if isinstance(content, bytes):
        return content
    written = content if isinstance(content, str) else json.dumps(content, indent=1)
    return written.encode()
