"""The bench kills every mutant, and would say so if it did not."""

from collections import Counter

import pytest
from tests.bug_bench import bench
from tests.bug_bench.mutants import MUTANTS
from tests.bug_bench.mutation import Mutant, StaleMutant, applied

from palate.functional.gae import gae
from palate.world.checks import GROUPS, WrongValue, c_advantages

HARMLESS = Mutant("C33", "nothing is wrong", "functional.gae:gae", "if not columns:", "if len(columns) == 0:")
CRASHING = Mutant("C33", "it crashes", "functional.gae:gae", "if not columns:", "if 1 / 0:")
WRONG = Mutant("C33", "λ is ignored", "functional.gae:gae", "discount * lam * advantage_B", "discount * advantage_B")


@pytest.mark.slow
def test_every_mutant_is_killed_by_checks_that_pass_on_the_real_code():
    done = bench.run()
    assert done.broken == {}
    assert [(r.mutant.item, r.mutant.what) for r in done.results if not r.killed_by] == []
    assert done.last_line == f"killed {len(MUTANTS)} of {len(MUTANTS)}"
    assert bench.figures(done)[0] == {"name": "mutants/killed", "value": len(MUTANTS), "n": len(MUTANTS)}


def test_the_mutants_are_many_and_of_every_kind():
    assert len(MUTANTS) >= 70
    assert {mutant.item[0] for mutant in MUTANTS} == set(GROUPS)
    assert max(Counter(mutant.item for mutant in MUTANTS).values()) <= 2
    assert len(set(MUTANTS)) == len(MUTANTS)


@pytest.mark.parametrize("mutant", [HARMLESS, CRASHING], ids=["harmless", "crashing"])
def test_what_gives_no_wrong_value_survives_and_is_reported(mutant):
    done = bench.run([mutant], letters="C")
    assert done.last_line == "killed 0 of 1"
    assert bench.table(done).endswith("SURVIVED")
    assert ("ZeroDivisionError" in done.results[0].value) == (mutant is CRASHING)


def test_what_gives_a_wrong_value_is_killed_by_name():
    (result,) = bench.run([WRONG], letters="C").results
    assert result.killed_by == "gae_is_the_sum_of_discounted_errors"
    assert "expected" in result.value


def test_a_mutant_reaches_everybody_who_imported_it_and_goes_away():
    right = gae.__code__
    with applied(WRONG) as wrong:
        assert wrong is gae
        with pytest.raises(WrongValue):
            c_advantages.gae_is_the_sum_of_discounted_errors()
    assert gae.__code__ is right
    c_advantages.gae_is_the_sum_of_discounted_errors()


def test_snippets_that_do_not_stand_exactly_once_are_all_refused():
    gone = [Mutant("C33", "", "functional.gae:gae", old, "0") for old in ("no such code", "advantage_B")]
    renamed = Mutant("C33", "", "functional.gae:no_such_function", "a", "b")
    with pytest.raises(StaleMutant) as found:
        bench.run([*gone, WRONG, renamed])
    assert len(str(found.value).splitlines()) == 3
    assert "stands 0 times" in str(found.value)


def test_a_check_takes_other_peoples_functions():
    def others(rewards_BT, values_BT, mask_BT, *, discount, lam):
        return gae(rewards_BT, values_BT, mask_BT, discount=1.0, lam=lam)

    with pytest.raises(WrongValue, match="advantages at γ"):
        c_advantages.gae_is_the_sum_of_discounted_errors(gae=others)
