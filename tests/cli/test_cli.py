"""The command: user errors end fast, in a few lines, without a traceback, before a model is loaded."""

import errno
import os
import re
import stat
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
from command_line import crescent, refused
from conftest import save_tiny_model

from crescent.cli.errors import failure_of, full_disk_named
from crescent.cli.main import arguments
from crescent.config.composing import composed
from crescent.config.typed import ConfigError
from crescent.core.console import duration
from crescent.core.errors import OutOfMemory, UserError
from crescent.experiment import Experiment
from crescent.sweeps.callback import Failure
from crescent.training.launch import raise_fault


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("vote.drws=3", "vote.drws is not a setting. Did you mean vote.draws?"),
        ("engine.urls=[x]", "engine.urls is not a setting. It belongs to engine=server."),
        ("dedup=rejecton", "dedup=rejecton is not a choice. There are: drop, exact, minhash, none, paper, rejection."),
        ("vote.draws=0", "vote.draws is 0; it must be at least 1"),
        ("vote.draws=three", "vote.draws is 'three'; it must be a whole number"),
        ("dedup.min_cosine=1.5", "dedup.min_cosine is 1.5; a cosine lies between -1 and 1"),
        ("model.path=/no/such/model", "there is no folder /no/such/model"),
        ("vote.draws=1,5", "vote.draws=1,5 is several values: add -m for a sweep, or write a list, vote.draws=[1,5]"),
        ("vote=", "vote= is not a choice. There are: adaptive, dissent, format_only, majority, single."),
        ("store=/proc/x", "store is '/proc/x': no such folder can be created"),
        ("domain.bait=", "domain.bait"),
        ("model=hf", "model.path"),
        ("vote.draws=[", "vote.draws"),
        (
            "+vote.draws=3",
            "vote.draws is already in the configuration: leave out the + before it, as in vote.draws=VALUE",
        ),
        ("hydra.run.dir=", "hydra.run.dir is empty; give it a value"),
    ],
)
def test_a_configuration_error_names_the_key_and_a_hint(override: str, message: str, tmp_path: Path) -> None:
    assert message in refused(crescent(tmp_path, override))
    assert not list((tmp_path / "outputs").glob("*/*")), "no store, and no folder of a run that was refused"


@pytest.mark.parametrize(
    ("override", "key"), [("+check=true", "check"), ("+vote.draws=3", "vote.draws"), ("+dedup=none", "dedup")]
)
def test_a_plus_before_what_is_there_is_told_to_be_left_out(override: str, key: str) -> None:
    with pytest.raises(ConfigError, match=f"^{key} is already in the configuration: leave out the [+] .* {key}=VALUE$"):
        composed([override])


def test_a_model_without_a_chat_template_is_refused(tmp_path: Path) -> None:
    folder = save_tiny_model(tmp_path / "model", template=None)
    assert "has no chat template" in refused(crescent(tmp_path, f"model.path={folder}"))


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "gsm8k/test.jsonl"), ('{"question": "a", "answer": "#### 1"}\n{"quest', "test.jsonl:2")],
)
def test_a_missing_and_a_broken_benchmark_file_are_named(content: str | None, message: str, tmp_path: Path) -> None:
    data = tmp_path / "data" / "gsm8k"
    data.mkdir(parents=True)
    (data / "train.jsonl").write_text('{"question": "a", "answer": "#### 1"}\n')
    if content is not None:
        (data / "test.jsonl").write_text(content)
    done = crescent(tmp_path, "eval=math", "eval.tasks=[gsm8k]", CRESCENT_BENCHMARKS=str(data.parent))
    assert message in refused(done)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_outputs_without_write_permission_end_in_one_line(tmp_path: Path) -> None:
    tmp_path.chmod(stat.S_IRUSR | stat.S_IXUSR)
    assert "Permission denied" in refused(crescent(tmp_path))


def test_outputs_that_cannot_be_a_folder_end_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "outputs").write_text("a file where the folder should be")
    assert "outputs" in refused(crescent(tmp_path))


def test_the_composed_configuration_can_be_printed_from_any_folder(tmp_path: Path) -> None:
    done = crescent(tmp_path, "--cfg", "job")
    assert done.returncode == 0 and "num_questions: 1000" in done.stdout


@pytest.mark.parametrize(
    "error",
    [RuntimeError("CUDA error: out of memory\nmore"), RuntimeError("CUDA out of memory. Tried"), MemoryError()],
)
def test_memory_that_runs_out_anywhere_is_one_line_with_a_fix(error: Exception) -> None:
    failure = failure_of(error)
    assert failure is not None and failure.status == 1 and "\n" not in failure.message
    assert "out of memory" in failure.message and "model.dtype=bfloat16" in failure.message


def test_memory_that_runs_out_where_the_fix_is_known_says_that_one() -> None:
    assert failure_of(OutOfMemory("Lower train.max_length.")) == Failure("error", "Lower train.max_length.", 1)


def test_an_error_that_no_check_of_ours_raised_is_a_bug_wherever_it_came_from() -> None:
    with pytest.raises(TypeError) as raised:
        duration(cast(float, "soon"))  # fails in a file of the package
    assert failure_of(raised.value) is None and failure_of(ValueError("any")) is None
    assert failure_of(UserError("vote.draws is 0")) == Failure("error", "vote.draws is 0", 1)


def test_a_reader_that_has_seen_enough_ends_the_command_in_silence(tmp_path: Path) -> None:
    command = f"{sys.executable} -m crescent.cli.main --help | head -1"
    done = subprocess.run(command, shell=True, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.stdout.startswith("crescent") and done.stderr == ""


def test_a_training_process_that_was_killed_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(MemoryError) as raised:
        raise_fault([-9], tmp_path)
    failure = failure_of(raised.value)
    assert failure is not None and failure.message.startswith("the system killed a training process (SIGKILL)")


def test_an_error_of_a_library_that_nobody_expected_is_a_bug() -> None:
    with pytest.raises(RuntimeError) as raised:
        re.compile("a").sub(lambda _: (_ for _ in ()).throw(RuntimeError("shape mismatch")), "a")
    assert failure_of(raised.value) is None


def test_a_write_that_finds_no_space_names_the_fullest_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    free = {tmp_path / "store": 5, tmp_path / "run": 9}
    for folder in free:
        folder.mkdir()
    monkeypatch.setattr("shutil.disk_usage", lambda folder: SimpleNamespace(free=free[folder]))
    with pytest.raises(OSError) as raised, full_disk_named(tmp_path / "run", tmp_path / "store" / "new"):
        raise OSError(errno.ENOSPC, "No space left on device")
    failure = failure_of(raised.value)
    assert failure is not None and f"No space left on device ({tmp_path / 'store' / 'new'})" in failure.message


def test_settings_may_come_before_options() -> None:
    given = ["vote.draws=5", "-m", "dedup=none,drop", "--config-dir", "mine", "~oracle"]
    assert arguments(given) == ["-m", "--config-dir", "mine", "vote.draws=5", "dedup=none,drop", "~oracle"]


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("--check", "--check is not an option; settings are written without dashes, as in check=true"),
        ("--vote.draws=3", "--vote.draws is not an option; .* as in vote.draws=3"),
        ("=3", "=3 has no key; write KEY=VALUE"),
        ("+=3", "=3 has no key"),
    ],
)
def test_what_is_neither_an_option_nor_a_setting_is_named(argument: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        arguments([argument])


def test_a_class_of_another_kind_is_refused_for_its_methods_and_not_for_its_settings() -> None:
    with pytest.raises(ConfigError, match=r"crescent\.voting\.Majority', which has no adapt\(\), check\(\), load\(\)"):
        Experiment.from_node(composed(["train.method._target_=crescent.voting.Majority"]))


def test_a_preset_of_a_nested_group_is_pointed_to_its_slash() -> None:
    with pytest.raises(ConfigError, match="chosen with a slash, as in train/batching=packed"):
        Experiment.from_node(composed(["train.batching=packed"]))
