"""What a person sees while long work goes on: sentences, a bar, a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.panel import Panel
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from palate.evaluation.statistics import Figure

_SHOWN = ("loss", "reward/score_mean", "kl/policy_reference_nats", "accuracy")
_TABLE = (
    ("win_rate/ppo_vs_sft@0.5", "PPO beats SFT (gold, T 0.5)"),
    ("win_rate/ppo_vs_sft/career@0.5", "… on career plans"),
    ("win_rate/dpo_vs_sft@0.5", "DPO beats SFT"),
    ("win_rate/ppo_vs_sft@1.0", "PPO beats SFT (T 1)"),
    ("win_rate/dpo_vs_sft@1.0", "DPO beats SFT (T 1)"),
    ("claims/specific_correct/sft", "right claims per career answer, SFT"),
    ("claims/specific_correct/ppo", "right claims per career answer, PPO"),
    ("rater/agreement", "two raters agree"),
    ("reward_model/accuracy_labels", "reward model right on held-out majorities"),
    ("reward_model/accuracy_gold", "reward model right on gold"),
    ("refusal/harmful", "harmful requests refused, PPO"),
    ("refusal/benign", "benign requests refused, PPO"),
    ("knowledge/seen", "knowledge questions right, PPO"),
    ("knowledge/unseen_correct", "claims about facts never seen that are right"),
    ("kl/ppo_nats", "KL of PPO to SFT (nats)"),
    ("round2/win_rate_over_round1", "round 2 beats round 1"),
    ("round2/over_more_steps", "round 2 beats more steps on the old reward model"),
    ("round2/over_equal_sft", "round 2 beats as many SFT comparisons"),
    ("hacking/proxy_rise_sd", "no leash: score rises by (sd)"),
    ("hacking/gold_minus_own_peak", "no leash: gold falls from its peak by"),
    ("hacking/gold_minus_tethered", "no leash: gold minus the tethered run's"),
)


class Live:
    """A `Progress` on the terminal. Without a terminal it prints plain lines."""

    def __init__(self) -> None:
        self.console = Console()
        self._bar: Progress | None = None
        self._task: TaskID | None = None

    def say(self, sentence: str) -> None:
        """A sentence about what is happening and why."""
        self.console.print(f"[bold]•[/bold] {sentence}")

    def start(self, task: str, total: int) -> None:
        """Show a bar."""
        self.finish()
        self._bar = Progress(
            TextColumn("  {task.description}"),
            BarColumn(bar_width=30),
            TextColumn("{task.completed:.0f}/{task.total:.0f}"),
            TimeElapsedColumn(),
            TextColumn("{task.fields[facts]}"),
            console=self.console,
            transient=True,
        )
        self._bar.start()
        self._task = self._bar.add_task(task, total=total, facts="")

    def advance(self, done: int, facts: Mapping[str, float] | None = None) -> None:
        """Move the bar."""
        if self._bar is not None and self._task is not None:
            shown = "  ".join(f"{k.split('/')[-1]} {facts[k]:.2f}" for k in _SHOWN if facts and k in facts)
            self._bar.update(self._task, completed=done, facts=shown)

    def note(self, sentence: str) -> None:
        """A line above the bar."""
        self.console.print(f"  {sentence}", style="yellow")

    def finish(self, sentence: str = "") -> None:
        """Take the bar away and say what came of it."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None
        if sentence:
            self.console.print(f"  {sentence}", style="dim")

    def example(self, answers: Mapping[str, str]) -> None:
        """The running example, side by side in time."""
        for name, text in answers.items():
            self.console.print(Panel(text, title=name, title_align="left", width=90))

    def table(self, figures: Sequence[tuple[str, Figure]]) -> None:
        """The figures that matter, each with its interval and n."""
        found = dict(figures)
        table = Table("what", "value", "95 % interval", "n")
        for name, label in _TABLE:
            if name in found:
                f = found[name]
                table.add_row(label, f"{f.value:.3f}", f"{f.low:.3f} to {f.high:.3f}", str(f.n))
        self.console.print(table)
