import pytest
import torch

import tiny_models
from palate.core.errors import ModelError
from palate.models import load, room
from palate.models.room import GIB, Room


def test_memory_of_the_machine_and_of_the_process():
    meminfo = "MemTotal:       2000 kB\nMemFree:         10 kB\nMemAvailable:   1000 kB\n"
    assert room.available_bytes(meminfo) == 1000 * 1024
    status = "VmHWM:\t     700 kB\nVmRSS:\t     500 kB\n"
    assert (room.resident_bytes(status), room.resident_bytes(status, "VmHWM")) == (500 * 1024, 700 * 1024)


def test_idle_pages_of_macos():
    told = (
        "Mach Virtual Memory Statistics: (page size of 16384 bytes)\n"
        "Pages free:                                  10.\nPages active:                               900.\n"
        "Pages inactive:                              20.\nPages speculative:                            3.\n"
        "Pages purgeable:                              4.\n"
    )
    assert room.idle_bytes(told) == 16384 * 37


@pytest.mark.parametrize(
    ("files", "left"),
    [
        ({"memory.max": "1000\n", "memory.current": "700\n", "memory.stat": "anon 1\ninactive_file 50\n"}, 350),
        ({"memory.max": "1000\n", "memory.current": "1200\n"}, 0),
        ({"memory.max": "max\n", "memory.current": "700\n"}, None),
        (
            {"memory.limit_in_bytes": "1000", "memory.usage_in_bytes": "400", "memory.stat": "total_inactive_file 5"},
            605,
        ),
        ({"memory.limit_in_bytes": "9223372036854771712", "memory.usage_in_bytes": "400"}, None),
        ({}, None),
    ],
)
def test_what_a_control_group_leaves(tmp_path, files, left):
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    assert room.left_in_group(tmp_path) == left


def test_there_is_room_here():
    found = room.room_on(torch.device("cpu"))
    assert found is not None
    assert 0 < found.free < 2**50
    assert found.whole == found.free + found.own


def test_weights_that_cannot_fit_are_not_even_read(tmp_path, monkeypatch):
    model = tiny_models.make(tmp_path / "model")
    whole = load.load_causal(model).model
    stored = {weight.data_ptr(): weight.numel() for weight in whole.parameters()}  # tied weights are stored once
    assert room.weight_bytes(model, torch.bfloat16) == 2 * sum(stored.values())
    monkeypatch.setattr(room, "room_on", lambda _: Room(1000, 0))
    load.load_causal(model)  # so little is not looked at
    monkeypatch.setattr(room, "_ENOUGH_TO_LOOK", 0)
    with pytest.raises(ModelError, match="do not fit into memory"):
        load.load_causal(model)
    with room.unwatched(off=True):
        load.load_causal(model)


def test_bytes_for_a_person():
    assert (room.in_words(3.14 * GIB), room.in_words(5 * 2**20)) == ("3.1 GiB", "5 MiB")
