"""A mutant: a small readable change to the source of a real function, for as long as a `with` block lasts."""

import inspect
import textwrap
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import reduce
from importlib import import_module
from types import CodeType, FunctionType
from typing import Any


@dataclass(frozen=True, slots=True)
class Mutant:
    """One wrong variant."""

    item: str
    """Letter of the group and number of the detail that is got wrong, such as C33."""
    what: str
    """What is wrong, in words."""
    where: str
    """`module:function`, the module without `palate.`."""
    old: str
    """Part of the function's source; it must stand there exactly once."""
    new: str
    """What stands there instead."""


class StaleMutant(Exception):
    """A mutant does not fit the code any more; it must be rewritten, or it would prove nothing."""


def function_of(where: str) -> FunctionType:
    """The function itself, also behind a property, a static or a class method."""
    module, _, path = where.partition(":")
    owner = import_module(f"palate.{module}")
    *outer, name = path.split(".")
    owner = reduce(getattr, outer, owner)
    found: Any = vars(owner)[name]
    if isinstance(found, property):
        found = found.fget
    if isinstance(found, staticmethod | classmethod):
        found = found.__func__
    if not isinstance(found, FunctionType):
        raise StaleMutant("it is no function of its own")
    return found


def mutated_code(mutant: Mutant, function: FunctionType) -> CodeType:
    """The function's code, compiled from its changed source."""
    source = textwrap.dedent(inspect.getsource(function))
    times = source.count(mutant.old)
    if times != 1 or mutant.old == mutant.new:
        raise StaleMutant(f"{mutant.old!r} stands {times} times in it, and must stand once")
    try:
        made = compile(source.replace(mutant.old, mutant.new), f"<{mutant.item}>", "exec", dont_inherit=True)
    except SyntaxError as error:
        raise StaleMutant(str(error)) from error
    return next(c for c in made.co_consts if isinstance(c, CodeType) and c.co_name == function.__name__)


def refuse_stale(mutants: Iterable[Mutant]) -> None:
    """Name all mutants that do not fit the code any more, before anything is run.

    Raises:
        StaleMutant: There is one.
    """
    stale = []
    for mutant in mutants:
        try:
            mutated_code(mutant, function_of(mutant.where))
        except (StaleMutant, AttributeError, KeyError, ImportError) as error:
            stale.append(f"{mutant.item}, {mutant.where}: {error}")
    if stale:
        raise StaleMutant("\n".join(stale))


@contextmanager
def applied(mutant: Mutant) -> Iterator[Callable[..., Any]]:
    """The real function, wrong inside the block.

    Its code is exchanged, not its name, so everybody who imported it calls the wrong variant too.
    """
    function = function_of(mutant.where)
    right, wrong = function.__code__, mutated_code(mutant, function)
    function.__code__ = wrong
    try:
        yield function
    finally:
        function.__code__ = right
