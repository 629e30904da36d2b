"""What is kept of a secret that only its owner may know."""

from __future__ import annotations

import hashlib


def secret_hash(secret: str) -> str:
    """SHA-256, in hex. It needs no salt: the secrets are 256 random bits, which nobody can try."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
