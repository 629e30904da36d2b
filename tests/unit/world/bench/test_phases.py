import sys
import types

from palate.world.bench.phases import Phases, replace_everywhere


def test_time_goes_to_the_outermost_phase_but_sampling_is_always_told_apart():
    spent, now = {}, [0.0]

    def add(name, seconds):
        spent[name] = spent.get(name, 0.0) + seconds

    phases = Phases(add, clock=lambda: now[0])

    def takes(seconds):
        def work():
            now[0] += seconds

        return work

    sample = phases.timed(takes(5), "rollout")
    forward = phases.timed(takes(2), "forward")

    def roll_out():
        now[0] += 1
        sample()
        forward()
        now[0] += 1

    phases.timed(roll_out, "passes")()
    now[0] += 100  # nobody's
    forward()
    assert spent == {"passes": 1 + 2 + 1, "rollout": 5, "forward": 2}


def test_a_phase_ends_with_an_error_too():
    spent = []
    phases = Phases(lambda *told: spent.append(told), clock=lambda: 0.0)

    def fails():
        raise ValueError

    for _ in range(2):
        try:
            phases.timed(fails, "forward")()
        except ValueError:
            continue
    assert [name for name, _ in spent] == ["forward", "forward"]


def test_a_function_is_replaced_wherever_it_was_imported(monkeypatch):
    def old():
        return "old"

    def new():
        return "new"

    ours, theirs = types.ModuleType("palate.made_up"), types.ModuleType("other.made_up")
    ours.f, ours.another_name, theirs.f = old, old, old
    for module in (ours, theirs):
        monkeypatch.setitem(sys.modules, module.__name__, module)
    assert replace_everywhere(old, new) == 2
    assert ours.f() == ours.another_name() == "new"
    assert theirs.f() == "old"
