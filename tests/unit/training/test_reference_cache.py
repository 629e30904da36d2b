"""What the reference thinks of rows is asked once in a workspace, and of other rows, models or precisions anew."""

import pytest
import torch

from palate.training import dpo, kto
from palate.training.reference_cache import FOLDER
from palate.world.trials import setting as small

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def trials(tmp_path_factory):
    made = small.trials(small.make(tmp_path_factory.mktemp("cache")))
    return {trial.name: trial.told(epochs=1) for trial in made if trial.name in ("dpo sigmoid", "kto")}


@pytest.fixture(params=[("dpo sigmoid", dpo), ("kto", kto)], ids=["dpo", "kto"])
def ask(request, trials, monkeypatch):
    """Runs a trial with other settings; how many rows the reference was asked about before the first step."""
    name, module = request.param
    counted = []
    real, opened = module._summed, module.trained

    def counting(learner, rows, config):
        counted.append(len(rows))
        return real(learner, rows, config)

    monkeypatch.setattr(module, "_summed", counting)
    before = []
    monkeypatch.setattr(module, "trained", lambda model: before.append(sum(counted)) or opened(model))

    def run(root, **settings):
        counted.clear()
        before.clear()
        folder = trials[name].told(**settings).run(root)
        return before[0], folder

    return run


def test_a_second_run_reads_what_the_first_asked(ask, tmp_path):
    first, folder = ask(tmp_path, beta=0.1)
    assert first > 0
    kept = {path.name: path.read_bytes() for path in (tmp_path / FOLDER).iterdir()}
    second, other = ask(tmp_path, beta=0.3)
    assert second == 0
    assert other != folder
    assert {path.name: path.read_bytes() for path in (tmp_path / FOLDER).iterdir()} == kept


def test_what_was_read_changes_no_weight(ask, tmp_path):
    _, asked = ask(tmp_path / "a", beta=0.3)
    ask(tmp_path / "b", beta=0.1)
    nothing, read = ask(tmp_path / "b", beta=0.3)
    assert nothing == 0
    assert (asked / "model.safetensors").read_bytes() == (read / "model.safetensors").read_bytes()


def test_other_precision_and_damaged_files_are_asked_anew(ask, tmp_path):
    first, _ = ask(tmp_path, beta=0.1)
    for path in (tmp_path / FOLDER).iterdir():
        path.write_bytes(b"half a fi")
    assert ask(tmp_path, beta=0.2)[0] == first
    assert ask(tmp_path, beta=0.3)[0] == 0
    assert ask(tmp_path, beta=0.1, dtype="bfloat16")[0] == first


def test_other_rows_are_asked_anew(trials, tmp_path):
    trial = trials["dpo sigmoid"]
    trial.run(tmp_path)
    before = len(list((tmp_path / FOLDER).iterdir()))
    model, rows = trial.inputs
    fewer = trial._replace(inputs=(model, rows[:4]))
    fewer.run(tmp_path)
    assert len(list((tmp_path / FOLDER).iterdir())) == before + 1


def test_a_cache_that_cannot_be_written_costs_nothing_else(trials, tmp_path):
    (tmp_path / "cache").write_text("a file where a folder should be")
    folder = trials["dpo sigmoid"].run(tmp_path)
    assert (folder / "model.safetensors").is_file()
    assert not torch.is_inference_mode_enabled()
