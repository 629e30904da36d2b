"""What each figure averages comes from its module's docstring; a name that no table explains is an error."""

import pytest
from scripts.cells import about, abouts, table
from scripts.core_figures import CELLS


@pytest.mark.parametrize("cell", CELLS)
def test_each_cell_says_what_its_names_average(cell):
    told = abouts(CELLS[cell])
    assert told
    assert all(len(what) > 8 for what in told.values())


def test_placeholders_and_rows_that_go_on():
    assert about("frontier/ppo/share@kl4", abouts(CELLS["frontier"])).startswith("E[proxy]")
    assert about("reward_model/ece", abouts(CELLS["reward-models"])).endswith("The interval is over questions")
    assert about("sampled/ppo/share_of_gain/worst", abouts(CELLS["exact"])).startswith("the worst")


def test_an_unexplained_name_is_refused():
    with pytest.raises(LookupError, match="exact/ppo/other"):
        about("exact/ppo/other", abouts(CELLS["exact"]))


def test_a_table_quotes_every_row():
    row = {"name": "a/b", "value": 0.99951234, "low": None, "high": 1.0, "n": 7, "about": "what it is"}
    assert table([row]).splitlines()[-1] == "| `a/b` | 0.9995 |  | 1 | 7 | what it is |"
