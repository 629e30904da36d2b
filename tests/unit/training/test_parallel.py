"""What one process can know of several: who gets which rows, and that alone nothing changes."""

from dataclasses import dataclass

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from palate.core.artefacts import Workspace
from palate.core.errors import ConfigError, TrainingError
from palate.core.progress import SILENT
from palate.training import parallel
from palate.training.checkpoint import Numbers
from palate.training.parallel import World, deal, own
from palate.training.parallel_checkpoint import is_parted
from palate.training.run import RunOptions, open_run


@dataclass
class Settings:
    """Of nothing."""


PARTS = st.lists(st.lists(st.integers(0, 99), min_size=1, max_size=9), max_size=9)


def hands(parts, number):
    dealt = deal(parts, number)
    return [dealt[hand::number] for hand in range(number)]


class TestDealing:
    @given(parts=PARTS, number=st.integers(1, 5))
    def test_every_row_is_dealt_once_and_all_go_around_equally_often(self, parts, number):
        found = hands(parts, number)
        assert sorted(row for hand in found for part in hand for row in part) == sorted(row for p in parts for row in p)
        assert len({len(hand) for hand in found}) == 1

    @given(parts=PARTS, number=st.integers(1, 5))
    def test_nobody_is_idle_if_there_are_rows_enough(self, parts, number):
        rounds = zip(*hands(parts, number), strict=True)
        idle = [sum(not part for part in one) for one in rounds]
        rows = sum(map(len, parts))
        assert sum(idle) == 0 or rows < number * len(idle)

    def test_no_part_grows(self):
        assert max(map(len, deal([[1, 2, 3], [4, 5, 6], [7]], 2))) == 3

    def test_by_hand(self):
        assert hands([[1, 2, 3, 4], [5, 6]], 2) == [[[1, 2, 3, 4]], [[5, 6]]]
        assert hands([[1, 2, 3]], 2) == [[[1, 2]], [[3]]]
        assert hands([[1]], 3) == [[[1]], [[]], [[]]]
        assert hands([], 2) == [[], []]

    def test_one_hand_gets_the_parts_as_they_are(self):
        assert list(parallel.share([[3, 1], [2]])) == [[3, 1], [2]]


class TestOwnRows:
    @given(count=st.integers(0, 40), size=st.integers(1, 6), unit=st.integers(1, 4))
    def test_side_by_side_and_each_once(self, count, size, unit):
        before = parallel._here
        try:
            found = []
            for rank in range(size):
                parallel._here = World(rank, size)
                mine = own(count, unit)
                assert not len(mine) or mine.start % unit == 0
                found += mine
        finally:
            parallel._here = before
        assert found == list(range(count))


class TestAlone:
    def test_nothing_is_asked_of_anybody(self):
        facts, rows = {"loss": 0.1}, torch.ones(3)
        assert parallel.sum_facts(facts) == facts
        assert parallel.together(rows) is rows
        assert parallel.gather("x") == ["x"]
        assert parallel.any_of(True, False) == [True, False]
        assert parallel.from_first(lambda: 3) == 3
        parallel.leave(TrainingError("this is not told to anybody"))
        assert parallel.speaks()

    def test_a_weight_that_nothing_touched_has_no_gradient(self):
        weight = torch.nn.Parameter(torch.zeros(2))
        parallel.sum_gradients([weight])
        assert weight.grad is None

    def test_a_cluster_that_names_nodes_and_not_processes_is_no_launch(self, monkeypatch):
        monkeypatch.setenv("WORLD_SIZE", "2")
        monkeypatch.setenv("RANK", "1")
        monkeypatch.delenv("LOCAL_RANK", raising=False)
        assert not parallel.launched()
        assert parallel.begin("ddp", torch.device("cpu")) == World()


class TestOptions:
    def test_another_way_is_refused(self):
        with pytest.raises(ConfigError, match="--parallel has no such choice"):
            RunOptions(parallel="zero3")

    def test_no_process_is_refused(self):
        with pytest.raises(ConfigError, match="--nproc cannot be used"):
            RunOptions(nproc=0)

    def test_several_from_a_script_are_started_by_torchrun(self, tmp_path):
        with pytest.raises(ConfigError, match="--nproc is for the command line") as caught:
            open_run(Workspace(tmp_path), "policy", "train", Settings(), {}, SILENT, RunOptions(nproc=2))
        assert "torchrun --nproc-per-node 2" in caught.value.hint


def test_what_is_said_of_a_connection_that_tore_is_known():
    for said in (
        "[../third_party/gloo/gloo/transport/tcp/pair.cc:534] Connection closed by peer [127.0.0.1]:3451",
        "NCCL communicator was aborted on rank 1.",
        "Socket Timeout",
    ):
        assert parallel._TORN.search(said)
    for said in ("mat1 and mat2 shapes cannot be multiplied (2x3 and 4x5)", "CUDA out of memory"):
        assert not parallel._TORN.search(said)


def test_numbers_are_no_tensors():
    assert not is_parted({"a": [torch.zeros(2), {"b": Numbers(c=1.0)}]})
