"""Wrong variants, by group. At most two for each detail; each on code that a recipe runs through."""

from tests.bug_bench.mutants import (
    a_sequences,
    b_kl,
    c_advantages,
    d_policy,
    e_reward,
    f_preference,
    g_statistics,
)

MUTANTS = tuple(
    sorted(
        (
            *a_sequences.MUTANTS,
            *b_kl.MUTANTS,
            *c_advantages.MUTANTS,
            *d_policy.MUTANTS,
            *e_reward.MUTANTS,
            *f_preference.MUTANTS,
            *g_statistics.MUTANTS,
        ),
        key=lambda mutant: (mutant.item[0], int(mutant.item[1:])),
    )
)
