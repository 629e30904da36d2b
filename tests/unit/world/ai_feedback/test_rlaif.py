"""The arms of the practice world, with every stage for real and nothing learned."""

import json
from dataclasses import replace

import pytest

from palate.core.artefacts import read_manifest
from palate.core.errors import ConfigError
from palate.preferences import dataset
from palate.store import judgements, opinions
from palate.store.journal import Journal
from palate.world import settings, stages
from palate.world.ai_feedback import rlaif
from palate.world.ai_feedback.rlaif import Amounts

AMOUNTS = Amounts(people=12, ratio=3, schoolings=(4, 12), epochs=3)


@pytest.mark.parametrize("wrong", [{"people": 0}, {"schoolings": ()}, {"schoolings": (5, 0)}, {"ratio": 2}])
def test_amounts_that_cannot_work_are_refused(wrong):
    with pytest.raises(ConfigError, match="amounts"):
        Amounts(**wrong)


@pytest.mark.slow
def test_judges_label_through_the_journal_and_nobodys_word_is_in_anothers_dataset(tmp_path):
    size, seed = replace(settings.TINY, max_new_tokens=96), 3  # so that some answers end
    stages.quiet(1)
    sft = stages.make_sft(tmp_path, seed, size, stages.make_base(tmp_path, seed, size))
    arms = rlaif.run(tmp_path, seed, sft, size, AMOUNTS)
    assert [arm.name for arm in arms] == ["people", "judge 4", "judge 12"]
    assert all(0 <= arm.accuracy <= 1 and 0 <= arm.win_rate <= 1 for arm in arms)
    people, *judges = arms
    assert people.labels <= AMOUNTS.people
    assert all(arm.labels <= AMOUNTS.people * AMOUNTS.ratio for arm in judges)
    said = []
    for path in sorted(tmp_path.glob("rlaif-asked-*-judge-*.db")):
        with Journal.open(path) as journal:
            (who,) = opinions.judges(journal)
            said.append(opinions.opinions(journal, who))
            assert {one.task for one in judgements.judgements(journal)} == {opinions.TASK}
    assert len(said) == 2
    assert said[0].keys() == said[1].keys()  # the same comparisons
    assert said[0] != said[1]  # judged by two
    made = list((tmp_path / "artefacts").glob("dataset-*"))
    alone = [folder for folder in made if read_manifest(folder).config.get("models") == "alone"]
    assert len(alone) == 2
    assert {sum(row.votes) for folder in alone for row in dataset.load_preferences(folder)} == {1}
    written = {p.name for p in (tmp_path / "artefacts").iterdir()}
    again = rlaif.run(tmp_path, seed, sft, size, AMOUNTS)
    assert json.dumps(again) == json.dumps(arms)
    assert {p.name for p in (tmp_path / "artefacts").iterdir()} == written


def test_a_prompts_answers_make_enough_comparisons():
    assert rlaif._prompts(540, settings.Size()) == 100  # six pairs of four answers, nine of ten of them to be had
    assert rlaif._prompts(1, settings.Size()) == 1
