"""A model folder as a judge, held against plain transformers."""

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from palate.core.constitutions import parse
from palate.core.errors import PalateError
from palate.core.judges import Pair
from palate.core.records import Prompt
from palate.judging.local_judge import VERDICTS, LocalJudge
from palate.judging.template import ByPrinciple, Template
from tiny_models import make

SHORT = Template(name="short-1", instruction="judge.", question="{conversation} {first} {second} A, B or tie?")
PAIRS = [
    Pair(Prompt.of("which is longer?"), "a long answer", "short"),
    Pair(Prompt.of("and now?"), "yes", "no, and this is why"),
]


@pytest.fixture(scope="module", params=["llama", "gpt2"])
def folder(request, tmp_path_factory):
    return make(tmp_path_factory.mktemp("judge") / request.param, request.param, context=768)


def by_hand(folder, pair):
    """P(A) + ½ P(tie) from whole-sequence log-probabilities, one verdict at a time."""
    model, tokenizer = AutoModelForCausalLM.from_pretrained(folder).eval(), AutoTokenizer.from_pretrained(folder)
    messages = SHORT.asked(pair).as_dicts()
    prompt = tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_dict=True)["input_ids"]
    found = []
    for verdict in VERDICTS:
        said = [*messages, {"role": "assistant", "content": verdict}]
        whole = tokenizer.apply_chat_template(said, return_dict=True)["input_ids"]
        end = max(at for at, token in enumerate(whole) if token == tokenizer.eos_token_id) + 1
        with torch.no_grad():
            all_LV = torch.log_softmax(model(torch.tensor([whole[:end]])).logits[0].double(), -1)
        found.append(sum(all_LV[at - 1, whole[at]].item() for at in range(len(prompt), end)))
    shares = torch.softmax(torch.tensor(found, dtype=torch.float64), 0)
    return float(shares[0] + shares[2] / 2)


def test_the_opinion_is_the_share_of_a_and_half_of_the_ties(folder):
    told = LocalJudge(folder, SHORT).judge([*PAIRS, PAIRS[0].swapped])
    assert [one.p_first for one in told] == pytest.approx(
        [by_hand(folder, p) for p in (*PAIRS, PAIRS[0].swapped)], abs=1e-5
    )
    assert all(0 < one.p_first < 1 for one in told)


def test_many_at_once_are_each_alone(folder, monkeypatch):
    together = LocalJudge(folder, SHORT).judge(PAIRS * 3)
    monkeypatch.setattr("palate.judging.local_judge._AT_ONCE", 1)
    alone = LocalJudge(folder, SHORT).judge(PAIRS * 3)
    assert [a.p_first for a in together] == pytest.approx([b.p_first for b in alone], abs=1e-5)


def test_a_pair_too_long_for_it_has_no_opinion_and_the_others_have(folder):
    long = Pair(Prompt.of("which?"), "word " * 4000, "short")
    first, second = LocalJudge(folder, SHORT).judge([long, PAIRS[0]])
    assert first.p_first is None
    assert "context" in first.why
    assert second.p_first is not None


def test_what_is_no_model_is_said_at_once(tmp_path):
    with pytest.raises(PalateError, match="no model folder"):
        LocalJudge(tmp_path / "nothing")


def test_by_principle_both_orders_are_judged_by_the_same_one_and_it_is_told(folder):
    ours = parse("- be kind\n- be brief\n- be right\n", ".md")
    template = ByPrinciple(name="p", instruction="judge.", question=SHORT.question + " {principle}", constitution=ours)
    pairs = [PAIRS[0]._replace(first=f"answer {n}") for n in range(12)]
    judge = LocalJudge(folder, template)
    told, swapped = judge.judge(pairs), judge.judge([pair.swapped for pair in pairs])
    assert [one.principle for one in told] == [one.principle for one in swapped]
    assert {one.principle for one in told} == {p.id for p in ours.principles}
    for pair, one in zip(pairs, told, strict=True):
        (question,) = template.questions(pair)
        assert ours.named(one.principle).text in question.prompt.messages[-1].content
    other = ByPrinciple(name="p", instruction="judge.", question=template.question, constitution=parse("- be x", ".md"))
    assert template.id != other.id
