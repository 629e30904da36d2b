"""Runs on servers: the same as here where they sample the same, and what they do when servers misbehave."""

import pytest
from tests.servers.fake_vllm import FakeVLLM
from tests.servers.runs import Notes, furthest, lines, train

from palate.core.errors import ConfigError, TrainingError

# A run here keeps the sampler's log-probs, one on servers asks the trainer again: they round apart by 1e-6 a token.
ROUNDING = 1e-4


@pytest.mark.parametrize("recipe", ["grpo", "rloo", "ppo", "online-dpo"])
def test_a_run_on_servers_is_the_run_here(setting, serve, tmp_path, recipe):
    here = train(setting, tmp_path / "here", recipe=recipe)
    fakes = serve(), serve()
    there = train(setting, tmp_path / "there", *fakes, recipe=recipe)
    assert there.name == here.name  # a server is like a device
    samples = [[line["completion"] for line in lines(tmp_path / w, "samples.jsonl")] for w in ("here", "there")]
    assert samples[0] == samples[1]
    assert furthest(here, there) < ROUNDING
    assert furthest(here, setting.base) > 100 * ROUNDING
    told = lines(tmp_path / "there")
    for line, other in zip(told, lines(tmp_path / "here"), strict=True):
        for name in other.keys() - {"sampler/trainer_max_nats"}:
            assert line[name] == pytest.approx(other[name], abs=2e-3, rel=2e-3), name
        assert line["sampler/importance_effective"] == pytest.approx(1, abs=1e-4)
        assert line["sampler/gap_max_nats"] < 1e-4
        assert line["sampler/missing_rows"] == 0
        assert line["sampler/stale_versions"] == 0
    assert all(fake.answered > 12 for fake in fakes)
    assert not list(tmp_path.glob("there/runs/*/weights/*"))  # cleared up


def test_hats_are_merged_on_their_way(setting, serve, tmp_path):
    train(setting, tmp_path, serve(), tuning="lora", lora_rank=4, learning_rate=2e-2)
    last = lines(tmp_path)[-1]
    assert last["kl/policy_reference_nats"] > 0.05  # the adapter does something by then
    assert last["sampler/gap_max_nats"] < 1e-4


class TestWeights:
    def test_travel_by_the_native_transfer_where_it_is_offered(self, setting, serve, tmp_path):
        fake = serve(backend="disk")
        train(setting, tmp_path, fake)
        control = [path for path, _ in fake.log if path not in ("/v1/completions", "/v1/models")]
        once = ["/pause", "/start_weight_update", "/update_weights", "/finish_weight_update", "/reset_prefix_cache",
                "/resume", "/weight_info"]  # fmt: skip
        assert control == ["/init_weight_transfer_engine", *once * 3]
        assert len({body["cache_salt"] for body in fake.calls("/v1/completions")}) == 3  # no prefix of older weights
        assert [body["weight_version"] for body in fake.calls("/finish_weight_update")] == ["0", "1", "2"]

    def test_else_the_server_reads_a_folder_again(self, setting, serve, tmp_path):
        fake = serve()
        train(setting, tmp_path, fake, server_folder=str(tmp_path / "shared"))
        paths = [body["kwargs"]["weights_path"] for body in fake.calls("/collective_rpc")]
        assert len(set(paths)) == 3  # a server may remember what it read from a path
        assert all(path.startswith(str(tmp_path / "shared")) for path in paths)

    def test_the_native_transfer_can_be_insisted_on(self, setting, serve, tmp_path):
        with pytest.raises(ConfigError, match="--server-weights disk"):
            train(setting, tmp_path, serve(), server_weights="disk")

    def test_a_server_that_does_not_take_them_is_left_out(self, setting, serve, tmp_path):
        notes, fakes = Notes(), (serve(refuse_weights=True), serve())
        train(setting, tmp_path, *fakes, notes=notes)
        assert any("did not take the weights" in sentence for sentence in notes.told)
        assert fakes[0].answered == 0

    def test_without_developer_routes_nobody_is_left_and_it_says_why(self, setting, serve, tmp_path):
        with pytest.raises(TrainingError, match="no server is left") as error:
            train(setting, tmp_path, serve(developer=False))
        assert "404" in str(error.value)


class TestProbe:
    @pytest.mark.parametrize(
        ("faults", "cause"),
        [
            ({"raw_logprobs": True}, "--logprobs-mode processed_logprobs"),
            ({"temperature": 1.5}, "temperature 1.5, not at 1.3"),
            ({"top_k": 2}, "cuts the tail"),
            ({"wrong_logprobs": 0.5}, "not what it samples"),
        ],
    )
    def test_refuses_and_names_the_cause(self, setting, serve, tmp_path, faults, cause):
        with pytest.raises(TrainingError, match="does not agree with the trainer") as error:
            train(setting, tmp_path, serve(**faults), max_new_tokens=24, temperature=1.3)
        assert cause in error.value.hint
        assert not list(tmp_path.glob("artefacts/*"))

    def test_another_precision_is_named(self, setting, serve, tmp_path):
        with pytest.raises(TrainingError) as error:
            train(setting, tmp_path, serve(noise=0.005))
        assert "precision" in error.value.hint

    def test_weights_that_stayed_behind_are_recognised(self, setting, serve, tmp_path):
        fake = serve(stale=True)  # at first it has the right ones: those it began with
        with pytest.raises(TrainingError) as error:
            train(setting, tmp_path, fake, server_tolerance_nats=50.0)  # even where the tolerance would let it pass
        assert "from before the update" in error.value.hint
        assert "version 1" in error.value.where

    def test_a_label_that_stayed_behind_is_recognised(self, setting, serve, tmp_path):
        with pytest.raises(TrainingError, match="no server is left") as error:
            train(setting, tmp_path, serve(backend="disk", stale=True))
        assert "other weights than it was sent" in error.value.found

    def test_works_without_log_probs_of_prompts(self, setting, serve, tmp_path):
        train(setting, tmp_path, serve(leaves_out=("prompt_logprobs",)))
        assert lines(tmp_path)[-1]["sampler/probe_max_nats"] < 1e-4


class TestOfWhatIsMissing:
    @pytest.mark.parametrize("recipe", ["grpo", "ppo", "online-dpo"])
    def test_a_run_goes_on_with_the_rest(self, setting, serve, tmp_path, recipe):
        notes, fake = Notes(), serve(refuse={2: 3})
        train(setting, tmp_path, fake, notes=notes, recipe=recipe)
        missing = [line["sampler/missing_rows"] for line in lines(tmp_path)]
        assert missing == [0, 3, 0]
        assert len(lines(tmp_path, "samples.jsonl")) == 3 * 8 - 3
        assert any("goes on without 3 of its 8 rows" in sentence for sentence in notes.told)


def test_staleness_without_servers_is_refused(setting, tmp_path):
    with pytest.raises(ConfigError, match="--stale-steps"):
        train(setting, tmp_path, stale_steps=1)


def test_nobody_there_at_all(setting, tmp_path):
    with FakeVLLM(setting.base) as fake:
        url = fake.url
    with pytest.raises(TrainingError, match="no server is left"):
        train(setting, tmp_path, server=(url,))
