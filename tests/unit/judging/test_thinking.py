"""Judges that think first, and by several principles at once: what is asked, what is read, and what is kept."""

import math

import pytest
import torch

from endpoints import Status, endpoint, said
from palate.core.constitutions import parse
from palate.core.errors import ConfigError
from palate.core.judges import TOGETHER, Pair
from palate.core.records import Message, Prompt
from palate.judging.local_judge import LocalJudge
from palate.judging.model_judge import ModelJudge
from palate.judging.template import PAIRWISE, ByPrinciple, Template, by_principle, pairwise
from palate.judging.thinking import Thinking
from palate.models import chat, load
from palate.models.servers.conversations import Endpoint
from tiny_models import make

PAIR = Pair(Prompt.of("which is longer?"), "a long answer", "short")
OURS = parse("- be kind\n- be brief\n- be right\n", ".md")
THOUGHTS = "answer A says more, answer B is brief."


def judge(url, template):
    return ModelJudge(Endpoint(url=url, model="judge", first_wait_s=0.01, attempts=2), template)


def thinker(verdict):
    """A server that thinks when it is asked to, and then gives a verdict."""

    def answer(body, number):
        if body["messages"][-1]["content"] != Thinking().verdict:
            assert body["max_tokens"] == 256
            assert "logprobs" not in body
            return THOUGHTS
        return verdict(body, number) if callable(verdict) else verdict

    return answer


@pytest.mark.parametrize(
    ("verdict", "p"),
    [
        (said("A", likely={"A": math.log(0.9), "B": math.log(0.1)}), 0.6),
        (said("A", likely={"A": math.log(0.55), "B": math.log(0.45)}), 0.55),
        ("B", 0.4),
        ("tie", 0.5),
    ],
    ids=["sure", "unsure", "no log-probabilities", "tie"],
)
def test_a_server_thinks_first_and_its_probability_is_clamped(verdict, p):
    with endpoint(thinker(verdict)) as (url, told):
        (found,) = judge(url, pairwise(Thinking())).judge([PAIR])
    assert found.p_first == pytest.approx(p)
    assert found.why == THOUGHTS
    assert (found.prompt_tokens, found.completion_tokens) == (14, 6), "both replies cost"
    first, second = (body["messages"] for body in told.bodies)
    assert "think step by step" in first[-1]["content"]
    assert second[:-2] == first
    assert [m["content"] for m in second[-2:]] == [THOUGHTS, Thinking().verdict]


def test_a_server_that_knows_no_log_probabilities_thinks_too():
    def plain(body, _):
        return Status(400, "logprobs is not supported") if "logprobs" in body else "A"

    with endpoint(thinker(plain)) as (url, _):
        assert [one.p_first for one in judge(url, pairwise(Thinking(low=0.2, high=0.8))).judge([PAIR])] == [0.8]


def test_who_cannot_think_is_asked_again_and_who_thinks_of_nothing_has_no_opinion():
    def ill(body, _):
        text = body["messages"][-1]["content"]
        return Status(403, "no") if "q0" in text else "" if "q1" in text else thinker("A")(body, 0)

    pairs = [PAIR._replace(prompt=Prompt.of(f"q{n}")) for n in range(3)]
    with endpoint(ill) as (url, _):
        failed, silent, well = judge(url, pairwise(Thinking())).judge(pairs)
    assert (failed.failed, failed.p_first, failed.why) == (True, None, "the judge could not be asked: 403 no")
    assert (silent.failed, silent.p_first) == (False, None)
    assert "asked to think" in silent.why
    assert well.p_first == 0.6


def test_a_verdict_that_cannot_be_read_says_so_rather_than_what_was_thought():
    with endpoint(thinker("I can not say that.")) as (url, _):
        (found,) = judge(url, pairwise(Thinking())).judge([PAIR])
    assert found.p_first is None
    assert "named neither A nor B" in found.why


def test_a_folder_reads_its_verdicts_behind_what_it_thought_itself(tmp_path):
    """The thoughts are kept, and asked by hand with them it says the same."""
    folder = make(tmp_path / "m", "gpt2", context=512, seed=1)
    short = Template(
        name="s", instruction="judge.", question="{first} {second} think.", thinking=Thinking(max_new_tokens=6)
    )
    open_ = Template(**{**vars_of(short), "thinking": Thinking(low=0.0, high=1.0, max_new_tokens=6)})
    (found,), (free,) = (LocalJudge(folder, one).judge([PAIR]) for one in (short, open_))
    assert found.why == free.why != ""
    model, tokenizer = load.load_causal(folder)
    asked = chat.encode_prompt(tokenizer, short.asked(PAIR))
    greedy = model.generate(
        torch.tensor([asked]), max_new_tokens=6, do_sample=False, pad_token_id=tokenizer.eos_token_id
    )
    assert found.why == chat.decode(tokenizer, greedy[0, len(asked) :].tolist()).strip()

    class ByHand(Template):
        def asked(self, pair, principle=""):
            turns = (Message("assistant", found.why), Message("user", Thinking().verdict))
            return Prompt((*short.asked(pair).messages, *turns))

    (by_hand,) = LocalJudge(folder, ByHand(name="h", instruction="", question="")).judge([PAIR])
    assert free.p_first == pytest.approx(by_hand.p_first, abs=1e-6)
    assert found.p_first == pytest.approx(min(max(by_hand.p_first, 0.4), 0.6), abs=1e-6)


def vars_of(template):
    return {name: getattr(template, name) for name in ("name", "instruction", "question")}


def test_thoughts_need_room_in_the_context(tmp_path):
    folder = make(tmp_path / "m", "gpt2", context=96)
    short = Template(name="s", instruction="judge.", question="think.", thinking=Thinking(max_new_tokens=90))
    (found,) = LocalJudge(folder, short).judge([PAIR])
    assert found.p_first is None
    assert "context" in found.why


def kind_of(body, _):
    """Sure by kindness, unsure by brevity, the other way by rightness."""
    text = body["messages"][-1]["content"]
    p = next(p for word, p in (("be kind", 0.9), ("be brief", 0.6), ("be right", 0.3)) if word in text)
    return said("A", likely={"A": math.log(p), "B": math.log(1 - p)})


def test_by_several_principles_the_opinion_is_their_mean_and_says_what_each_thought():
    with endpoint(kind_of) as (url, _):
        (found,) = judge(url, by_principle(OURS, each=3)).judge([PAIR])
        (one,) = judge(url, by_principle(OURS)).judge([PAIR])
    assert found.p_first == pytest.approx(0.6)
    assert sorted(found.principle.split(TOGETHER)) == ["principle-1", "principle-2", "principle-3"]
    assert sorted(found.why.split("\n")) == ["principle-1: 0.900", "principle-2: 0.600", "principle-3: 0.300"]
    assert (found.prompt_tokens, found.completion_tokens) == (21, 9)
    assert one.principle in found.principle
    assert one.why == ""


def test_both_orders_are_asked_by_the_same_principles_and_pairs_by_different_ones():
    template = by_principle(OURS, each=2)
    pairs = [PAIR._replace(first=f"answer {n}") for n in range(20)]
    drawn = [tuple(q.principle for q in template.questions(pair)) for pair in pairs]
    assert drawn == [tuple(q.principle for q in template.questions(pair.swapped)) for pair in pairs]
    assert len({frozenset(some) for some in drawn}) == 3
    assert all(len(set(some)) == 2 for some in drawn)


def test_one_principle_that_fails_leaves_the_pair_to_be_asked_again():
    def ill(body, _):
        return Status(403, "no") if "be brief" in body["messages"][-1]["content"] else "A"

    def shy(body, _):
        return "who knows?" if "be brief" in body["messages"][-1]["content"] else "A"

    for answer, failed in ((ill, True), (shy, False)):
        with endpoint(answer) as (url, _):
            (found,) = judge(url, by_principle(OURS, each=3)).judge([PAIR])
        assert (found.p_first, found.failed) == (None, failed)


def test_thoughts_by_several_principles_are_each_kept():
    with endpoint(thinker("A")) as (url, told):
        (found,) = judge(url, by_principle(OURS, each=2, thinking=Thinking())).judge([PAIR])
    assert found.p_first == 0.6
    assert [line.split(" ", 1)[1] for line in found.why.split("\n")] == [f"0.600 {THOUGHTS}"] * 2
    assert len(told.bodies) == 4


def test_each_way_to_ask_is_a_judge_of_its_own_and_says_its_clamp():
    ways = [
        PAIRWISE,
        pairwise(Thinking()),
        pairwise(Thinking(low=0.3, high=0.7)),
        pairwise(Thinking(max_new_tokens=9)),
        by_principle(OURS),
        by_principle(OURS, each=2),
        by_principle(OURS, thinking=Thinking()),
        by_principle(OURS, 1),
    ]
    assert len({way.id for way in ways}) == len(ways)
    assert pairwise(Thinking(low=0.3, high=0.7)).name == "pairwise-thinking-1 0.3 to 0.7"
    assert by_principle(OURS, each=2, thinking=Thinking()).name == "principle-thinking-1 0.4 to 0.6, 2 each"


def test_nonsense_is_refused():
    for more in ({"low": 0.6}, {"high": 0.5}, {"low": -0.1}, {"max_new_tokens": 0}):
        with pytest.raises(ConfigError):
            Thinking(**more)
    for each in (0, 4):
        with pytest.raises(ConfigError, match="1 to 3"):
            by_principle(OURS, each=each)
    assert isinstance(by_principle(OURS, each=3), ByPrinciple)
