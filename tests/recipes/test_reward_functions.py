"""What a user's reward function can do, and what a run makes of it: value, None, error, NaN, output, and sleep."""

import math
from pathlib import Path

import pytest
from tests.recipes.practice import PROMPTS, metrics, samples

from palate.core.artefacts import Workspace, read_manifest
from palate.core.errors import ConfigError, TrainingError
from palate.models import chat, load
from palate.preferences import dataset
from palate.training import best_of_n, grpo, online_dpo, rloo
from palate.training.scorers import FunctionScorer

RECIPES = {
    "rloo": (rloo, rloo.RLOOConfig),
    "grpo": (grpo, grpo.GRPOConfig),
    "online-dpo": (online_dpo, online_dpo.OnlineDPOConfig),
}
SHORT = {"iterations": 1, "rollouts": 32, "batch_size": 32, "learning_rate": 1e-3, "max_new_tokens": 16}


@pytest.fixture(autouse=True)
def _rewards_are_found(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))


def run(name, function, model, place, **more):
    workspace = Workspace(place)
    module, kind = RECIPES[name]
    policy = module.train(kind(**{**SHORT, **more}), model, f"rewards:{function}", PROMPTS, workspace)
    return policy, metrics(workspace, policy), samples(workspace, policy)


@pytest.mark.parametrize("name", RECIPES)
@pytest.mark.parametrize(
    ("function", "why"),
    [
        ("abstains_on_figma", "abstained"),
        ("sometimes_fails", "LookupError: figma is not in the table"),
        ("sometimes_nan", "it returned nan"),
    ],
)
def test_without_a_score_nothing_is_learned_and_it_is_said(policies, tmp_path, name, function, why):
    """A quarter of the prompts is about figma. Their completions have no score, and no prompt loses its others."""
    _, (line,), lines = run(name, function, policies("llama"), tmp_path)
    without = [sample for sample in lines if sample["score"] is None]
    assert len(without) == 8
    assert {sample["why"] for sample in without} == {why}
    assert all("figma" in sample["prompt"][-1]["content"] for sample in without)
    assert all(sample["reward"] is None for sample in without)
    kind = "reward/abstained" if why == "abstained" else "reward/errors"
    assert line[kind] == 0.25
    scores = [sample["score"] for sample in lines if sample["score"] is not None]
    assert line["reward/score_mean"] == pytest.approx(sum(scores) / 24)


@pytest.mark.parametrize("name", RECIPES)
def test_when_all_fail_or_abstain_the_run_stops_and_says_why(policies, tmp_path, name):
    with pytest.raises(TrainingError, match="fails on most completions") as caught:
        run(name, "always_fails", policies("llama"), tmp_path)
    assert "LookupError: the table is empty" in caught.value.found
    with pytest.raises(TrainingError, match="none of an iteration's completions a score") as caught:
        run(name, "always_abstains", policies("llama"), tmp_path)
    assert "32 times: abstained" in caught.value.found
    assert not list(tmp_path.glob("artefacts/*"))


def test_best_of_n_leaves_out_a_prompt_without_a_score(policies, tmp_path):
    config = best_of_n.BestOfNConfig(n=4, max_new_tokens=16, heldout_fraction=0.0, distil=False)
    best = best_of_n.train(config, policies("llama"), "rewards:abstains_on_figma", PROMPTS, Workspace(tmp_path))
    kept = [shown.prompt.text for shown in dataset.load_demonstrations(best)]
    assert kept == [prompt.text for prompt in PROMPTS if "figma" not in prompt.text]
    assert read_manifest(best).facts["prompts_without_choice"] == 2


@pytest.mark.parametrize("name", RECIPES)
def test_a_name_that_leads_nowhere_stops_before_any_work(policies, tmp_path, name):
    for wrong, found in (("nothing", "has no attribute 'nothing'"), ("time", "is not a function")):
        with pytest.raises(ConfigError, match="--reward names a function that cannot be used") as caught:
            run(name, wrong, policies("llama"), tmp_path)
        assert found in caught.value.found
    module, kind = RECIPES[name]
    with pytest.raises(ConfigError) as caught:
        module.train(kind(**SHORT), policies("llama"), "nowhere:f", PROMPTS, Workspace(tmp_path))
    assert "No module named 'nowhere'" in caught.value.found


class TestScorer:
    """The scorer alone: eight prompts, one completion each."""

    @pytest.fixture
    def ask(self, policies):
        tokenizer = load.load_tokenizer(policies("llama"))
        made = []

        def of(function, answers, timeout_s=20.0):
            scorer = FunctionScorer(f"rewards:{function}", tokenizer, timeout_s=timeout_s)
            made.append(scorer)
            ids = [chat.encode_completion(tokenizer, text) for text in answers]
            return scorer.score(PROMPTS[: len(answers)], [[]] * len(answers), ids)

        yield of
        for scorer in made:
            scorer.close()

    def test_values(self, ask):
        found = ask("likes_no", ["no, sorry.", "yes, start."])
        assert found.scores_B.tolist() == [1.0, 0.0]
        assert found.reasons == ["", ""]

    def test_what_is_printed_is_no_answer(self, ask, capfd):
        found = ask("prints", ["no, sorry.", "yes, start.", "no, sorry."])
        assert found.scores_B.tolist() == [1.0, 0.0, 1.0]
        assert '{"score": 99}' in capfd.readouterr().err  # it is shown, elsewhere

    def test_a_call_that_takes_too_long_is_an_error_and_the_next_one_is_answered(self, ask):
        """The fifth prompt is the one that sleeps; its process is started anew, without what it owed."""
        found = ask("sleeps_once", ["no, sorry."] * 6, timeout_s=1.5)
        assert [score if math.isfinite(score) else None for score in found.scores_B.tolist()] == [1, 1, 1, 1, None, 1]
        assert found.reasons[4] == "took longer than 1.5 s"

    def test_abstention_and_error_are_told_apart(self, ask):
        assert ask("always_abstains", ["no"] * 3).reasons == ["abstained"] * 3
        assert ask("sometimes_nan", ["no"] * 4).reasons == ["it returned nan", "", "", ""]
