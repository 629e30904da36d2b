"""Foreign files to core records and back, one file a shape, with every refused row and lost column named.

`read` takes a file of any known shape; `pair_records` turns what it found into rows for the journal;
`palate.formats.write` makes files that other trainers read.
"""

from palate.formats.imported import Imported, ImportedPair, Refusal
from palate.formats.journal import PairRecords, pair_records
from palate.formats.reading import SHAPES, read

__all__ = ["SHAPES", "Imported", "ImportedPair", "PairRecords", "Refusal", "pair_records", "read"]
