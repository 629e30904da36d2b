"""Ids are computed from content, and seeds from names; neither is ever typed.

Two things with the same content have the same id on every machine, and each use of randomness has
a stream of its own, so that adding a use disturbs no other.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path

ID_LENGTH = 16
"""Hex digits in an id: 64 bits, so a billion things collide with probability 3 %."""


def canonical_json(value: object) -> str:
    """`value` as JSON with sorted keys and no spaces: the form that is hashed.

    Raises:
        TypeError: `value` holds something that JSON does not know.
        ValueError: `value` holds NaN or an infinity, which would not survive a round trip.
    """
    return _ENCODE(value)


# Made once: `json.dumps` would make an encoder for each value.
_ENCODE = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode


def content_id(kind: str, value: object) -> str:
    """The id of `value` among things of this `kind`: 16 hex digits of SHA-256."""
    digest = hashlib.sha256(f"{kind}\n{canonical_json(value)}".encode("utf-8", "surrogatepass"))
    return digest.hexdigest()[:ID_LENGTH]


def file_id(path: Path) -> str:
    """The id of a file's bytes, whatever its name."""
    digest = hashlib.sha256()
    with path.open("rb") as handle:
        while block := handle.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()[:ID_LENGTH]


def folder_id(path: Path, names: Iterable[str]) -> str:
    """The id of the named files in a folder; a file that is absent counts as absent."""
    files = {name: file_id(path / name) for name in sorted(names) if (path / name).is_file()}
    return content_id("folder", files)


def derive_seed(seed: int, *names: object) -> int:
    """A 63-bit seed for one named use of randomness, such as `derive_seed(0, "shuffle", epoch)`."""
    digest = hashlib.sha256(canonical_json([seed, *[str(name) for name in names]]).encode())
    return int.from_bytes(digest.digest()[:8], "big") >> 1
