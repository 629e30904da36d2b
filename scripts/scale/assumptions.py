"""Every number that the page on scaling does not compute, with its unit and where it is from."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any

_SHEET = "NVIDIA H100 SXM data sheet, without sparsity"
_LLAMA = "Grattafiori et al. 2024, arXiv:2407.21783"


@dataclass(frozen=True, slots=True, kw_only=True)
class Assumptions:
    """Change one here, and the whole page follows. `SOURCES` says where each is from."""

    prompt_tokens: int = 300
    completion_tokens: int = 300
    characters_a_token: float = 4.0
    seconds_a_judgement: float = 60.0
    rater_usd_an_hour: float = 20.0
    work_hours_a_year: float = 1800.0
    days_to_collect: float = 90.0
    peak_over_mean: float = 3.0
    page_bytes: float = 20_000.0
    judgement_bytes: float = 223.0
    comparison_bytes: float = 350.0
    store_write_s: float = 0.019
    rows_in_python_bytes: float = 1500.0
    token_in_python_bytes: float = 36.0
    host_bytes: float = 2e12
    disk_bytes: float = 4e12
    gpu_flops: float = 989e12
    gpu_bytes: float = 80e9
    gpu_bandwidth: float = 3.35e12
    network_bandwidth: float = 50e9
    gpu_usd_an_hour: float = 3.0
    training_mfu: float = 0.4
    decoding_efficiency: float = 0.5
    longest_sampling_batch: int = 512
    rollouts_a_judgement: float = 1.0
    rollouts_an_iteration: int = 4096
    days_to_train: float = 30.0


SOURCES: dict[str, tuple[str, str]] = {
    "prompt_tokens": ("tokens", "assumed: a question with some context"),
    "completion_tokens": ("tokens", "assumed: a few paragraphs"),
    "characters_a_token": ("bytes", "assumed: English, a byte-pair vocabulary of 100,000"),
    "seconds_a_judgement": ("s", "assumed: two answers of 200 words read at 4 words a second, and a decision"),
    "rater_usd_an_hour": ("USD", "assumed; vendors differ by more than ten times"),
    "work_hours_a_year": ("h", "assumed: full time"),
    "days_to_collect": ("days", "assumed: longer, and the policy that was judged is gone"),
    "peak_over_mean": ("", "assumed: most work in one third of the day"),
    "page_bytes": ("bytes", "assumed: the page around a task, compressed"),
    "judgement_bytes": ("bytes", "a row of `judgement` with its share of four indexes; measured by --measure"),
    "comparison_bytes": ("bytes", "rows of `comparison` and `completion` without their text; as above"),
    "store_write_s": ("s", "`take` and `judge` of one task, each a durable transaction; measured by --measure"),
    "rows_in_python_bytes": ("bytes", "assumed: a row of a snapshot as Python objects, without its text"),
    "token_in_python_bytes": ("bytes", "an int of CPython above 256 (28) and its place in a list (8)"),
    "host_bytes": ("bytes", "assumed: memory of a host of eight GPUs"),
    "disk_bytes": ("bytes", "assumed: one NVMe disk"),
    "gpu_flops": ("FLOP/s", f"bfloat16, {_SHEET}"),
    "gpu_bytes": ("bytes", _SHEET),
    "gpu_bandwidth": ("bytes/s", _SHEET),
    "network_bandwidth": ("bytes/s", f"400 Gbit/s a GPU, {_LLAMA}, section 3.3.1"),
    "gpu_usd_an_hour": ("USD", "assumed: rented"),
    "training_mfu": ("", f"{_LLAMA}, table 4: 0.38 to 0.43"),
    "decoding_efficiency": ("", "assumed: share of the bandwidth, or of the FLOPs, that decoding reaches"),
    "longest_sampling_batch": ("rows", "assumed: what a server keeps in flight on each replica"),
    "rollouts_a_judgement": ("", "assumed: PPO samples as many completions as there are judgements"),
    "rollouts_an_iteration": ("rows", "assumed"),
    "days_to_train": ("days", "assumed: what one is ready to wait for all of training"),
}


@dataclass(frozen=True, slots=True)
class Shape:
    """A decoder of the Llama family."""

    name: str
    layers: int
    width: int
    inner: int
    heads: int
    kv_heads: int
    vocabulary: int
    tied: bool

    @property
    def keys(self) -> int:
        """Numbers that a token adds to the cache of a layer, once for keys and once for values."""
        return self.kv_heads * (self.width // self.heads)

    @property
    def parameters(self) -> int:
        """All weights."""
        attention = 2 * self.width * self.width + 2 * self.width * self.keys
        layer = attention + 3 * self.width * self.inner + 2 * self.width
        return self.layers * layer + (1 if self.tied else 2) * self.vocabulary * self.width + self.width


POLICIES = (
    Shape("1B", 16, 2048, 8192, 32, 8, 128_256, tied=True),
    Shape("8B", 32, 4096, 14_336, 32, 8, 128_256, tied=False),
    Shape("70B", 80, 8192, 28_672, 64, 8, 128_256, tied=False),
)
"""Llama 3.2 1B (its config.json), Llama 3 8B and 70B (arXiv:2407.21783, table 3)."""
JUDGEMENTS = (10**6, 10**8, 10**10)


def table(given: Assumptions) -> list[dict[str, Any]]:
    """All assumptions, for the page."""
    values = asdict(given)
    rows = []
    for field in fields(given):
        unit, source = SOURCES[field.name]
        rows.append({"name": field.name, "value": values[field.name], "unit": unit, "source": source})
    return rows
