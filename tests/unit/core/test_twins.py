"""Two processes that make the same artefact, and folders that an interruption left behind."""

import multiprocessing
import time
from pathlib import Path

from palate.core.artefacts import Manifest, Workspace

MANIFEST = Manifest(kind="model", made_by="train", config={"seed": 0}, inputs={})


def _make(root: Path, name: str) -> None:
    def write(folder: Path) -> None:
        for part in range(5):
            (folder / f"{part}.txt").write_text(name)
            time.sleep(0.02)

    Workspace(root).put(MANIFEST, write)


def test_the_first_of_two_twins_wins_whole(tmp_path):
    context = multiprocessing.get_context("spawn")
    twins = [context.Process(target=_make, args=(tmp_path, name)) for name in ("one", "other")]
    for twin in twins:
        twin.start()
    for twin in twins:
        twin.join(60)
    assert [twin.exitcode for twin in twins] == [0, 0]
    folder = Workspace(tmp_path).path(MANIFEST.id)
    assert len({path.read_text() for path in folder.glob("*.txt")}) == 1
    assert [path.name for path in folder.parent.iterdir()] == [MANIFEST.id]


def test_a_twin_that_comes_while_we_write_is_not_replaced(tmp_path):
    workspace = Workspace(tmp_path)

    def slow(folder: Path) -> None:
        _make(tmp_path, "fast")
        (folder / "0.txt").write_text("slow")

    assert (workspace.put(MANIFEST, slow) / "0.txt").read_text() == "fast"
    assert len(list(workspace.artefacts.iterdir())) == 1


def test_a_folder_without_a_manifest_is_made_anew(tmp_path):
    workspace = Workspace(tmp_path)
    workspace.path(MANIFEST.id).mkdir(parents=True)
    (workspace.path(MANIFEST.id) / "half").write_text("")
    folder = workspace.put(MANIFEST, lambda place: (place / "whole").write_text(""))
    assert not (folder / "half").exists()
    assert (folder / "whole").exists()
    assert workspace.has(MANIFEST.id)
