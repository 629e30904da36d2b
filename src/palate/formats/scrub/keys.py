"""Secrets: keys that say by their first letters what they are, and such as are too random to be words.

Beginnings as their issuers document them (OpenAI, Anthropic, AWS, Google, GitHub, GitLab, Slack, Stripe,
Hugging Face, npm, PyPI, SendGrid, Twilio, DigitalOcean, Shopify; RFC 7519 for JWT, RFC 7468 for PEM).
"""

from __future__ import annotations

import re

from palate.formats.scrub.checks import entropy_bits
from palate.formats.scrub.rules import Pattern

_W = r"[A-Za-z0-9]"
_U = r"[A-Za-z0-9_-]"
_STARTS = (
    rf"sk-{_U}{{20,}}",
    rf"[spr]k_(?:live|test)_{_W}{{16,}}",
    rf"gh[pousr]_{_W}{{30,}}",
    rf"github_pat_{_W}{{20}}_?\w*",
    rf"glpat-{_U}{{20,}}",
    rf"xox[abeoprs]-{_U}{{10,}}",
    r"(?:AKIA|ASIA)[A-Z0-9]{16}(?!\w)",
    rf"AIza{_U}{{35}}",
    rf"ya29\.{_U}{{20,}}",
    rf"hf_{_W}{{30,}}",
    rf"npm_{_W}{{36}}",
    rf"pypi-{_U}{{40,}}",
    rf"SG\.{_U}{{16,}}\.{_U}{{16,}}",
    r"(?:AC|SK)[0-9a-f]{32}(?!\w)",
    r"dop_v1_[0-9a-f]{40,}",
    r"shp(?:at|ca|pa|ss)_[0-9a-fA-F]{32}",
    rf"eyJ{_U}{{8,}}\.eyJ{_U}{{8,}}\.{_U}*",
)
_BLOCK = r"-----BEGIN (?:[A-Z]+ ){0,3}PRIVATE KEY-----[\s\S]*?(?:-----END (?:[A-Z]+ ){0,3}PRIVATE KEY-----|\Z)"


def _known(match: re.Match[str]) -> str | None:
    # `sk-learn-is-a-well-known-library` begins like a key, but holds neither digits nor capitals.
    text = match[0]
    return None if text.startswith("sk-") and text.islower() and text.replace("-", "").isalpha() else text


KNOWN_KEY = Pattern(
    "KEY",
    r"[srp]k[-_]|gh[pousr]_|github_pat|glpat-|xox|AKIA|ASIA|AIza|ya29|hf_|npm_|pypi-|SG\.|AC[0-9a-f]{8}|SK[0-9a-f]{8}"
    r"|dop_v1|shp[acps]|eyJ|PRIVATE KEY",
    re.compile(rf"(?P<block>{_BLOCK})|(?<![A-Za-z0-9])(?:{'|'.join(_STARTS)})"),
    _known,
)
"""Keys that begin as their issuer says."""

_TOLD = re.compile(
    r"(?:api[_ -]?key|secret(?:[_ -]?key)?|access[_ -]?(?:key|token)|auth[_ -]?token|token|passw(?:or)?d|bearer"
    r"|authorization)[\"']?(?: is|\s*[:=]|\s)\s*(?:Bearer )?[\"'`]?(?P<is>[A-Za-z0-9_.~+/=-]{16,})",
    re.IGNORECASE,
)
_TOLD_BITS = 3.0
_HEX = re.compile(r"[0-9a-f-]+\Z", re.IGNORECASE)
_DIGITS = re.compile(r"\d+")


def _told(match: re.Match[str]) -> str | None:
    value = match["is"].rstrip(".=")
    mixed = any(c.isdigit() for c in value) and any(c.isalpha() for c in value)
    return value if mixed and entropy_bits(value) >= _TOLD_BITS else None


TOLD_KEY = Pattern(
    "KEY",
    r"\d(?:[A-Za-z_.~+/=-]|(?<=[A-Za-z_.~+/=-]\d))",
    _TOLD,
    _told,
)
"""Keys that the word before them gives away."""

_RANDOM_BITS = 4.0
_BARE = re.compile(r"(?<![\w/+.@-])(?P<is>[A-Za-z0-9_-]{32,}|[A-Za-z0-9+/]{40,}={0,2})(?![\w/+.@-]|\()")


def _random(match: re.Match[str]) -> str | None:
    text = match["is"]
    if _HEX.match(text):
        return None  # a hash or a UUID names content, and opens nothing
    several = len(_DIGITS.findall(text)) >= 3
    both = any(c.isupper() for c in text) and any(c.islower() for c in text)
    solid = max(len(part) for part in re.split("[-_/+]", text)) >= 12  # words joined by dashes have short parts
    return text if several and both and solid and entropy_bits(text) >= _RANDOM_BITS else None


RANDOM_KEY = Pattern("KEY", r"\d[A-Za-z_+/-]{1,99}\d+[A-Za-z_+/-]{1,99}\d", _BARE, _random)
"""Long runs of capitals, small letters and digits that no one would have typed."""
