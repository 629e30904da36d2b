"""Look for words in every byte of a folder, in all forms in which programs write them down."""

from __future__ import annotations

import base64
import hashlib
import html
import json
from pathlib import Path
from urllib.parse import quote


def left(root: Path, sought: list[str], names: list[str]) -> tuple[int, int]:
    """How often something is found in the bytes of a folder, and in how many places it was looked for."""
    wanted = {form for one in sought for form in forms(one)}
    wanted |= {form for one in names for form in hashes(one)}
    files = [path for path in root.rglob("*") if path.is_file()]
    hits = sum(form in path.read_bytes() for path in files for form in wanted)
    return hits, len(wanted) * len(files)


def forms(text: str) -> set[bytes]:
    """A text as programs write it down. Base64 of a text inside others has one of three alignments."""
    raw = text.encode()
    found = {raw, raw.lower(), raw.upper(), raw.hex().encode(), quote(text).encode(), quote(text, safe="").encode()}
    found |= {json.dumps(text)[1:-1].encode(), html.escape(text).encode(), text.encode("utf-16-le")}
    for shift in range(3):
        inside = base64.b64encode(b"\0" * shift + raw)
        found.add(inside[4 if shift else 0 : -4])
    return found


def hashes(name: str) -> set[bytes]:
    """Hashes of a name that need no key."""
    raw = name.encode()
    return {kind(raw).hexdigest().encode() for kind in (hashlib.sha256, hashlib.sha1, hashlib.md5)}
