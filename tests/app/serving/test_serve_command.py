"""`palate serve` with policies, as it is typed."""

import subprocess
import sys
import urllib.error
import urllib.request

import pytest

import tiny_models


def serve(*arguments, **more):
    command = [sys.executable, "-m", "palate", "serve", *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **more)


def refused(*arguments):
    with serve(*arguments) as process:
        said = process.communicate(timeout=60)[1]
    assert process.returncode == 2, said
    return said


@pytest.mark.slow
def test_policies_that_cannot_be_served_are_named(tmp_path):
    assert "nothing is there that could answer" in refused("chat", "--out", str(tmp_path))
    missing = refused("chat", "--out", str(tmp_path), "--policy", "a=/not/there")
    assert "--policy a=/not/there" in missing
    many = refused("all", "--out", str(tmp_path), "--policy", f"a={tmp_path}", "--workers", "2")
    assert "palate serve rate --workers" in many


def test_chat_and_api_are_served_beside_the_raters_pages(tmp_path):
    model = tiny_models.make(tmp_path / "model")
    with serve("all", "--out", str(tmp_path), "--port", "0", "--policy", f"a={model}") as process:
        try:
            address = process.stdout.readline().rsplit(" ", 1)[1].strip()
            assert "/welcome/" in process.stdout.readline()
            for path in ("/chat", "/rate"):
                with urllib.request.urlopen(address + path, timeout=60) as reply:
                    assert reply.url.startswith(f"{address}/login")
            with pytest.raises(urllib.error.HTTPError) as closed:
                urllib.request.urlopen(f"{address}/v1/models", timeout=10)
            assert closed.value.code == 401
            closed.value.close()
        finally:
            process.terminate()
            process.communicate(timeout=30)
