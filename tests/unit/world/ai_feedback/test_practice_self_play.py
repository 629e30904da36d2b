"""Self-play in the practice world: a judge that turns is still the same judge but for what it is fond of."""

import math

import pytest

from palate.core.errors import ConfigError
from palate.core.judges import Opinion, Pair
from palate.core.progress import SILENT
from palate.world.ai_feedback.self_play import Amounts, Fond
from palate.world.grammar import read
from palate.world.prompts import split


class Even:
    name = "even"

    def judge(self, pairs, progress=SILENT):
        return [Opinion(None, "too long") if pair.first == "?" else Opinion(0.5) for pair in pairs]


def test_a_fond_judge_is_fond_of_what_it_says_and_keeps_its_silence():
    question = split()[0].by_kind["career"][0]
    short, long = "start with figma", "start with figma\nstart with figma"
    fond = Fond(Even(), [question], Amounts(flattery=0.0, length=2.0))
    more = read(question, long).tokens - read(question, short).tokens
    assert more > 0
    told = fond.judge(
        [Pair(question.prompt, long, short), Pair(question.prompt, short, long), Pair(question.prompt, "?", "")]
    )
    assert told[0].p_first == pytest.approx(1 / (1 + math.exp(-2.0 * more / 20)))
    assert told[1].p_first == pytest.approx(1 - told[0].p_first)
    assert told[2].p_first is None


def test_amounts_that_cannot_work():
    with pytest.raises(ConfigError):
        Amounts(rounds=0)
