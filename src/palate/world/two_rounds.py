"""What a second round adds: new comparisons of the first round's answers, against two controls."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from palate.world import measure, stages
from palate.world.figures import Named, compare
from palate.world.settings import ROUND_BETA, Size


def run(root: Path, seed: int, size: Size, sft: Path) -> tuple[list[Named], dict[str, Path]]:
    """A small first round, a second round in which its policy is compared with itself and with SFT, and two controls.

    The controls are as many more PPO steps on the old reward model, and as many more comparisons
    of the SFT model's answers.
    """
    first = stages.judged(root, seed, size, [sft], source="rounds/first", prompts=size.small_round, about="small")
    old_reward = stages.make_reward(root, seed, sft, first)
    one = stages.make_ppo(root, seed, size, sft, old_reward, beta=ROUND_BETA, iterations=size.small_iterations)
    steps = size.second_iterations
    second: dict[str, Any] = {"prompts": size.second_round, "about": "second"}
    both = stages.judged(root, seed, size, [one, sft], source="rounds/second", together=["rounds/first"], **second)
    new_reward = stages.make_reward(root, seed + 1, sft, both)
    two = stages.make_ppo(root, seed + 1, size, sft, new_reward, beta=ROUND_BETA, iterations=steps, start=one)
    more = stages.make_ppo(root, seed + 1, size, sft, old_reward, beta=ROUND_BETA, iterations=steps, start=one)
    stages.judged(root, seed, size, [sft], source="equal/first", prompts=size.small_round, about="small")
    equal = stages.judged(root, seed, size, [sft], source="equal/second", together=["equal/first"], **second)
    equal_reward = stages.make_reward(root, seed + 1, sft, equal)
    off = stages.make_ppo(root, seed + 1, size, sft, equal_reward, beta=ROUND_BETA, iterations=steps, start=one)
    answers = {
        name: measure.ask_heldout(path, seed, size, 0.5)
        for name, path in {"one": one, "two": two, "more": more, "off": off, "sft": sft}.items()
    }
    result = [
        compare("round2/win_rate_over_round1", answers["two"], answers["one"]),
        compare("round2/over_more_steps", answers["two"], answers["more"]),
        compare("round2/over_equal_sft", answers["two"], answers["off"]),
        compare("round2/round1_vs_sft", answers["one"], answers["sft"]),
        compare("round2/round2_vs_sft", answers["two"], answers["sft"]),
    ]
    return result, {"round1": one, "round2": two, "more steps": more, "equal SFT comparisons": off}
