"""`palate release`, as it is typed, and `palate serve` with what it named."""

import json
import urllib.request

import pytest
from scripts.rounds import swap

import tiny_models
from palate.core.artefacts import Workspace
from served import Server
from typed import palate


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    folder = tmp_path_factory.mktemp("project")
    for seed in (1, 2):
        tiny_models.make(folder / f"m{seed}", "gpt2", seed=seed)
    return folder


def ids(project):
    return [line.split()[0] for line in palate("release", "list", cwd=project).stdout.splitlines()[1:]]


def test_from_a_folder_to_a_name_and_back(project):
    assert palate("release", "list", cwd=project).returncode == 2, "there is no journal yet"
    refused = palate("release", "add", "m1", cwd=project)
    assert (refused.returncode, "needs a reason" in refused.stderr) == (2, True)
    assert "There is no release" in palate("release", "list", cwd=project).stdout
    for folder in ("m1", "m2"):
        done = palate("release", "add", folder, "--why", "a test", cwd=project)
        assert done.returncode == 0, done.stderr
    assert "registered before" in palate("release", "add", "m2", "--why", "again", cwd=project).stdout
    first, second = ids(project)
    assert f"stable is {first} now" in palate("release", "name", "stable", first, cwd=project).stdout
    assert f"it was {first}" in palate("release", "name", "stable", second, cwd=project).stdout
    told = palate("release", "rollback", "--why", "it is rude", cwd=project).stdout
    assert f"stable is {first} again" in told
    assert "There is nothing before it." in told
    assert palate("release", "rollback", cwd=project).returncode == 2
    line = palate("release", "list", cwd=project).stdout.splitlines()[1]
    assert "stable since 20" in line
    assert "none: a test" in line
    assert palate("release", "unname", "stable", cwd=project).returncode == 0
    policy = line.split()[5]
    assert "registered before" in palate("release", "add", policy, "--why", "by its id", cwd=project).stdout
    assert palate("release", "name", "stable", first, cwd=project).returncode == 0


def test_a_card_is_printed_and_written_beside_an_export(project):
    if not (project / "palate.db").is_file():
        pytest.skip("needs the releases of the test before")
    text = palate("release", "card", "stable", cwd=project).stdout
    assert text.startswith("---\n")
    assert "licence: not known" in text
    done = palate("release", "card", "stable", "--into", "export", cwd=project)
    assert done.stdout.strip() == "export/README.md"
    assert (project / "export" / "README.md").read_text() == text
    (card,) = [one for one in (project / "artefacts").glob("card-*") if (one / "README.md").read_text() == text]
    assert Workspace(project).manifest(card.name).inputs["policy"].startswith("model-")


def test_what_cannot_be_served_is_said_before_anything_is(project):
    if not (project / "palate.db").is_file():
        pytest.skip("needs the releases of the test before")
    model = f"stable={project / 'm1'}"
    both = palate("serve", "chat", "--policy", model, "--release", "stable", cwd=project)
    assert "one name" in both.stderr
    assert "no release has a name" in palate("serve", "chat", "--release", "later", cwd=project).stderr
    many = palate("serve", "--workers", "2", cwd=project)
    assert "palate serve rate --workers" in many.stderr
    (project / "rails.toml").write_text("version = 1\n")
    rails = palate("serve", "chat", "--guardrails", "rails.toml", cwd=project)
    assert "under its own guardrails" in rails.stderr


def test_a_server_answers_with_what_is_stable_and_stops_without_a_word_of_starting_again(project):
    if not (project / "palate.db").is_file():
        pytest.skip("needs the releases of the test before")
    server = Server(project, "all").start()
    try:
        said = server.process.stdout.readline()
        assert said.startswith("stable: release ")
        with urllib.request.urlopen(f"{server.address}/releases", timeout=60) as reply:
            assert reply.url.startswith(f"{server.address}/login")
    finally:
        process = server.process
        process.terminate()
        rest = process.communicate(timeout=30)[0]
    assert "started again" not in rest
    assert "Traceback" not in rest


@pytest.mark.slow
def test_no_stream_fails_or_is_mixed_while_the_name_moves():
    rows = {one["name"]: one for one in swap.figures(3, clients=8, moves=("name", "back"))}
    assert rows["swap/failed_streams"]["value"] == rows["swap/mixed_streams"]["value"] == 0
    assert rows["swap/failed_streams"]["n"] > 8
    assert json.dumps(list(rows.values()))


def test_a_mixed_stream_would_be_found():
    """Each of the ways in which a stream could belong to two policies, by hand."""
    words = {"p1": "tea", "p2": "rain"}

    def mixed(text="teatea", fingerprints=("p1",), stored=("p1", "teatea")):
        one = swap.Stream(0.0, 2, text=text, fingerprints=set(fingerprints))
        return swap.is_mixed(one, stored, words)

    assert not mixed()
    assert mixed(text="tearain", stored=("p1", "tearain"))
    assert mixed(fingerprints=("p1", "p2"))
    assert mixed(fingerprints=("p2",))
    assert mixed(stored=("p2", "teatea"))
    assert mixed(stored=("p1", "tea"))
    assert mixed(stored=("", ""))
