"""Take personal data and secrets out of texts: e-mail, telephone, card, IBAN, SSN, IP address, key.

`scrubbed` does it for the texts of one conversation, `Scrubber` for many. What is taken out is gone: a text keeps
`<EMAIL_1>`, and only how many there were of each kind is told.
"""

from palate.formats.scrub.keys import KNOWN_KEY, RANDOM_KEY, TOLD_KEY
from palate.formats.scrub.rules import CARD, EMAIL, IPV4, IPV6, PHONE, SSN, TOLD_PHONE, Iban, Rule, Span
from palate.formats.scrub.scrubbing import RULES, Conversation, Scrubbed, Scrubber, scrubbed

__all__ = [
    "CARD",
    "EMAIL",
    "IPV4",
    "IPV6",
    "KNOWN_KEY",
    "PHONE",
    "RANDOM_KEY",
    "RULES",
    "SSN",
    "TOLD_KEY",
    "TOLD_PHONE",
    "Conversation",
    "Iban",
    "Rule",
    "Scrubbed",
    "Scrubber",
    "Span",
    "scrubbed",
]
