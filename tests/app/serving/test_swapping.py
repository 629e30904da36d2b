"""One policy takes over from another while answers are written: real generators; no answer is cut or mixed."""

import asyncio
import os
import shutil
from contextlib import aclosing

import anyio
import pytest
from scripts.rounds.swap import speaker

from palate.core.artefacts import identify
from palate.core.errors import ConfigError
from palate.serving.following import Source, follow
from palate.serving.orders import Ended, Order, Piece, Started
from palate.serving.supervisor import GeneratorError, Settings
from palate.serving.swapping import Swapping, Wanted, fixed

WORDS = ("tea", "rain")
LONG = 400


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    place = tmp_path_factory.mktemp("speakers")
    made = {word: speaker(place / word, word) for word in WORDS}
    made["broken"] = shutil.copytree(made["tea"], place / "broken")
    (made["broken"] / "model.safetensors").write_bytes(b"not weights")
    return made


@pytest.fixture(scope="module")
def kept(folders):
    """A loop and what serves in it, which begins with `tea`: to load torch takes seconds."""
    with asyncio.Runner() as runner:
        first = wanted(folders, "tea")
        swapping = Swapping(Settings(policies=first.policies, threads=1, nice=0), first)
        runner.run(swapping.start())
        yield lambda body: runner.run(body(swapping))
        runner.run(swapping.close())


def wanted(folders, word, **more):
    return Wanted(policies={word: folders[word]}, names={"stable": word}, releases={"stable": f"r-{word}"}, **more)


def order(id, length=8, name="stable"):
    return Order(id=id, policy=name, messages=(("user", "what do you think?"),), max_tokens=length, temperature=0)


async def said(swapping, asked, begun=None):
    """The words of an answer, and the policy that says to have written it."""
    text, policy, reasons = "", "", []
    async with aclosing(swapping.answer(asked)) as events:
        async for event in events:
            if isinstance(event, Started):
                policy = event.policy
            elif isinstance(event, Piece):
                text += event.text
                if begun is not None:
                    begun.set()
            elif isinstance(event, Ended):
                reasons.append(event.reason)
    assert reasons == ["length"]
    return text.replace(" ", ""), policy


async def settled(swapping):
    """Until no policy from before is left."""
    with anyio.fail_after(60):
        while swapping._ending:
            await asyncio.sleep(0.02)


@pytest.mark.slow
def test_an_answer_ends_where_it_began_and_the_next_one_is_by_the_new_policy(kept, folders):
    ids = {word: identify(folders[word]) for word in WORDS}

    async def body(swapping):
        held = asyncio.Event()
        # Read slowly, so that they outlive the change for certain.
        slow = swapping.answer(order("slow", LONG))
        first = [await anext(slow), await anext(slow)]
        streams = [asyncio.create_task(said(swapping, order(f"o{n}", LONG), held)) for n in range(3)]
        await held.wait()
        before = swapping.now.generator
        # A Ctrl-C at the terminal does not reach it, so that answers end as they should.
        assert os.getpgid(before.pid) != os.getpgid(0)
        await swapping.swap(wanted(folders, "rain"))
        assert before in swapping._ending
        assert swapping.state.releases == {"stable": "r-rain"}
        assert await said(swapping, order("new")) == ("rain" * 8, ids["rain"])
        # Going back while what was before still writes loads nothing: it is there.
        starts = before.starts
        await swapping.swap(wanted(folders, "tea"))
        assert swapping.now.generator is before
        assert before.starts == starts == 1
        assert await said(swapping, order("back")) == ("tea" * 8, ids["tea"])
        async with aclosing(slow):
            rest = first + [event async for event in slow]
        told = "".join(one.text for one in rest if isinstance(one, Piece))
        assert told.replace(" ", "") == "tea" * LONG
        assert await asyncio.gather(*streams) == [("tea" * LONG, ids["tea"])] * 3
        await settled(swapping)
        assert swapping.under_way == 0

    kept(body)


@pytest.mark.slow
def test_what_cannot_be_loaded_changes_nothing_and_says_why(kept, folders):
    async def body(swapping):
        stays = swapping.now.generator
        begun = asyncio.Event()
        stream = asyncio.create_task(said(swapping, order("long", LONG), begun))
        await begun.wait()
        task = asyncio.create_task(swapping.swap(wanted(folders, "broken")))
        await asyncio.sleep(0.1)
        assert swapping.state.loading == {"stable": "r-broken"}
        with pytest.raises(GeneratorError):
            await task
        assert swapping.now.generator is stays
        state = swapping.state
        assert state.problem
        assert (state.loading, state.releases) == ({}, {"stable": "r-tea"})
        assert (await stream)[0] == "tea" * LONG
        assert (await said(swapping, order("after")))[0] == "tea" * 8
        assert swapping.problem, "it stays until a change is made"

    kept(body)


@pytest.mark.slow
def test_names_that_move_are_followed_and_one_that_moves_again_ends_the_loading(kept, folders, caplog):
    """The journal is played by a variable: what moves, when, and what it stands for."""
    moved, target = 0, wanted(folders, "tea")

    def looked_up():
        if isinstance(target, Exception):
            raise target
        return target

    async def until(there):
        with anyio.fail_after(60):
            while not there():
                await asyncio.sleep(0.01)

    async def body(swapping):
        nonlocal moved, target
        await said(swapping, order("loaded"))
        trouble = True

        def read():
            if trouble:
                raise OSError("the database is away")
            return moved

        source = Source(read, looked_up)
        following = asyncio.create_task(follow(swapping, source, seen=0, look_s=0.02))
        await until(lambda: "database is away" in caplog.text)
        await asyncio.sleep(0.1)
        assert caplog.text.count("OSError: the database is away") == 1, "said once, and looked up again"
        trouble = False
        target, moved = ConfigError("no release has a name that is served"), 1
        await until(lambda: "no release has a name" in swapping.problem)
        before = swapping.now
        target, moved = wanted(folders, "rain"), 2
        await until(lambda: swapping.state.loading)
        # Two names for what is loaded: nothing has to be.
        target, moved = Wanted(policies={"tea": folders["tea"]}, names={"stable": "tea", "canary": "tea"}), 3
        await until(lambda: swapping.now is not before)
        assert not swapping.state.loading
        assert swapping.now.generator is before.generator
        assert swapping.problem == ""
        assert list(swapping.settings.policies) == ["stable", "canary"]
        both = await asyncio.gather(*(said(swapping, order(name, name=name)) for name in ("stable", "canary")))
        assert both[0] == both[1]
        # An order for a name that is gone by the time it begins is refused, and not answered by another policy.
        target, moved = Wanted(policies={"tea": folders["tea"]}, names={"stable": "tea"}), 4
        await until(lambda: len(swapping.settings.policies) == 1)
        with pytest.raises(GeneratorError) as gone:
            await said(swapping, order("late", name="canary"))
        assert gone.value.status == 404
        following.cancel()
        with pytest.raises(asyncio.CancelledError):
            await following

    kept(body)


def test_policies_that_nobody_moves_are_what_they_were(folders):
    made = fixed(Settings(policies={"a": folders["tea"], "b": folders["rain"]}))
    assert (made.names, dict(made.policies)) == ({"a": "a", "b": "b"}, {"a": folders["tea"], "b": folders["rain"]})
    swapping = Swapping(Settings(policies=made.policies), made)
    assert swapping.state.served == {"a": "", "b": ""}
    assert not swapping.is_ready
