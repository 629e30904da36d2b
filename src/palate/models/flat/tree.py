"""Rows of tokens as trees: the prompt of several rows stands once, each row's completion is a branch of it.

All tokens lie in one line, without padding: first the trunks, then the branches. A trunk is a prompt that several
rows share, or a whole row that shares nothing. Only attention needs rectangles; what stands in them is said here as
indices into the line. Shapes: S tokens in the line, R rows of a rectangle, Q its queries, K its keys.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

_CALL: Final = 8192
"""What another call of attention costs, in scores of one head."""


class Rectangle(NamedTuple):
    """One call of attention."""

    queries_RQ: Int[Tensor, "R Q"]
    """Place in the line; what fills a row up repeats its last token."""
    keys_RK: Int[Tensor, "R K"]
    real_RQ: Bool[Tensor, "R Q"]
    """False where a row is filled up."""
    seen_RQK: Bool[Tensor, "R Q K"] | None
    """Which keys a query sees; None: those up to itself, of as many keys as queries."""

    def to(self, device: torch.device | str) -> Rectangle:
        """The same elsewhere."""
        return Rectangle(*(None if value is None else value.to(device) for value in self))  # type: ignore[arg-type]

    def bias(self, dtype: torch.dtype) -> Float[Tensor, "R 1 Q K"] | None:
        """What attention adds to its scores; None with None."""
        if self.seen_RQK is None:
            return None
        return torch.zeros(self.seen_RQK.shape, dtype=dtype, device=self.seen_RQK.device).masked_fill_(
            ~self.seen_RQK, -torch.inf
        )[:, None]


class Tree(NamedTuple):
    """Rows in one line."""

    tokens_S: Int[Tensor, " S"]
    positions_S: Int[Tensor, " S"]
    """Of each token in its row."""
    rectangles: tuple[Rectangle, ...]
    """Each token's query stands in one of them."""

    def to(self, device: torch.device | str) -> Tree:
        """The same elsewhere."""
        rectangles = tuple(rectangle.to(device) for rectangle in self.rectangles)
        return Tree(self.tokens_S.to(device), self.positions_S.to(device), rectangles)

    @property
    def longest(self) -> int:
        """Tokens of the longest row."""
        return int(self.positions_S.max()) + 1


class Planted(NamedTuple):
    """A tree, and where the rows are in it."""

    tree: Tree
    last_prompt: list[int]
    """Place of each prompt's last token."""
    first: list[int]
    """Place of each completion's first token; the others follow. Without a completion, where it would be."""


class Group(NamedTuple):
    """Rows with the same prompt."""

    prompt: Sequence[int]
    rows: list[int]


def groups_of(prompts: Sequence[Sequence[int]]) -> list[Group]:
    """Rows with the same prompt, in the order of their first."""
    found: dict[tuple[int, ...], Group] = {}
    for row, prompt in enumerate(prompts):
        found.setdefault(tuple(prompt), Group(prompt, [])).rows.append(row)
    return list(found.values())


def plant(prompts: Sequence[Sequence[int]], completions: Sequence[Sequence[int]]) -> Planted:
    """Put rows in a line, each distinct prompt once.

    Args:
        prompts: Token ids, at least one a row.
        completions: Token ids.
    """
    groups = groups_of(prompts)
    line: list[int] = []
    positions: list[int] = []
    last_prompt, first = [0] * len(prompts), [0] * len(prompts)
    trunks: list[_Piece] = []
    for group in groups:
        whole = [*group.prompt, *(completions[group.rows[0]] if len(group.rows) == 1 else ())]
        for row in group.rows:
            last_prompt[row] = len(line) + len(group.prompt) - 1
            first[row] = last_prompt[row] + 1
        trunks.append(_Piece(0, 0, len(line), len(whole)))
        line += whole
        positions += range(len(whole))
    branches: list[_Piece] = []
    for group, trunk in zip(groups, trunks, strict=True):
        for row in group.rows if len(group.rows) > 1 else ():
            first[row] = len(line)
            if len(completions[row]):
                branches.append(_Piece(trunk.start, len(group.prompt), len(line), len(completions[row])))
            line += completions[row]
            positions += range(len(group.prompt), len(group.prompt) + len(completions[row]))
    rectangles = [*map(_trunks, _cut(trunks)), *map(_branches, _cut(branches))]
    return Planted(Tree(torch.tensor(line), torch.tensor(positions), tuple(rectangles)), last_prompt, first)


class _Piece(NamedTuple):
    """A part of the line whose tokens see a prompt, and those before them in the part."""

    prompt: int
    prompt_tokens: int
    start: int
    tokens: int


def _cut(pieces: list[_Piece]) -> list[list[_Piece]]:
    """Pieces of like length together, in as many rectangles as pays."""
    found: list[list[_Piece]] = []
    waiting = [sorted(pieces, key=lambda piece: piece.tokens)] if pieces else []
    while waiting:
        some = waiting.pop()
        areas = [_area(some[:at]) + _area(some[at:]) for at in range(1, len(some))]
        best = min(range(len(areas)), key=areas.__getitem__, default=None)
        if best is None or areas[best] + _CALL > _area(some):
            found.append(some)
        else:
            waiting += [some[best + 1 :], some[: best + 1]]
    return found


def _area(pieces: Sequence[_Piece]) -> int:
    """Scores of a rectangle, for one head."""
    width = pieces[-1].tokens
    return len(pieces) * width * (max(piece.prompt_tokens for piece in pieces) + width)


def _trunks(pieces: list[_Piece]) -> Rectangle:
    pieces_R4 = torch.tensor(pieces)
    places_RQ, real_RQ = _places(pieces_R4[:, 2], pieces_R4[:, 3])
    return Rectangle(places_RQ, places_RQ, real_RQ, None)


def _branches(pieces: list[_Piece]) -> Rectangle:
    pieces_R4 = torch.tensor(pieces)
    prompts_RP, in_prompt_RP = _places(pieces_R4[:, 0], pieces_R4[:, 1])
    own_RQ, real_RQ = _places(pieces_R4[:, 2], pieces_R4[:, 3])
    width = own_RQ.shape[1]
    before_QQ = torch.ones(width, width, dtype=torch.bool).tril()
    seen_RQK = torch.cat(
        [in_prompt_RP[:, None].expand(-1, width, -1), before_QQ.expand(len(own_RQ), -1, -1)],
        dim=2,
    )
    return Rectangle(own_RQ, torch.cat([prompts_RP, own_RQ], dim=1), real_RQ, seen_RQK)


def _places(starts_R: Tensor, lengths_R: Tensor) -> tuple[Tensor, Tensor]:
    """Places of some pieces of the line, filled up with their last token, and which are real."""
    offsets = torch.arange(int(lengths_R.max()))
    places = starts_R[:, None] + offsets.clamp(max=lengths_R[:, None] - 1)
    return places, offsets < lengths_R[:, None]
