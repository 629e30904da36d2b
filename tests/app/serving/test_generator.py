"""The generator process: how it is kept, lost and found again, and what the web process does not load."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from contextlib import aclosing
from pathlib import Path

import pytest
import torch

import tiny_models
from palate.core.errors import ConfigError
from palate.core.records import Prompt
from palate.evaluation.reward_scores import RewardScores
from palate.models import load
from palate.serving.orders import Ended, Order, Piece
from palate.serving.supervisor import Generator, GeneratorError, Settings, named


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny_models.make(tmp_path_factory.mktemp("model") / "llama", context=4096)


def order(number=0, **more):
    asked = {"id": f"o{number}", "policy": "a", "messages": (("user", "help me plan"),), "seed": number}
    return Order(**{**asked, "max_tokens": 8, **more})


class Kept:
    """One generator and the loop that it lives in, for many tests: to load torch takes seconds."""

    def __init__(self, **settings):
        self.runner = asyncio.Runner()
        self.generator = Generator(Settings(threads=1, **settings))
        self.runner.run(self.generator.start())

    def run(self, body):
        return self.runner.run(body(self.generator))

    def close(self):
        self.runner.run(self.generator.close())
        self.runner.close()


@pytest.fixture(scope="module")
def reward(folder):
    model, tokenizer = load.load_scalar(folder), load.load_tokenizer(folder)
    torch.nn.init.normal_(model.score.weight, generator=torch.Generator().manual_seed(3))
    load.save(folder.parent / "reward", model, tokenizer)
    return folder.parent / "reward"


@pytest.fixture(scope="module")
def kept(folder, reward):
    made = Kept(policies={"a": folder}, nice=5, slots=3, waiting=4, longest=4000, reward=reward)
    yield made
    made.close()


async def text_of(generator, asked):
    async with aclosing(generator.answer(asked)) as events:
        return "".join([event.text async for event in events if isinstance(event, Piece)])


@pytest.mark.slow
def test_requests_that_come_while_it_loads_wait(folder):
    async def body(generator):
        assert not generator.is_ready
        texts = await asyncio.gather(*(text_of(generator, order(n)) for n in range(3)))
        again = await asyncio.gather(*(text_of(generator, order(n)) for n in range(3)))
        assert generator.starts == 1
        assert texts == again
        return os.getpriority(os.PRIO_PROCESS, generator.pid) - os.getpriority(os.PRIO_PROCESS, 0)

    made = Kept(policies={"a": folder}, nice=5)
    try:
        assert made.run(body) == min(5, 19 - os.getpriority(os.PRIO_PROCESS, 0))
    finally:
        made.close()


@pytest.mark.slow
def test_who_stops_reading_frees_the_slots(kept):
    async def body(generator):
        # At temperature 0 this model goes round in circles and does not end before the limit.
        async with aclosing(generator.answer(order(1, max_tokens=4000, n=3, temperature=0))) as events:
            async for event in events:
                if isinstance(event, Piece):
                    break
        # With all slots taken by answers of 4000 tokens, which take 9 s on an idle core, this would wait for them.
        await asyncio.wait_for(text_of(generator, order(2, n=3)), 4)

    kept.run(body)


@pytest.mark.slow
def test_an_answer_that_is_stopped_ends_as_any_other(kept):
    async def body(generator):
        asked, seen = order(1, max_tokens=4000, n=2), []
        async with aclosing(generator.answer(asked)) as events:
            async for event in events:
                if isinstance(event, Piece) and not any(isinstance(one, Piece) for one in seen):
                    assert generator.stop(asked.id)
                seen.append(event)
        assert {event.choice for event in seen if isinstance(event, Ended)} == {0, 1}
        assert len(seen) < 1000
        assert not generator.stop(asked.id)
        await asyncio.wait_for(text_of(generator, order(2, n=3)), 10)

    kept.run(body)


@pytest.mark.slow
def test_more_than_it_can_bear_is_refused(kept):
    async def body(generator):
        borne = [asyncio.ensure_future(text_of(generator, order(number))) for number in range(4)]
        await asyncio.sleep(0)
        with pytest.raises(GeneratorError) as busy:
            await text_of(generator, order(5))
        assert (busy.value.status, busy.value.code) == (429, "busy")
        await asyncio.gather(*borne)

    kept.run(body)


def test_more_answers_than_slots_are_refused_at_once(kept):
    async def body(generator):
        with pytest.raises(GeneratorError, match="at most 3 answers") as refused:
            await text_of(generator, order(n=4))
        assert refused.value.status == 400

    kept.run(body)


def test_what_is_over_the_slots_waits_its_turn(kept):
    async def body(generator):
        alone = [await text_of(generator, order(n, n=2, temperature=0.5)) for n in range(4)]
        together = await asyncio.gather(*(text_of(generator, order(n, n=2, temperature=0.5)) for n in range(4)))
        return sorted(map(len, alone)), sorted(map(len, together))

    alone, together = kept.run(body)
    assert alone == together


def test_every_answer_ends_once(kept):
    async def body(generator):
        async with aclosing(generator.answer(order(3, n=3, max_tokens=30))) as events:
            return [event.choice async for event in events if isinstance(event, Ended)]

    assert sorted(kept.run(body)) == [0, 1, 2]


def test_a_crash_is_told_to_those_in_flight_and_survived(kept):
    async def body(generator):
        events = generator.answer(order(1, max_tokens=4000, n=3))
        assert (await anext(events)).prompt_tokens > 0
        pid = generator.pid
        os.kill(pid, signal.SIGKILL)
        with pytest.raises(GeneratorError, match="stopped while this answer was being written") as lost:
            async for _ in events:
                pass
        assert (lost.value.status, lost.value.code) == (503, "generator_restarted")
        # The next request waits for the new one.
        assert await text_of(generator, order(2)) is not None
        assert generator.pid != pid
        assert generator.under_way == 0

    kept.run(body)


@pytest.mark.slow
def test_a_folder_without_a_model_says_so_in_the_log_alone(tmp_path, caplog):
    async def body(generator):
        with pytest.raises(GeneratorError, match="cannot be loaded") as refused:
            await text_of(generator, order())
        assert refused.value.status == 503
        assert str(tmp_path) not in refused.value.what

    made = Kept(policies={"a": tmp_path})
    try:
        made.run(body)
    finally:
        made.close()
    assert "config.json" in caplog.text


def test_the_reward_model_scores_answers_beside_the_policy(kept, reward):
    asked, said = (("user", "help me plan"),), ["start with figma", "sorry, i can not help with that."]

    async def body(generator):
        found = [await generator.score(asked, text, patience_s=60) for text in said]
        with pytest.raises(GeneratorError, match="longer than the reward model can read"):
            await generator.score(asked, "practice " * 5000, patience_s=60)
        with pytest.raises(GeneratorError, match="no score within"):
            await generator.score(asked, said[0], patience_s=1e-6)
        return found

    expected = RewardScores(reward)([Prompt.of("help me plan")] * 2, said)
    assert kept.run(body) == pytest.approx(expected, abs=1e-4)
    assert expected[0] != pytest.approx(expected[1], abs=1e-2)


@pytest.mark.slow
def test_it_goes_when_its_parent_is_killed(folder):
    script = (
        "import asyncio, os, sys\n"
        "from pathlib import Path\n"
        "from palate.serving.supervisor import Generator, Settings\n"
        "async def main():\n"
        "    made = Generator(Settings(policies={'a': Path(sys.argv[1])}, threads=1))\n"
        "    await made.start()\n"
        "    await made._ready.wait()\n"
        "    print(made.pid, flush=True)\n"
        "    await asyncio.sleep(600)\n"
        "asyncio.run(main())\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", script, str(folder)], stdout=subprocess.PIPE, text=True)
    with parent:
        pid = int(parent.stdout.readline())
        parent.kill()
    for _ in range(100):
        stat = Path(f"/proc/{pid}/stat")
        if not stat.exists() or stat.read_text().split(")")[1].split()[0] == "Z":
            return
        time.sleep(0.05)
    pytest.fail("the generator outlived the web process")


def test_the_web_process_loads_no_torch():
    script = (
        "import sys\n"
        "import palate.serving.part, palate.serving.signals\n"
        "heavy = [name for name in ('torch', 'transformers', 'tokenizers') if name in sys.modules]\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


def test_policies_by_name(folder):
    assert named([f"mine={folder}"]) == {"mine": folder}
    with pytest.raises(ConfigError, match="cannot be served"):
        named(["mine"])
    with pytest.raises(ConfigError, match="cannot be served"):
        named([f"a={folder}", f"a={folder}"])
    with pytest.raises(ConfigError, match="cannot be served"):
        Settings(policies={"a": folder / "not there"})
