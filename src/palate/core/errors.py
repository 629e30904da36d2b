"""What can go wrong, as one tree; every leaf is also the standard type it refines.

    PalateError
    ├── ConfigError        (ValueError)         a setting, or a combination of settings, that cannot work
    ├── DataError          (ValueError)         a file or a row that is not what it should be
    ├── ModelError         (ValueError)         a model or tokenizer folder that cannot do what is asked
    ├── MissingArtefact    (FileNotFoundError)  an artefact or input that is not there
    ├── StoreError         (RuntimeError)       the journal refuses: wrong schema, locked, not a journal
    │   └── LeaseLost                           a judgement under a lease that its rater does not hold
    ├── TrainingError      (RuntimeError)       a run that must stop, such as a loss that is not finite
    └── Interrupted                             someone asked a run to stop; it can be continued

A message has up to five parts; empty ones are not printed::

    error: `pairs-064ce4b7` has too few preferences for one batch
      where: train.jsonl:12
      expected: at least 80 preferences
      found: 64 preferences and --batch-size 80
      hint: collect more judgements, or lower --batch-size
"""

from __future__ import annotations


class PalateError(Exception):
    """An error a person can act on.

    Args:
        what: One sentence in the present tense that names the thing.
        where: File and line, row id or option.
        expected: What would have been right.
        found: What is there, as the person would type it.
        hint: One command or edit that helps.
    """

    def __init__(self, what: str, *, where: str = "", expected: str = "", found: str = "", hint: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.expected = expected
        self.found = found
        self.hint = hint

    def __str__(self) -> str:
        parts = [self.what]
        for name in ("where", "expected", "found", "hint"):
            value = getattr(self, name)
            if value:
                parts.append(f"  {name}: {value}")
        return "\n".join(parts)

    def __reduce__(self) -> tuple[object, ...]:
        # Exceptions pickle by positional args; ours are keyword-only.
        fields = {name: getattr(self, name) for name in ("where", "expected", "found", "hint")}
        return (_rebuild, (type(self), self.what, fields))


def _rebuild(kind: type[PalateError], what: str, fields: dict[str, str]) -> PalateError:
    return kind(what, **fields)


class ConfigError(PalateError, ValueError):
    """A setting, or a combination of settings, that cannot work."""


class DataError(PalateError, ValueError):
    """A file or a row that is not what it should be."""


class ModelError(PalateError, ValueError):
    """A model or tokenizer folder that cannot do what is asked of it."""


class MissingArtefact(PalateError, FileNotFoundError):
    """An artefact or another input that is not there."""


class StoreError(PalateError, RuntimeError):
    """The journal refuses: not a journal, another schema, or a broken promise."""


class LeaseLost(StoreError):
    """A judgement came under a lease that its rater does not hold, or that is for another comparison."""


class TrainingError(PalateError, RuntimeError):
    """A run that must stop, such as one whose loss is no longer finite."""


class Interrupted(PalateError):
    """Someone asked a run to stop, and it did, at a place from which the same command goes on."""
