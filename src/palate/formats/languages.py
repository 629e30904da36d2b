"""Languages by the English names that data sets give them, in BCP 47."""

from __future__ import annotations

_NAMES = (
    "arabic ar,bengali bn,bulgarian bg,catalan ca,chinese zh,croatian hr,czech cs,danish da,dutch nl,english en,"
    "estonian et,finnish fi,french fr,german de,greek el,hebrew he,hindi hi,hungarian hu,indonesian id,italian it,"
    "japanese ja,korean ko,latvian lv,lithuanian lt,malay ms,norwegian no,persian fa,polish pl,portuguese pt,"
    "romanian ro,russian ru,serbian sr,slovak sk,slovenian sl,spanish es,swedish sv,tamil ta,thai th,turkish tr,"
    "ukrainian uk,urdu ur,vietnamese vi"
)

_BY_NAME = dict(entry.split() for entry in _NAMES.split(","))
LANGUAGES: dict[str, str] = _BY_NAME | {code: code for code in _BY_NAME.values()}
"""Name in small letters, or the code itself, to the code."""
