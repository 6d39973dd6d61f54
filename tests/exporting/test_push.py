"""Uploads to the hub: what is sent, and what is told if nothing can be."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from loopback_hub import loopback_hub
from voted_run import voted_run

from crescent.cli.export import main


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return voted_run(tmp_path_factory.mktemp("voted"))


def pushed(run: Path, folder: Path, *options: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "crescent.cli.export", "data", str(run), str(folder), "--push", *options]
    known = {name: value for name, value in os.environ.items() if name not in ("HF_TOKEN", "HF_HUB_OFFLINE")}
    here = {**known, "HF_HOME": str(folder.parent / "hf"), **environment}
    return subprocess.run(command, capture_output=True, text=True, env=here)


def test_what_is_in_the_folder_is_uploaded_to_a_private_repository(run: Path, tmp_path: Path) -> None:
    with loopback_hub() as hub:
        done = pushed(run, tmp_path / "out", "me/mine", HF_ENDPOINT=hub.url, HF_TOKEN="hf_secret")
    assert done.returncode == 0, done.stderr
    [created] = hub.created
    is_private = created.get("visibility") == "private" or created.get("private") is True  # by the client's release
    assert created["type"] == "dataset" and is_private and hub.tokens == {"Bearer hf_secret"}
    sent = {str(file.relative_to(tmp_path / "out")): file.read_bytes() for file in (tmp_path / "out").rglob("*.*")}
    assert hub.files == sent and len(sent) == 2
    assert f"uploaded: {hub.url}/datasets/me/mine" in done.stdout


@pytest.mark.slow
def test_an_upload_that_is_refused_leaves_the_folder_and_says_how_to_try_again(run: Path, tmp_path: Path) -> None:
    with loopback_hub(refuses=True) as hub:
        done = pushed(run, tmp_path / "out", "me/mine", HF_ENDPOINT=hub.url, HF_TOKEN="hf_secret")
    assert done.returncode == 1 and done.stderr.count("\n") == 1, done.stderr
    assert f"Try again: hf upload me/mine {tmp_path / 'out'} --repo-type dataset" in done.stderr
    assert (tmp_path / "out" / "README.md").exists() and "hf_secret" not in done.stderr + done.stdout


def test_without_a_token_or_with_a_wrong_name_nothing_is_exported(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(tmp_path / "none"))
    with pytest.raises(SystemExit):
        main(["data", str(run), str(tmp_path / "out"), "--push", "me/mine"])
    told = capsys.readouterr().err
    assert "--push needs a Hugging Face token" in told and "HF_TOKEN" in told
    with pytest.raises(SystemExit):
        main(["data", str(run), str(tmp_path / "out"), "--push", "me/my/pairs"])
    assert "is not the id of a repository, such as me/my-pairs" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
