import json
import sys

import pytest

from palate.world.bench.meter import Meter, Probe, Stop, cpu_s, peak_mb


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


def meter_of(words, *, gflops, steps=2):
    said, clock = [], Clock()
    heard, probes = iter(words), iter(gflops)
    meter = Meter(
        steps,
        lambda: {"tokens": 7},
        probe=lambda: next(probes),
        clock=clock,
        hear=lambda: next(heard, ""),
        say=said.append,
    )
    return meter, clock, said


def test_a_block_holds_its_steps_and_the_probes_around_each():
    meter, clock, said = meter_of(["go\n", "stop\n"], gflops=[100, 80, 60])
    meter.begin()
    clock.now += 3
    meter.add("rollout", 1.5)
    meter.step()
    clock.now += 5
    with pytest.raises(Stop):
        meter.step()
    ready, first = (json.loads(line.removeprefix("BENCH ")) for line in said)
    assert ready == {"ready": True}
    assert first["cpu_s"] == [3, 5]
    assert first["probe_gflops"] == [90, 70]
    assert first["parts_s"] == {"rollout": [1.5, 0.0]}
    assert first["tokens"] == 7
    assert first["peak_mb"] > 10


def test_what_is_done_while_waiting_does_not_count():
    meter, clock, said = meter_of([], gflops=[100] * 9, steps=1)
    waits = iter(["go", "go", ""])

    def hear():
        clock.now += 1000
        return next(waits)

    meter.hear = hear
    meter.begin()
    clock.now += 2
    meter.step()
    clock.now += 4
    with pytest.raises(Stop):
        meter.step()
    assert [json.loads(line[6:]).get("cpu_s") for line in said] == [None, [2], [4]]


def test_parts_of_the_time_before_the_first_step_are_forgotten():
    meter, _, said = meter_of(["go", "stop"], gflops=[1] * 5, steps=1)
    meter.add("forward", 9.0)
    meter.begin()
    with pytest.raises(Stop):
        meter.step()
    assert json.loads(said[1][6:])["parts_s"] == {}


def test_a_stop_is_no_error_that_a_recipe_could_swallow():
    assert not issubclass(Stop, Exception)


def test_the_probe_measures_something_a_core_can_do():
    assert 0.1 < Probe()() < 10_000


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_childs_time_and_memory_count():
    import subprocess

    code = "x = bytearray(120 << 20)\nwhile True: pass"
    before, memory = cpu_s(), peak_mb()
    with subprocess.Popen([sys.executable, "-c", code]) as child:
        import time

        until = time.monotonic() + 20  # far more than the child needs to be scheduled for half a second
        while cpu_s() - before < 0.5 and time.monotonic() < until:
            time.sleep(0.05)
        spent, more = cpu_s() - before, peak_mb() - memory
        child.kill()
    assert spent >= 0.5
    assert more > 110
