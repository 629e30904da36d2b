"""Loss, gradient norm and weights of the first three steps, however rows are parted, padded or packed.

1e-5 in float32 and 1e-10 in float64 are a hundred and a hundred thousand rounding steps: enough for sums in another
order, too little for a mean of means or a token too many. The double-precision runs are of a GPT-2, because the norm
of a Llama computes in float32 whatever it is given.
"""

import pytest
import torch

from palate.models import load, sampling
from palate.models.sampling import row_seeds
from palate.training import sft
from palate.world.trials import batching
from palate.world.trials import setting as small
from palate.world.trials.batching import SOME, WAYS, Way

SHORT = (
    "sft",
    "reward",
    "reward length",
    "dpo sigmoid",
    "kto lora",
    "ppo lora",
    "rloo",
    "grpo lora",
    "online_dpo lora",
)
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module", params=["float32", "float64"])
def made(request, tmp_path_factory):
    """Trials, the precision they run in, and what it allows."""
    family = "llama" if request.param == "float32" else "gpt2"
    trials = small.trials(small.make(tmp_path_factory.mktemp(family), family=family))
    return {trial.name: trial for trial in batching.batched(trials)}, request.param


def check(made, name, root, ways):
    trials, precision = made
    if precision == "float64":
        with batching.in_float64():
            found = batching.deviations(trials[name], root, ways)
        assert all(max(deviation) <= 1e-10 for deviation in found.values()), found
    else:
        found = batching.deviations(trials[name], root, ways)
        assert all(max(deviation) <= 1e-5 for deviation in found.values()), found
    assert len(found) == len(ways) - 1


@pytest.mark.parametrize("name", SHORT)
def test_a_step_is_the_same_however_it_is_batched(made, name, tmp_path):
    check(made, name, tmp_path, SOME)


@pytest.mark.slow
@pytest.mark.parametrize("number", range(len(batching.batched(small.trials(small.NOWHERE)))))
def test_every_recipe_in_every_way(made, number, tmp_path):
    check(made, list(made[0])[number], tmp_path, WAYS)


def test_every_recipe_that_is_batched_is_there():
    trials = small.trials(small.NOWHERE)
    assert {t.recipe for t in batching.batched(trials)} == {t.recipe for t in trials} - {"pretrain"}


def test_a_mean_of_means_is_noticed(made, tmp_path, monkeypatch):
    trials, _ = made
    real = sft.masked_sum

    def averaged(x, mask, dim=None):
        return real(x, mask, dim=dim) / mask.sum() * 8

    monkeypatch.setattr(sft, "masked_sum", averaged)
    found = batching.deviations(trials["sft"], tmp_path, SOME)
    assert max(found[Way(1, "left")]) > 1e-2


class TestSampling:
    @pytest.fixture
    def model(self, made):
        return load.load_causal(made[0]["sft"].inputs[0]).model

    def test_a_row_does_not_hang_on_the_rows_beside_it(self, model):
        torch.manual_seed(0)
        prompts = [torch.randint(6, 100, (length,)).tolist() for length in (3, 5, 9, 20, 21, 4, 7, 12, 3, 15)]
        settings = {"eos_id": 1, "max_new_tokens": 12}
        together = sampling.sample(model, prompts, seed=5, **settings)
        for rows in (1, 3):
            parted = sampling.sample(model, prompts, seed=5, rows=rows, **settings)
            assert [row.tokens for row in parted] == [row.tokens for row in together]
        for index in (8, 2, 4):
            (alone,) = sampling.sample(model, [prompts[index]], seeds=row_seeds(5, [index]), **settings)
            assert alone.tokens == together[index].tokens
            assert alone.logprobs == pytest.approx(together[index].logprobs, abs=1e-5)
