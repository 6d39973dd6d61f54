"""report.html as text: one file, nothing loaded, nothing that a model wrote can run."""

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from crescent.core.console import Console
from crescent.reporting.analyse.results import Comparison, Options, compare
from crescent.reporting.read.runs import read, read_all
from crescent.reporting.show import page
from crescent.reporting.show.headline import headline
from crescent.reporting.show.single import report_run

from .runs_on_disk import config_of, copy


def compared(*paths: Path) -> Comparison:
    runs, notes = read_all(paths)
    return compare(runs, Options(), Console(quiet=True), notes)


@pytest.fixture(scope="module")
def drawn(sweep: Path) -> str:
    return page.render(compared(sweep), Console(quiet=True))


class Elements(HTMLParser):
    """All elements with their attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def data(text: str) -> dict[str, list[dict[str, str]]]:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL)
    assert found is not None
    return json.loads(found[1])


def test_the_page_loads_nothing(drawn: str) -> None:
    elements = Elements(drawn).found
    places = [value for _, attributes in elements for name, value in attributes.items() if name in ("src", "href")]
    assert places and all(value is not None and value.startswith(("#", "data:")) for value in places)
    assert "url(http" not in drawn and "@import" not in drawn


def test_only_the_pages_own_script_is_allowed_and_its_hash_is_right(drawn: str) -> None:
    policy = next(a["content"] for tag, a in Elements(drawn).found if a.get("http-equiv") == "Content-Security-Policy")
    [script] = re.findall(r"<script>(.*?)</script>", drawn, re.DOTALL)
    assert policy is not None and f"script-src '{page._hash(script)}'" in policy and "default-src 'none'" in policy


def test_nothing_that_a_model_wrote_becomes_an_element(hostile: Path) -> None:
    text = page.render(compared(hostile), Console(quiet=True))
    assert [tag for tag, _ in Elements(text).found].count("script") == 2 and "<img" not in text
    assert data(text)["questions"][0]["text"].startswith("<script>document.title")


def test_json_in_a_script_element_cannot_end_it() -> None:
    text = page.safe_json(["</script><!--", "&\u2028"])
    assert not set("<>&\u2028") & set(text) and json.loads(text) == ["</script><!--", "&\u2028"]


def test_every_figure_has_a_name_and_a_sentence(drawn: str) -> None:
    named, silent = drawn.count('role="img" aria-label='), drawn.count('class="swatch"')
    assert named >= 10 and named + silent == drawn.count("<svg")
    assert drawn.count("<figcaption") == drawn.count("<figure>") == 8


def test_before_is_the_base_asked_plainly_and_not_a_baseline(prompted: Path) -> None:
    found = compared(prompted / "0")
    score = {row.prompting: row.cells[found.columns[0]].score.value for row in found.rows if row.role == "base"}
    assert page._single(found)[0]["base"] == f"{100 * score['none']:.1f}" != f"{100 * score['few_shot']:.1f}"


def test_baselines_are_listed_with_their_gain_and_their_cost(prompted: Path) -> None:
    [table] = page._prompted(compared(prompted))
    names, tokens = ([row[what] for row in table["rows"]] for what in ("name", "tokens"))
    assert names == ["plain prompt", "zero_shot_cot", "few_shot", "after training"]
    assert tokens == ["130", "170", "3,080", "130"]
    assert [bool(row["difference"]) for row in table["rows"]] == [False, True, True, True]


def test_what_each_setting_does_is_a_table_of_the_page_where_settings_differ(drawn: str, prompted: Path) -> None:
    section = drawn.partition('id="effects"')[2].partition("</table>")[0]
    assert section.count('<th scope="row"') == 2 and "5 over 1" in section and "−" in section and " at" not in section
    assert 'id="effects"' not in page.render(compared(prompted), Console(quiet=True))


def test_a_name_may_break_behind_its_joints_and_stays_text() -> None:
    assert page.breakable("a_b/<c>") == "a_<wbr>b/<wbr>&lt;c&gt;"


def test_parts_of_a_task_stand_behind_the_whole_tasks(prompted: Path) -> None:
    runs, notes = read_all([prompted])
    found = compare(runs, Options(parts=True), Console(quiet=True), notes)
    columns = page._ordered(found.columns[::-1])
    assert [column.task for column in columns] == ["gsm", "gsm/even"]


def test_figures_take_their_colours_from_the_page(drawn: str) -> None:
    svgs = "".join(re.findall(r"<svg.*?</svg>", drawn, re.DOTALL))
    assert not re.findall(r"(?:fill|stroke): #", svgs) and "var(--series-0)" in svgs


def test_a_page_is_the_same_for_the_same_runs(sweep: Path, drawn: str) -> None:
    assert page.render(compared(sweep), Console(quiet=True)) == drawn


def test_browsable_samples_shrink_until_they_fit(sweep: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page, "MAX_DETAIL_BYTES", 40_000)
    text = page.render(compared(sweep), Console(quiet=True))
    assert len(json.dumps(data(text))) < 45_000 and 'data-total="240"' in text and data(text)["questions"]


def test_changed_answers_are_those_that_the_statistics_count(sweep: Path) -> None:
    found = compared(sweep / "0")
    shown = data(page.render(found, Console(quiet=True)))
    differences = [cell.difference for cell in found.students[0].cells.values() if cell.difference]
    for verdict in ("gained", "lost"):
        listed = sum(entry["verdict"] == verdict for entry in shown["changes"])
        assert listed == sum(getattr(one, verdict) for one in differences) > 0


def test_a_run_without_scores_still_shows_its_data(sweep: Path, tmp_path: Path) -> None:
    raw = json.loads((sweep / "0" / "summary.json").read_text())
    (tmp_path / "summary.json").write_text(json.dumps({**raw, "scores": []}))
    text = page.render(compare([read(tmp_path)], Options(), Console(quiet=True)), Console(quiet=True))
    assert "Nothing was scored" in text and data(text)["questions"]


def test_runs_that_scored_their_base_alone_still_have_a_page(prompted: Path) -> None:
    runs, _ = read_all([prompted])
    first, second = (replace(run, scores=tuple(one for one in run.scores if one.model == "base")) for run in runs)
    second = replace(second, settings={**second.settings, "vote.draws": 9})
    text = page.render(compare([first, second], Options(), Console(quiet=True)), Console(quiet=True))
    assert "Prompting or training" in text and "after training" not in text


def test_a_page_that_cannot_be_drawn_loses_nothing(
    sweep: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "summary.json").write_text((sweep / "0" / "summary.json").read_text())
    (tmp_path / "report.html").mkdir()
    found = report_run(tmp_path)
    assert found.page is None and ("gsm", 0) in found.differences
    assert "the report could not be drawn" in caplog.text


def test_three_sentences_say_what_changed_how_sure_that_is_and_what_it_cost(sweep: Path, prompted: Path) -> None:
    several, one = (dict(headline(compared(path))) for path in (sweep, prompted))
    assert list(several) == list(one) == ["What changed", "How sure", "What it cost"]
    found = compared(prompted)
    [cell] = found.students[0].cells.values()
    assert cell.difference is not None
    before, after = (100 * value for value in (cell.score.value - cell.difference.value, cell.score.value))
    assert f"gsm, 0-shot went from {before:.1f} to {after:.1f} (+{after - before:.1f})." in one["What changed"]
    assert "2 seeds per configuration" in one["How sure"] and f"{100 * cell.difference.high:+.1f}" in one["How sure"]
    tokens = sum(stage.get("new_tokens", 0) for run in found.runs for stage in run.stages)
    assert one["What it cost"].startswith(f"{tokens:,} tokens")
    stars = [cell for row in compared(sweep).students for at, cell in row.cells.items() if cell.stars and not at.part]
    assert several["What changed"].startswith(f"Of 8 scores, {len(stars)} rose and 0 fell significantly")


def test_a_run_without_scores_says_so(sweep: Path, tmp_path: Path) -> None:
    run = copy(sweep / "0", tmp_path / "run", scores=[], evaluations=[])
    sentences = dict(headline(compare([read(run)], Options(), Console(quiet=True))))
    assert sentences["What changed"] == "Nothing was scored; trained on 60 pairs from 60 questions."
    assert sentences["How sure"] == "There is no difference to be sure of."


@pytest.fixture(scope="module")
def hundred(reasoned: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """100 configurations of one seed: the summary of one run with other settings."""
    folder = tmp_path_factory.mktemp("hundred")
    for number in range(100):
        changes = config_of(reasoned / "0", vote__draws=1 + number // 10, train__epochs=1 + number % 10)
        copy(reasoned / "0", folder / str(number), config=changes)
    return folder


def test_a_sweep_of_100_runs_is_a_page_below_8_mb_that_names_rows_in_tables_only(hundred: Path) -> None:
    text = page.render(compared(hundred), Console(quiet=True))
    assert len(text.encode()) < 8_000_000 and text.count('class="swatch"') < 12
    figures = re.findall(r"<svg.*?</svg>", text, re.DOTALL)
    assert figures and all(figure.count("<text") < 60 for figure in figures)
    assert all(float(re.findall(r'viewBox="0 0 [\d.]+ ([\d.]+)"', one)[0]) < 500 for one in figures)
    assert "vote.draws=10" in text.replace("<wbr>", "")


def test_samples_get_the_room_that_tables_and_figures_leave(sweep: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    comparison = compared(sweep)
    whole = page.render(comparison, Console(quiet=True))
    without = len(whole) - len(page.safe_json(data(whole)))
    monkeypatch.setattr(page, "MAX_PAGE_BYTES", without + 30_000)
    small = page.render(comparison, Console(quiet=True))
    assert len(small.encode()) <= without + 30_000 + 100 and 0 < len(data(small)["questions"]) < len(
        data(whole)["questions"]
    )
