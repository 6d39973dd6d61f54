"""What dtype=auto means on a device, and which formats are slow there."""

from pathlib import Path

import pytest
import torch

from crescent.core import number_format
from crescent.core.console import Console
from crescent.core.number_format import resolved_dtype, slow_because
from crescent.engines.identity import identity
from crescent.engines.weights import Weights
from crescent.observers.narration import tell_formats

# of an AVX2 processor, of a Sapphire Rapids, of a Graviton 3
AVX2 = "flags\t\t: fpu vme sse4_2 fma avx avx2 f16c bmi2\n"
SAPPHIRE = "flags\t\t: fpu avx2 avx512f avx512_bf16 avx512_fp16 amx_bf16 amx_tile amx_int8\n"
GRAVITON = "Features\t: fp asimd fphp asimdhp sve bf16 i8mm\n"


def processor(flags: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "cpuinfo").write_text(f"processor\t: 0\n{flags}")
    monkeypatch.setattr(number_format, "CPUINFO", folder / "cpuinfo")


@pytest.mark.parametrize(
    ("flags", "dtype"), [(AVX2, "float32"), (SAPPHIRE, "bfloat16"), (GRAVITON, "bfloat16"), ("", "float32")]
)
def test_auto_is_bfloat16_where_the_processor_has_instructions_for_it(
    flags: str, dtype: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    processor(flags, tmp_path, monkeypatch)
    assert resolved_dtype("auto", "cpu") == dtype
    assert resolved_dtype("float16", "cpu") == "float16"  # what is asked for by name holds


def test_auto_is_float32_where_the_system_tells_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(number_format, "CPUINFO", Path("/nowhere/cpuinfo"))
    assert resolved_dtype("auto", "cpu") == "float32"


@pytest.mark.parametrize(("supported", "dtype"), [(True, "bfloat16"), (False, "float32")])
def test_auto_asks_a_gpu_for_instructions_and_not_for_emulation(
    supported: bool, dtype: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        torch.cuda, "is_bf16_supported", lambda including_emulation=True: including_emulation or supported
    )
    assert resolved_dtype("auto", "cuda:0") == dtype
    assert (slow_because("bfloat16", "cuda") is None) == supported and slow_because("float16", "cuda") is None


def test_auto_is_float32_on_an_apple_gpu_which_cannot_be_asked() -> None:
    assert resolved_dtype("auto", "mps") == "float32" and slow_because("bfloat16", "mps") is None


@pytest.mark.parametrize(
    ("flags", "slow"),
    [(AVX2, {"bfloat16", "float16"}), (SAPPHIRE, set()), (SAPPHIRE.replace("_fp16", ""), {"float16"})],
)
def test_a_format_without_instructions_is_slow(
    flags: str, slow: set[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    processor(flags, tmp_path, monkeypatch)
    assert {dtype for dtype in number_format.DTYPES if slow_because(dtype, "cpu")} == slow


def test_the_key_is_that_of_the_format_that_auto_means(tiny_llama: Path) -> None:
    auto, named = Weights("m", str(tiny_llama), "auto"), Weights("m", str(tiny_llama), resolved_dtype("auto", "cpu"))
    assert identity(auto.on("cpu")) == identity(named) and auto.on("cpu") == named.on("cpu")
    with pytest.raises(AssertionError, match=r"Weights\.on"):
        identity(auto)


def test_what_auto_means_is_said_and_a_slow_format_asked_for_by_name_is_warned_of(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    processor(AVX2, tmp_path, monkeypatch)
    asked = [Weights("a", "a", "auto"), Weights("b", "b", "bfloat16"), Weights("c", "c", "float32")]
    tell_formats(Console(), [*asked, *asked], lambda: "cpu")
    assert capsys.readouterr().err.split("\n") == ["  a: dtype=auto is float32 on this machine's cpu", ""]
    [warning] = caplog.messages
    assert warning.startswith("b: dtype=bfloat16 is slow here (this processor has no bfloat16 instructions")
