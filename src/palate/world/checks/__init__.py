"""The bug bench's checks: does a loss, a sampler or a figure do what its formula says?

Each check is a plain function. Its arguments are the functions under test, Palate's own by default, so that
others can hold theirs to the same values; what they are called with stands in the check's text:

    from palate.world.checks import c_advantages
    c_advantages.gae_is_the_sum_of_discounted_errors(gae=my_gae)

A check returns nothing, or raises `WrongValue`. What is expected is written down by hand, enumerated or
computed in another way in float64, never by the function under test. One file a group:

| file | holds |
|---|---|
| `a_sequences` | masks, shifts, end tokens, padding, sampling |
| `b_kl` | estimators of the KL and where they may stand, controllers |
| `c_advantages` | rewards per token, critics, GAE, whitening |
| `d_policy` | ratios, clips, how token losses become one, groups |
| `e_reward` | Bradley-Terry, rankings, noise, calibration |
| `f_preference` | DPO and its family, KTO |
| `g_statistics` | seeds, splits, win rates, guards |
"""

from palate.world.checks.listing import GROUPS, checks_of
from palate.world.checks.values import WrongValue

__all__ = ["GROUPS", "WrongValue", "checks_of"]
