"""Keys and values of the rows that are being sampled, in place; a prompt's stand there once for all its rows.

A *slot* holds what one row has said so far, a *shelf* the prompt of a bundle of rows. Living rows have the first slots,
and shelves that are in use are the first ones: where one leaves, the last takes its place. So every step works on
views and copies nothing.

Attention sees both parts: all queries of a shelf's rows meet the shelf's keys in one product, and each row's queries
its own. One softmax is over both.

Shapes: R rows, N shelves, M rows of a shelf at most, H heads, K heads of keys, G = H / K, E head size, P prompt
tokens, T own tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from palate.models.drawing import at_least_single
from palate.models.flat.decode import ReadPrompt
from palate.models.flat.weights import Weights


class Lanes(NamedTuple):
    """Which rows read which shelf: M lanes to each, some of them empty."""

    queries: Tensor
    """Row and head of queries, keys and values in the order of shelf, key head, lane and group: (N K M G,)."""
    rows: Tensor
    """The same for rows and key heads only: (N K M,)."""
    back: Tensor
    """Where a row's key head is among those: (R K,)."""
    prompt_bias: Tensor
    """-inf where a row's prompt is over: (R, P)."""
    straight: bool
    """Whether each row has a shelf of its own, in the same order: then nothing needs to be rearranged."""


class Cache:
    """Room for so many rows and prompts.

    Args:
        weights: Of the decoder.
        slots: Rows at a time.
        shelves: Prompts at a time.
        prompt_room: Tokens of the longest prompt.
        own_room: Tokens of the longest completion that are ever read again.
    """

    def __init__(self, weights: Weights, *, slots: int, shelves: int, prompt_room: int, own_room: int) -> None:
        layers, size = len(weights.layers), weights.head_dim

        def room(rows: int, tokens: int) -> Tensor:
            # Zeros and not anything: what is masked still meets a probability of 0, and 0 times NaN is NaN.
            shape = (2, layers, rows, weights.kv_heads, tokens, size)
            return torch.zeros(shape, dtype=weights.dtype, device=weights.device)

        self.own, self.prompt = room(slots, own_room), room(shelves, prompt_room)
        """Keys, then values: (2, layers, slots or shelves, K, tokens, E)."""
        both = (self.prompt, self.own)
        self._by_layer = [
            [part[kind, layer].flatten(0, 1) for part in both for kind in (0, 1)] for layer in range(layers)
        ]
        self.heads, self.kv_heads, self.size, self.scaling = weights.heads, weights.kv_heads, size, weights.scaling
        self.device = weights.device
        self.rows: list[int] = []
        """Shelf of each slot in use."""
        self.prompts: list[int] = []
        """Prompt tokens of each shelf in use."""
        self._lanes: Lanes | None = None

    def add(self, prompt: ReadPrompt, rows: int) -> None:
        """A prompt on the next shelf, and the next slots for its rows."""
        shelf, length = len(self.prompts), prompt.keys_values.shape[-2]
        self.prompt[:, :, shelf, :, :length] = prompt.keys_values
        self.rows += [shelf] * rows
        self.prompts.append(length)
        self._lanes = None

    def keep(self, staying: Sequence[int], used: int) -> Moves:
        """Drop all rows but these slots, and the prompts that none is left of.

        Args:
            staying: Slots, ascending.
            used: The most own tokens that any of them has.

        Returns:
            What moved, for all else that is kept by slot.
        """
        moves = compact(staying)
        _move(self.own[..., :used, :], moves)
        shelves = compact(sorted({self.rows[slot] for slot in staying}))
        _move(self.prompt[..., : max(self.prompts), :], shelves)
        place = {old: new for new, old in enumerate(shelves.order)}
        self.rows = [place[self.rows[slot]] for slot in moves.order]
        self.prompts = [self.prompts[shelf] for shelf in shelves.order]
        self._lanes = None
        return moves

    @property
    def lanes(self) -> Lanes:
        """Of the rows as they stand."""
        if self._lanes is None:
            self._lanes = self._laid()
        return self._lanes

    def write(self, layer: int, heads: Tensor, columns: int | Tensor) -> None:
        """Append one token's keys and values to each row: at one column for all, or at one each. `heads` as there."""
        count = heads.shape[0]
        new = heads[:, self.heads :].view(count, 2, self.kv_heads, self.size).transpose(0, 1)
        if isinstance(columns, int):
            self.own[:, layer, :count, :, columns] = new
        else:
            kinds, rows = torch.arange(2, device=self.device)[:, None], torch.arange(count, device=self.device)
            self.own[:, layer][kinds, rows, :, columns] = new

    def attend(self, layer: int, heads: Tensor, used: int, bias: Tensor) -> Tensor:
        """What each row's queries find.

        Args:
            layer: Of the decoder.
            heads: Queries, keys and values of each row's newest token, (R, H + 2 K, E).
            used: The most own tokens that a row has, the newest included.
            bias: -inf where a row has no token, (R, 1, P + T).

        Returns:
            (R, H E).
        """
        lanes, size, groups = self.lanes, self.size, self.heads // self.kv_heads
        count, shelves, longest = heads.shape[0], len(self.prompts), bias.shape[-1] - used
        prompt_keys, prompt_values, keys, values = self._by_layer[layer]
        prompt_room, room = (
            (slice(shelves * self.kv_heads), slice(longest)),
            (slice(count * self.kv_heads), slice(used)),
        )
        own = asked = heads[:, : self.heads].reshape(-1, groups, size)
        if not lanes.straight:
            asked = heads.view(-1, size).index_select(0, lanes.queries).view(shelves * self.kv_heads, -1, size)
        found = torch.bmm(asked, prompt_keys[prompt_room].transpose(1, 2))
        if not lanes.straight:
            found = found.view(-1, groups * longest).index_select(0, lanes.back).view(-1, groups, longest)
        scores = torch.cat((found, torch.bmm(own, keys[room].transpose(1, 2))), dim=-1)
        scores = scores.view(count, self.heads, -1)
        torch.add(bias, scores, alpha=self.scaling, out=scores)
        shares = torch.softmax(scores, dim=-1, dtype=bias.dtype).to(heads.dtype).view(-1, groups, longest + used)

        read = shares[..., :longest]
        if not lanes.straight:
            read = read.index_select(0, lanes.rows).view(shelves * self.kv_heads, -1, longest)
        found = torch.bmm(read, prompt_values[prompt_room])
        if not lanes.straight:
            found = found.view(-1, groups * size).index_select(0, lanes.back)
        return found.view(-1, groups, size).baddbmm_(shares[..., longest:], values[room]).view(count, -1)

    def _laid(self) -> Lanes:
        shelf_R = np.array(self.rows)
        counts_N = np.bincount(shelf_R, minlength=len(self.prompts))
        width, heads, all_heads = int(counts_N.max()), self.kv_heads, self.heads + 2 * self.kv_heads
        order = np.argsort(shelf_R, kind="stable")
        lane_R = np.empty(len(shelf_R), dtype=np.int64)
        lane_R[order] = np.arange(len(shelf_R)) - np.repeat(np.cumsum(counts_N) - counts_N, counts_N)
        row_NM = np.zeros((len(self.prompts), width), dtype=np.int64)  # an empty lane asks what row 0 asks
        row_NM[shelf_R, lane_R] = np.arange(len(shelf_R))
        head_K, group_G = np.arange(heads)[:, None], np.arange(self.heads // heads)
        rows_NKM = row_NM[:, None] * heads + head_K
        queries_NKMG = row_NM[:, None, :, None] * all_heads + head_K[..., None] * len(group_G) + group_G
        back_RK = (shelf_R[:, None] * heads + np.arange(heads)) * width + lane_R[:, None]
        lengths_R = np.array(self.prompts)[shelf_R]
        over_RP = np.arange(max(self.prompts)) >= lengths_R[:, None]
        bias = torch.zeros(over_RP.shape, dtype=at_least_single(self.own.dtype)).masked_fill_(
            torch.from_numpy(over_RP), -torch.inf
        )
        queries, rows, back = (self._index(index) for index in (queries_NKMG, rows_NKM, back_RK))
        return Lanes(queries, rows, back, bias.to(self.device), self.rows == list(range(len(self.prompts))))

    def _index(self, index: np.ndarray) -> Tensor:
        return torch.from_numpy(index.reshape(-1)).to(self.device)


class Moves(NamedTuple):
    """How the last take the places of those who left."""

    order: list[int]
    """Where each of those who stay was."""
    holes: list[int]
    sources: list[int]


def compact(staying: Sequence[int]) -> Moves:
    """Fill the first places: those who stay there stay, and the last ones move into the holes."""
    kept = set(staying)
    holes = [place for place in range(len(staying)) if place not in kept]
    sources = [place for place in staying if place >= len(staying)]
    order = list(range(len(staying)))
    for hole, source in zip(holes, sources, strict=True):
        order[hole] = source
    return Moves(order, holes, sources)


def _move(part: Tensor, moves: Moves) -> None:
    for hole, source in zip(moves.holes, moves.sources, strict=True):
        part[:, :, hole] = part[:, :, source]
