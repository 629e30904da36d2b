"""Names that cannot be read back: HMAC-SHA256 under a key that belongs to the project.

A plain hash of a name can be undone by trying names; without the key this one cannot. A new key gives everybody
a new pseudonym, and whoever destroys the key cuts the last thread from a pseudonym to a person.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets

from palate.core.errors import ConfigError

KEY_BYTES = 32


def new_key() -> bytes:
    """A key of 256 random bits."""
    return secrets.token_bytes(KEY_BYTES)


def pseudonym(key: bytes, name: str, kind: str = "p") -> str:
    """The pseudonym of `name`: `kind`, a hyphen, and 20 hex digits (80 bits) of HMAC-SHA256.

    Args:
        key: Of the project; at least 16 bytes.
        name: What is hidden, such as an account's id or an e-mail address; compared as it is.
        kind: Stands before the hyphen, and keeps two uses of one name apart.

    Raises:
        ConfigError: the key is too short to keep anything.
    """
    if len(key) < 16:
        raise ConfigError("the key of the pseudonyms is too short", expected="16 bytes or more", found=str(len(key)))
    digest = hmac.new(key, f"{kind}\n{name}".encode("utf-8", "surrogatepass"), hashlib.sha256)
    return f"{kind}-{digest.hexdigest()[:20]}"
