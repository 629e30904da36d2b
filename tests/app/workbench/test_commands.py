"""`palate serve` and `palate guideline`, in processes of their own."""

import re
import subprocess
import sys
import urllib.request

import pytest

from palate.store import guidelines, people
from palate.store.journal import Journal
from served import Server


def palate(*arguments):
    command = [sys.executable, "-m", "palate", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def test_the_first_start_prints_a_link_that_makes_the_owner(tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-m", "palate", "serve", "rate", "--out", str(tmp_path / "new"), "--port", "0"],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        process.stdout.readline()
        link = re.search(r"http://\S+/welcome/\S+", process.stdout.readline())[0]
        with urllib.request.urlopen(link, timeout=30) as reply:
            assert "You were invited as owner" in reply.read().decode()
    finally:
        process.terminate()
        process.wait(30)
        process.stdout.close()


def test_a_server_with_an_owner_prints_no_link_and_runs_in_several_processes(path, tmp_path):
    (tmp_path / "project").mkdir()
    path.rename(tmp_path / "project" / "palate.db")
    server = Server(tmp_path / "project", "rate", more=("--workers", "2")).start()
    try:
        for _ in range(5):
            with urllib.request.urlopen(f"{server.address}/healthz", timeout=30) as reply:
                assert reply.status == 200
        assert "welcome" not in server.said
    finally:
        server.stop()


def test_it_opens_to_nobody_without_a_password(tmp_path):
    done = palate("serve", "rate", "--out", tmp_path / "new", "--host", "0.0.0.0", "--port", "0")
    assert done.returncode == 2
    assert "a server that others can reach needs a password first" in done.stderr
    assert "welcome" not in done.stdout


def test_the_raters_pages_load_no_torch():
    program = (
        "import sys\n"
        "import palate.cli.serve\n"
        "from palate.workbench.part import part\n"
        "part()\n"
        "assert 'torch' not in sys.modules and 'transformers' not in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_guideline_by_command(tmp_path):
    one, two = tmp_path / "one.md", tmp_path / "two.md"
    one.write_text("## Truth\n\nBe right.\n")
    two.write_text("## Truth\n\nBe right, and brief.\n")
    out = ("--out", tmp_path / "project")
    assert "version 1," in palate("guideline", "add", one, "--use", *out).stdout
    assert "version 2," in palate("guideline", "add", two, *out).stdout
    listed = palate("guideline", "list", *out).stdout.splitlines()
    assert [line.endswith("in force") for line in listed] == [True, False]
    assert palate("guideline", "show", *out).stdout == one.read_text()
    assert palate("guideline", "show", "2", *out).stdout == two.read_text()
    compared = palate("guideline", "diff", "1", "2", *out).stdout
    assert "- Be right." in compared
    assert "+ Be right, and brief." in compared
    assert "clauses that changed: truth" in compared
    assert palate("guideline", "use", "2", *out).returncode == 0
    with Journal.open(tmp_path / "project" / "palate.db") as journal:
        assert guidelines.current(journal).number == 2
        assert people.accounts(journal) == []
    wrong = palate("guideline", "use", "9", *out)
    assert wrong.returncode == 2
    assert "palate guideline list" in wrong.stderr


@pytest.mark.parametrize("workers", ["0", "-1"])
def test_nobody_would_serve(tmp_path, workers):
    assert palate("serve", "rate", "--out", tmp_path, f"--workers={workers}").returncode == 2
