"""Servers that die, and runs that go on: with what is left, or later; and rows on their way when a run stops."""

import subprocess
import sys
from contextlib import nullcontext

import pytest
import torch
from tests.servers.fake_vllm import FakeVLLM
from tests.servers.runs import Notes, furthest, lines, train, weights

from palate.core.errors import TrainingError
from palate.training import server_sampler
from palate.training.run import Run

AHEAD = {"iterations": 4, "stale_steps": 1}


class _Stop(Exception):
    """As a kill would, between two steps."""


def stop_after(monkeypatch, count):
    """Let a run end right after its so-manieth checkpoint."""
    real, left = Run._write_checkpoint, [count]

    def write(self, *args):
        real(self, *args)
        left[0] -= 1
        if not left[0]:
            raise _Stop

    monkeypatch.setattr(Run, "_write_checkpoint", write)


def same(one, other):
    a, b = weights(one), weights(other)
    return all(torch.equal(a[name], b[name]) for name in a)


class TestAServerThatDies:
    # An iteration is 2 probes, one a prompt, and 8 rows.
    def test_costs_the_rows_that_it_had_not_answered(self, setting, tmp_path, monkeypatch):
        notes = Notes()
        monkeypatch.setattr(server_sampler.ServerSampler, "_refuse_too_few", _revive(tmp_path, setting, notes))
        with FakeVLLM(setting.base) as fake:
            fake.faults.die_at = 10 + 2 + 5  # in the second iteration, after 5 of 8 rows
            train(setting, tmp_path, fake, notes=notes)
        missing = [line["sampler/missing_rows"] for line in lines(tmp_path)]
        assert missing == [0, 3, 0]
        assert len(lines(tmp_path, "samples.jsonl")) == 21
        assert any("goes on without 3 of its 8 rows" in sentence for sentence in notes.told)
        assert any("is back" in sentence for sentence in notes.told)

    def test_alone_stops_the_run_with_a_sentence_and_it_resumes(self, setting, tmp_path, serve):
        calm = train(setting, tmp_path / "calm", serve())
        with FakeVLLM(setting.base) as fake:
            port, fake.faults.die_at = fake.port, 10 + 2 + 2
            with pytest.raises(TrainingError, match="too few rows of iteration 2 came back") as error:
                train(setting, tmp_path / "run", fake, every_s=0)
        assert error.value.found.startswith("2; ")
        assert "times: a server" in error.value.found
        assert "newest checkpoint" in error.value.hint
        with FakeVLLM(setting.base, port=port) as fake:  # as it would be started again: with the weights it began with
            made = train(setting, tmp_path / "run", fake, every_s=0)
        assert same(made, calm)
        assert lines(tmp_path / "run", "samples.jsonl") == lines(tmp_path / "calm", "samples.jsonl")

    @pytest.mark.slow
    def test_beside_another_costs_nothing(self, setting, tmp_path, serve):
        calm = train(setting, tmp_path / "calm", serve())
        made = train(setting, tmp_path / "run", serve(die_at=8), serve())
        assert same(made, calm)
        assert [line["sampler/missing_rows"] for line in lines(tmp_path / "run")] == [0, 0, 0]

    def test_really_by_kill_minus_nine(self, setting, tmp_path, serve):
        words = [sys.executable, "-m", "tests.servers.fake_vllm", str(setting.base), '{"slow_s": 0.05}']
        with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
            calm = train(setting, tmp_path / "calm", serve())  # while the process starts
            url = process.stdout.readline().strip()
            notes = Notes()
            other = serve()
            real, seen = other.complete, []

            def complete(body):
                seen.append(body)
                if len(seen) == 2 + 4 + 2 + 2:  # in the second iteration
                    process.kill()
                return real(body)

            other.complete = complete
            made = train(setting, tmp_path / "run", server=(url, other.url), notes=notes)
        assert any(url in sentence and "left out" in sentence for sentence in notes.told)
        assert furthest(made, calm) < 1e-4  # another process rounds its log-probs otherwise


def _revive(root, setting, notes):
    """The server is started again on its port before the next iteration needs it."""
    real = server_sampler.ServerSampler._refuse_too_few

    def refuse(self, found, iteration):
        real(self, found, iteration)
        if found.missing:
            (server,) = self.fleet.servers
            self.revived = FakeVLLM(setting.base, port=int(server.url.rsplit(":", 1)[1]))

    return refuse


@pytest.fixture(scope="module")
def ahead(setting, tmp_path_factory):
    """A run in peace that samples ahead, and its samples."""
    root = tmp_path_factory.mktemp("ahead")
    with FakeVLLM(setting.base) as fake:
        return train(setting, root, fake, **AHEAD), lines(root, "samples.jsonl")


class TestSamplingAhead:
    def test_rows_are_one_version_old_and_weighed(self, setting, serve, tmp_path):
        train(setting, tmp_path, serve(), **AHEAD)
        told = lines(tmp_path)
        assert [line["sampler/stale_versions"] for line in told] == [0, 1, 1, 1]
        samples = lines(tmp_path, "samples.jsonl")
        assert [line["policy_version"] for line in samples] == [v for v in (0, 0, 1, 2) for _ in range(8)]
        assert told[0]["sampler/importance_effective"] == pytest.approx(1, abs=1e-5)
        assert all(line["sampler/importance_largest_nats"] > 0.01 for line in told[1:])
        assert all(line["importance"] <= 2 for line in samples)
        assert any(abs(line["importance"] - 1) > 0.01 for line in samples)

    @pytest.mark.parametrize("steps", [2, 3])
    def test_never_older_than_asked(self, setting, serve, tmp_path, steps):
        train(setting, tmp_path, serve(), iterations=5, stale_steps=steps)
        stale = [line["sampler/stale_versions"] for line in lines(tmp_path)]
        assert stale == [min(i, steps) for i in range(5)]

    def test_the_next_iteration_is_sampled_while_one_trains(self, setting, serve, tmp_path, monkeypatch):
        fake, seen = serve(slow_s=0.05), []
        real = server_sampler.ServerSampler.answer

        def answer(self, *args, iteration, **more):
            found = real(self, *args, iteration=iteration, **more)
            seen.append(sorted(self._flights))
            return found

        monkeypatch.setattr(server_sampler.ServerSampler, "answer", answer)
        train(setting, tmp_path, fake, **AHEAD)
        assert seen == [[1], [2], [3], []]

    @pytest.mark.parametrize("stop", [1, 2, 4, 5])  # two steps an iteration: on its way are 1, 1, 2 and 3
    def test_what_was_on_its_way_is_sampled_again_as_it_was(self, setting, serve, ahead, tmp_path, monkeypatch, stop):
        with monkeypatch.context() as patch:
            stop_after(patch, stop)
            with pytest.raises(_Stop):
                train(setting, tmp_path / "run", serve(), every_s=0, **AHEAD)
        made = train(setting, tmp_path / "run", serve(), every_s=0, **AHEAD)
        assert furthest(made, ahead[0]) == 0
        assert lines(tmp_path / "run", "samples.jsonl") == ahead[1]

    def test_with_the_weights_of_now_it_would_not_be_the_same(self, setting, serve, ahead, tmp_path, monkeypatch):
        with monkeypatch.context() as patch:
            stop_after(patch, 3)  # within an iteration: the policy has moved on since rows left
            with pytest.raises(_Stop):
                train(setting, tmp_path / "run", serve(), every_s=0, **AHEAD)
        monkeypatch.setattr(server_sampler, "_wearing", lambda *_: nullcontext())
        made = train(setting, tmp_path / "run", serve(), every_s=0, **AHEAD)
        assert furthest(made, ahead[0]) > 0
