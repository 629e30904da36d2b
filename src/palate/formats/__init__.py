"""Foreign files to core records and back, one file a shape, with every refused row and lost column named.

`read` takes a file of any known shape, and `stream` one that is larger than memory; `pair_records` and `Recorder`
turn what was found into rows for the journal; `palate.formats.write` makes files that other trainers read.
"""

from palate.formats.batches import Stream, stream
from palate.formats.imported import Imported, ImportedPair, Refusal
from palate.formats.journal import PairRecords, Recorder, Records, pair_records
from palate.formats.limits import LIMITS, Limits
from palate.formats.reading import SHAPES, read

__all__ = [
    "LIMITS",
    "SHAPES",
    "Imported",
    "ImportedPair",
    "Limits",
    "PairRecords",
    "Recorder",
    "Records",
    "Refusal",
    "Stream",
    "pair_records",
    "read",
    "stream",
]
