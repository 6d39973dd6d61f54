"""Chat templates that print today's date print a fixed one; keys know of it where it can change a result."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from conftest import CHATML
from transformers import AutoTokenizer

from crescent.core.store import make_key
from crescent.engines.dates import DATE, is_dated, reads_clock, with_date, without_date
from crescent.engines.identity import identity
from crescent.engines.server import ServerSettings
from crescent.engines.weights import Weights, load_tokenizer

SMOLLM3 = "{%- set today = strftime_now('%d %B %Y') -%}{{ 'Today Date: ' + today + '\n' }}"
MISTRAL = (
    "{%- set today = strftime_now('%Y-%m-%d') %}"
    "{{ 'The current date is ' + today + ' (' + today.split('-')[0] + ').' }}"
)
LLAMA_3_1 = (
    "{% if not date_string is defined %}{% set date_string = '26 Jul 2024' %}{% endif %}"
    "{{ 'Today Date: ' + date_string }}"
)
GPT_OSS = "{% macro head() %}{{ 'Current date: ' + strftime_now('%Y-%m-%d') }}{% endmacro %}{{ head() }}"
ABOUT_DATES = "{# strftime_now is not asked #}"
CASES = {
    SMOLLM3: ("Today Date: 26 July 2024\n", "Today Date: 05 January 2025\n"),
    MISTRAL: ("The current date is 2024-07-26 (2024).", "The current date is 2025-01-05 (2025)."),
    LLAMA_3_1: ("Today Date: 26 Jul 2024", "Today Date: 05 Jan 2025"),
    GPT_OSS: ("Current date: 2024-07-26", "Current date: 2025-01-05"),
    "{% if strftime_now is defined %}{{ strftime_now('%A, %-d.%-m.%y %j') }}{% endif %}": (
        "Friday, 26.7.24 208", "Sunday, 5.1.25 005",
    ),
    ABOUT_DATES: ("", ""),
}  # fmt: skip


@pytest.fixture
def tokenizer(tiny_llama: Path) -> Any:
    return AutoTokenizer.from_pretrained(tiny_llama)


def rendered(tokenizer: Any, template: str, **variables: str) -> str:
    tokenizer.chat_template = template
    return tokenizer.apply_chat_template([{"role": "user", "content": "Hi"}], tokenize=False, **variables)


@pytest.mark.parametrize("head", CASES)
@pytest.mark.parametrize(("date", "place"), [(DATE, 0), ("5 Jan 2025", 1), ("2025-01-05", 1), ("05 January 2025", 1)])
def test_a_date_is_printed_as_the_template_asks_for_it(head: str, date: str, place: int, tokenizer: Any) -> None:
    chat = rendered(tokenizer, CHATML)
    assert rendered(tokenizer, with_date(head + CHATML, date)) == CASES[head][place] + chat
    assert without_date(with_date(head + CHATML, date)) == head + CHATML


def test_a_date_among_the_template_s_arguments_wins(tokenizer: Any) -> None:
    dated = with_date(LLAMA_3_1 + CHATML, "2025-01-05")
    assert rendered(tokenizer, dated, date_string="1 May 1999").startswith("Today Date: 1 May 1999")


def test_only_templates_that_read_a_date_are_changed() -> None:
    assert [reads_clock(head) for head in CASES] == [True, True, False, True, True, False]
    assert with_date(CHATML, "2025-01-05") == CHATML and with_date(LLAMA_3_1, DATE) == LLAMA_3_1
    assert [is_dated(head, "2025-01-05") for head in (*CASES, CHATML)] == [True] * 5 + [False] * 2
    assert with_date(with_date(SMOLLM3, DATE), DATE) == with_date(SMOLLM3, DATE)


def dated(model: Path, folder: Path, head: str) -> str:
    shutil.copytree(model, folder)
    (folder / "chat_template.jinja").write_text(head + CHATML)
    return str(folder)


def test_the_date_is_in_keys_only_where_the_template_reads_one(tiny_llama: Path, tmp_path: Path) -> None:
    def keys(folder: str) -> list[str]:
        weights = [Weights("m", folder, date_string=date) for date in (DATE, "2025-01-05")]
        return [identity(one, tmp_path / "cache.json") for one in weights]

    plain, server = keys(str(tiny_llama)), ServerSettings(("http://a/v1",), model="m")
    assert plain[0] == plain[1]
    for head, changes in ((SMOLLM3, True), (LLAMA_3_1, True), (ABOUT_DATES, False)):
        folder = dated(tiny_llama, tmp_path / str(len(head)), head)
        first, second = keys(folder)
        assert (first != second) == changes
        served = [server.identity(Weights("m", folder, date_string=date), None) for date in (DATE, "2025-01-05")]
        assert (served[0] != served[1]) == changes
    assert make_key("weights", 1, Weights("m", "x")) == make_key("weights", 1, Weights("m", "x", date_string=DATE))


def test_a_loaded_tokenizer_has_the_date_in_its_template(tiny_llama: Path, tmp_path: Path) -> None:
    folder = dated(tiny_llama, tmp_path / "model", SMOLLM3)
    tokenizer = load_tokenizer(Weights("m", folder, date_string="2025-01-05"))
    assert "05 January 2025" in str(tokenizer.apply_chat_template([{"role": "user", "content": "Hi"}], tokenize=False))


def test_templates_by_name_have_the_date_too(tiny_llama: Path, tmp_path: Path) -> None:
    shutil.copytree(tiny_llama, folder := tmp_path / "model")
    (folder / "chat_template.jinja").unlink(missing_ok=True)
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    named = {"default": SMOLLM3 + CHATML, "tool_use": CHATML}
    settings["chat_template"] = [{"name": name, "template": text} for name, text in named.items()]
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    tokenizer = load_tokenizer(Weights("m", str(folder), date_string="2025-01-05"))
    assert "05 January 2025" in str(tokenizer.apply_chat_template([{"role": "user", "content": "Hi"}], tokenize=False))
    assert without_date(tokenizer.chat_template) == named


def test_what_is_no_date_is_named() -> None:
    with pytest.raises(
        ValueError, match=r"model\.date_string is 'today', which is not a date; write it as 26 Jul 2024"
    ):
        Weights("m", "x", date_string="today")


def test_a_student_trained_whole_keeps_the_template_of_its_model(tiny_llama: Path, tmp_path: Path) -> None:
    from crescent.engines.weights import load
    from crescent.training.methods import Full

    weights = Weights("m", dated(tiny_llama, tmp_path / "model", SMOLLM3))
    saved = Full().save(*load(weights, "cpu"), weights, tmp_path)["model"]
    assert (saved / "chat_template.jinja").read_text() == SMOLLM3 + CHATML
    assert json.loads((saved / "config.json").read_text())["model_type"] == "llama"
