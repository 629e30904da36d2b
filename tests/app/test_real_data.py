"""`scripts/real_data.py`: its arithmetic on small cases, and the import of the public files themselves."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from palate.cli.data import preferences_of
from palate.core.records import Preference, Prompt

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "real_data.py"


@pytest.fixture(scope="module")
def real_data():
    spec = importlib.util.spec_from_file_location("real_data", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def preference(question, chosen="yes", rejected="no", comparison="c"):
    prompt = Prompt.of(question)
    return Preference(comparison=comparison, prompt=prompt, chosen=chosen, rejected=rejected, p_chosen=1.0)


def test_longer_wins_by_hand(real_data):
    found = [real_data.Outcome(f"p{i}", 0.0, extra, True) for i, extra in enumerate((7, -2, 0, 1))]
    figure = real_data.longer_wins(found)
    assert (figure.value, figure.n) == (2.5 / 4, 4)
    assert 0 <= figure.low <= figure.value <= figure.high <= 1


def test_right_by_hand(real_data):
    found = [real_data.Outcome(f"p{i}", margin, 0, True) for i, margin in enumerate((0.3, -2.0, 0.0, 1.0, 5.0))]
    assert real_data.right(found).value == 3.5 / 5


def test_a_prompt_on_both_sides_is_found_by_its_text(real_data):
    train, heldout = [preference("why?"), preference("how?")], [preference("when?")]
    assert real_data.prompts_on_both_sides(train, heldout) == []
    (shared,) = real_data.prompts_on_both_sides(train, [*heldout, preference("how?", "so", "thus")])
    assert "how?" in shared


def test_first_turns_that_were_seen_are_told_apart(real_data, tmp_path, monkeypatch):
    monkeypatch.setattr(real_data, "WORK", tmp_path)
    folder = tmp_path / "runs" / "reward-1"
    folder.mkdir(parents=True)
    rows = [{"comparison": "a", "margin": 1.0}, {"comparison": "b", "margin": -1.0}]
    (folder / "heldout.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    heldout = [preference("how?", "yes", "no", "a"), preference("when?", "no", "never", "b")]
    found = real_data.outcomes(Path("reward-1"), [preference("how?")], heldout)
    assert [(o.margin, o.extra_characters, o.first_turn_is_new) for o in found] == [(1.0, 1, False), (-1.0, -3, True)]


def test_first_and_last_iterations(real_data):
    samples = [{"iteration": i} for i in range(20) for _ in range(2)]
    found = real_data.first_and_last(samples, iterations=4)
    assert {s["iteration"] for s in found["first"]} == {0, 1, 2, 3}
    assert {s["iteration"] for s in found["last"]} == {16, 17, 18, 19}


def test_the_page_shows_counts_without_and_shares_with_an_interval(real_data):
    rows = [
        {"name": "real/x/reward_accuracy", "value": 0.5, "low": 0.4, "high": 0.6, "n": 9},
        {"name": "real/x/ppo_steps", "value": 20.0, "low": None, "high": None, "n": 1},
    ]
    page = real_data.quoted("before\n<!-- figures -->\nold\n<!-- end of figures -->\nafter\n", rows)
    assert "old" not in page
    assert "| `real/x/reward_accuracy` | 0.500 | 0.400 to 0.600 | 9 |" in page
    assert "| `real/x/ppo_steps` | 20 |  | 1 |" in page
    assert page.startswith("before\n")
    assert page.endswith("after\n")


@pytest.mark.parametrize(("given", "message"), [("", "PALATE_DATA is not set"), ("nowhere", "PALATE_DATA lacks files")])
def test_without_data_it_says_what_to_set(given, message):
    environment = {**os.environ, "PALATE_DATA": given}
    done = subprocess.run([sys.executable, SCRIPT], capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 1
    assert message in done.stderr
    assert "tiny_corpora" in done.stderr


@pytest.mark.parametrize("name", ["hh_harmless", "rasbt_pref"])
def test_the_first_50_rows_are_imported_and_frozen(real_data, tmp_path, name):
    folder = os.environ.get("PALATE_DATA")
    if not folder:
        pytest.skip("PALATE_DATA is not set: it names the folder with public data")
    source = Path(folder) / real_data.SETS[name]
    text = source.read_text(encoding="utf-8")
    rows = [json.loads(line) for line in text.splitlines()] if source.suffix == ".jsonl" else json.loads(text)
    file = tmp_path / "rows.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows[:50]), encoding="utf-8")
    train, heldout, data_id = preferences_of(file, tmp_path, heldout_fraction=0.25)
    assert data_id.startswith("dataset-")
    # Two of the first 50 rows at most are refused: an empty side, or two sides that are one text.
    assert 48 <= len(train) + len(heldout) <= 50
    # 50 coins of 1/4 give 2 to 25 heads but for a chance of 1e-5, and the hash is fixed.
    assert 2 <= len(heldout) <= 25
    assert real_data.prompts_on_both_sides(train, heldout) == []
