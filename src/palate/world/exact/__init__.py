"""Worlds small enough to be solved exactly: what an algorithm must reach, known to the last digit.

| file | holds |
|---|---|
| `bandit` | one prompt and its completions: J, its optimum, its best value |
| `tree` | completions token by token, with an end token; a policy is a table of logits, a row a prefix |
| `language` | all 262,144 sequences of nine tokens out of four: gold, and a proxy that misses part of it |
| `optimum` | the exact trade of reward against KL |
| `gradient` | the expected gradient of each algorithm over all groups, and where following it ends |
| `population` | what DPO and its family learn from all pairs at once |
| `mixture` | groups of raters with tastes of their own: one reward for all, and every deal between two of them |
| `debate`, `debate_judge` | debates about texts of a few items, solved by backward induction; who judges them |
| `debaters` | debaters and judges that learn from each other |
| `rlaif` | judges that were trained, careful and careless people, and the best policy for each |
| `assisted` | raters who read some lines of an answer, and who chooses them |
| `sampled` | PPO, RLOO and GRPO on samples of the tree |
| `self_play` | rounds of learning from its own answers, under a judge that turns |

Everything is in float64. The losses, advantages and penalties are those of `palate.functional`, as recipes call them.
"""

from palate.world.exact.bandit import TabularBandit

__all__ = ["TabularBandit"]
