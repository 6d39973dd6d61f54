"""A full disk and a read-only one, as real small file systems: one clear line, and nothing computed is lost."""

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from test_end_to_end import command

RUN = command("eval.tasks=[organism_gsm]", "eval.shots=[0]", "tracking=none")
Mount = Callable[[str], Path]


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[Mount]:
    """Mounts an empty file system in memory with the given options; called again, it changes them."""
    folder = tmp_path / "disk"
    folder.mkdir()

    def make(options: str) -> Path:
        again = ["-o", f"remount,{options}"] if folder.is_mount() else ["-t", "tmpfs", "-o", options]
        done = subprocess.run(["mount", *again, "tmpfs", str(folder)], capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(f"no file system may be mounted here: {done.stderr.strip()}")
        return folder

    yield make
    if folder.is_mount():
        subprocess.run(["umount", str(folder)], check=True)


def crescent(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(RUN, cwd=folder, capture_output=True, text=True, timeout=300, check=False)


def one_line(done: subprocess.CompletedProcess[str]) -> str:
    """The message that a failed run ends with: its last line, without a traceback anywhere."""
    assert done.returncode == 1 and "Traceback" not in done.stderr, done.stderr
    return done.stderr.splitlines()[-1]


@pytest.mark.slow
@pytest.mark.parametrize("size", ["90k", "600k"])
def test_a_full_disk_ends_in_one_line_and_the_run_goes_on_when_there_is_room(size: str, mount: Mount) -> None:
    folder = mount(f"size={size}")
    assert one_line(crescent(folder)).startswith(f"crescent: error: No space left on device ({folder}/outputs")
    mount("size=20m")
    again = crescent(folder)
    assert again.returncode == 0, again.stderr
    assert "(from the store)" in again.stderr


def test_a_folder_that_cannot_be_written_is_named(mount: Mount) -> None:
    folder = mount("size=1m")
    mount("ro")
    assert one_line(crescent(folder)).startswith(
        "crescent: error: Read-only file system (outputs). Change its permissions"
    )
