"""The report and the terminal table: they show what is there, blank what is not, and load nothing from anywhere."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from makar.apps import charts
from makar.apps.glossary import explain
from makar.apps.report import render, write_report
from makar.apps.table import Lines, show
from makar.apps.thumbnails import panels
from makar.core import files
from makar.core.errors import MakarError
from makar.verbs.cell import grid
from makar.verbs.protocol import RESULTS, Preview, Trial
from makar.verbs.summary import summarise
from tests.verbs import made_up

HOSTILE = '</script><script>alert("x")</script>&<b>'


def page() -> str:
    return render(made_up.protocol(), made_up.cells())


def test_it_is_written_beside_the_results_and_needs_them(tmp_path: Path) -> None:
    with pytest.raises(MakarError, match="there is no comparison in"):
        write_report(tmp_path)
    made_up.protocol().write(tmp_path)
    for cell in made_up.cells():
        files.append_line(tmp_path / RESULTS, cell.model_dump_json())
    path = write_report(tmp_path)
    assert path == tmp_path / "report.html"
    assert path.read_text() == page()


def test_it_names_no_address_of_any_other_place() -> None:
    html = page()
    assert not re.findall(r"""(?:src|href)=["'](?!data:|#)""", html)
    assert "http://" not in html
    assert "https://" not in html
    assert "@import" not in html
    assert re.findall(r"url\(", html) == []


def test_all_figures_of_the_summary_stand_on_it() -> None:
    html = page().replace("<wbr>", "")
    summary = summarise(made_up.protocol(), made_up.cells())
    for sentence in summary.advice:
        assert sentence in html
    for f in summary.families:
        assert f'data-v="{f.family}"' in html
        assert f.headline is not None
        assert f'data-v="{f.headline.median}"' in html
        assert f'<span class="badge {f.verdict.split()[0]}"' in html
    terms = html.split('id="glossary"')[1]
    for name in (made_up.FD, made_up.EXACT, made_up.BOUND, made_up.NN):
        assert f"<dt>{name}</dt>" in terms
    assert made_up.protocol().digest in html
    assert "killed by SIGKILL" in html


def test_what_a_family_cannot_have_is_blank() -> None:
    """A GAN has no likelihood: its row in the table of all scores has a dot where the VAE's has a number."""
    table = page().split('id="scores"')[1].split("</table>")[0]
    rows = {m[1]: m[0] for m in re.finditer(r'<tr><th scope="row" data-v="(\w+)">.*?</tr>', table, re.DOTALL)}
    assert rows["gan"].count('aria-label="not available"') == 2
    assert rows["vae"].count('aria-label="not available"') == 1


def test_text_from_users_is_escaped_everywhere() -> None:
    protocol = made_up.protocol()
    data = protocol.data.model_copy(
        update={"name": HOSTILE, "source": HOSTILE, "licence": HOSTILE, "classes": (HOSTILE,) * 10, "spec": HOSTILE}
    )
    protocol = protocol.model_copy(update={"data": data})
    cells = []
    for cell in made_up.cells():
        changes: dict[str, Any] = {"reason": HOSTILE} if cell.reason else {}
        if cell.preview is not None:
            changes["preview"] = cell.preview.model_copy(
                update={"texts": (HOSTILE,), "rows": ({HOSTILE: HOSTILE},), "captions": (HOSTILE,) * 10}
            )
        changes["scores"] = cell.scores | {HOSTILE: made_up.value(1.0)}
        cells.append(cell.model_copy(update=changes))
    html = render(protocol, cells)
    assert HOSTILE not in html
    assert "<b>" not in html.replace("<b>makar</b>", "").split("<main>")[0]
    assert html.count("<script") == 1
    assert html.count("</script") == 1


@pytest.mark.parametrize(
    ("modality", "preview", "shown"),
    [
        ("text", Preview(texts=("In the beginning",)), "In the beginning"),
        ("rows", Preview(rows=({"age": 39.5, "job": "baker", "note": None},)), "baker"),
        ("points", Preview(points=((0.1, 0.2), (0.4, -0.3))), 'class="speck"'),
        ("pictures", made_up.preview(3), 'src="data:image/png;base64,'),
    ],
)
def test_every_modality_shows_what_was_made(modality: str, preview: Preview, shown: str) -> None:
    protocol = made_up.protocol(families=("vae",))
    protocol = protocol.model_copy(update={"data": protocol.data.model_copy(update={"modality": modality})})
    html = render(protocol, [*made_up.anchors(), made_up.cell("vae", preview=preview)])
    assert shown in html.split('id="samples"')[1].split("</section>")[0]


def test_a_note_beside_a_score_says_of_which_score_and_which_families() -> None:
    notes = page().replace("<wbr>", "").split("What was noted beside the scores")[1].split("</details>")[0]
    assert notes.count("<li>") == 1
    assert f"<code>{made_up.NN}</code>: COPYING: items lie at 0.63" in notes
    assert "(kernel)" in notes


def test_it_can_be_written_before_anything_is_known() -> None:
    assert "No family came to a score; the reasons" in render(made_up.protocol(), [])
    lone = made_up.cell("gan", scores={}, speed=None, preview=None, history=(), cpu_seconds=None)
    assert "This comparison is not finished" in render(made_up.protocol(), [lone])


def test_red_is_for_copying() -> None:
    html = page()
    strip = html.split('aria-label="The copying check"')[1].split("</svg>")[0]
    assert re.findall(r'<text class="name bad"[^>]*>(\w+)<', strip) == ["kernel"]
    honest = [c for c in made_up.cells() if c.family != "kernel"]
    families = tuple(f for f in made_up.protocol().families if f != "kernel")
    assert "badge copies" not in render(made_up.protocol(families=families), honest)


# --- thumbnails -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("side", [8, 13, 28, 32, 64, 150])
def test_panels_hold_every_pixel_once_at_twice_its_size_or_more_and_fit_a_phone(side: int) -> None:
    pictures = [np.full((side, side, 1), k, np.uint8) for k in range(20)]
    parts = panels(grid(pictures, 10, 256), 10, tuple("abcdefghij"))
    assert "".join(c for p in parts for c in p.captions) == "abcdefghij"
    seen: list[int] = []
    for part in parts:
        image = Image.open(io.BytesIO(base64.b64decode(part.png)))
        assert image.height == 2 * side + 1
        assert part.width <= 320
        assert (part.width / image.width).is_integer()
        assert part.width / image.width == part.height / image.height >= 2
        columns = (image.width + 1) // (side + 1)
        assert columns == len(part.captions)
        seen += [int(np.asarray(image)[0, k * (side + 1), 0]) for k in range(columns)]
    assert seen == list(range(10))


def test_what_is_no_grid_or_no_picture_is_shown_whole_or_not_at_all() -> None:
    (whole,) = panels(grid([np.zeros((8, 8, 1), np.uint8)] * 3, 3, 256), 10, ("a",))
    assert whole.captions == ()
    for broken in (None, "", "AAAA", "not base64 !", base64.b64encode(b"\x89PNG\r\n\x1a\n" + b"0" * 40).decode()):
        assert panels(broken, 10) == []


# --- charts -----------------------------------------------------------------------------------------------------------


def test_scales_hold_their_values_and_tick_at_round_numbers() -> None:
    log = charts.scale([0.2, 24.0], 0.0, 100.0)
    assert isinstance(log, charts.Log)
    assert log.ticks() == pytest.approx([0.2, 0.5, 1, 2, 5, 10, 20])
    assert log((log.low * log.high) ** 0.5) == pytest.approx(50.0, abs=0.1)
    wide = charts.scale([0.006, 34.0], 0.0, 100.0, log=True)
    assert wide.ticks() == pytest.approx([0.01, 0.1, 1, 10])
    linear = charts.scale([0.21, 0.95], 100.0, 0.0)
    assert isinstance(linear, charts.Linear)
    assert linear.ticks() == pytest.approx([0.2, 0.4, 0.6, 0.8])
    assert linear(0.2) > linear(0.9)
    assert charts.scale([3.0], 0.0, 1.0)(3.0) == pytest.approx(0.5)
    assert [charts.nice(s) for s in (0.11, 0.2, 0.3, 7.0)] == pytest.approx([0.2, 0.2, 0.5, 10.0])


def test_a_far_level_does_not_squeeze_what_is_compared() -> None:
    near, far = charts.Line(0.1, "floor"), charts.Line(1e9, "ceiling")
    assert charts.within([near, far], [0.2, 5.0]) == [near]


def test_names_cover_no_other_name_and_stay_inside() -> None:
    """Twenty-five points crowded together: the names that are shown do not overlap."""
    marks = [charts.Mark(f"family_{i}", 20.0 + 0.01 * i, 0.2 + 0.03 * (i % 9), "plain") for i in range(25)]
    svg = charts.scatter(marks, charts.Axis("cost"), charts.Axis("quality"), "t")
    boxes = []
    for x, y, anchor, text in re.findall(
        r'<text class="name plain" x="([\d.-]+)" y="([\d.-]+)" text-anchor="(\w+)">(\w+)<', svg
    ):
        wide = 8.0 * len(text)
        left = float(x) - {"start": 0.0, "middle": wide / 2, "end": wide}[anchor]
        boxes.append((left, float(y) - 11, left + wide, float(y) + 4))
    assert len(boxes) >= 8
    for i, a in enumerate(boxes):
        assert a[0] >= 0
        assert a[2] <= 400
        for b in boxes[:i]:
            assert not (a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3])


def test_no_number_is_cut_at_the_edge_of_a_chart() -> None:
    """Numbers beside an upright axis, and those below the ends of a level one, stand within the chart."""
    marks = [charts.Mark(str(k), 10.0**k, 1e5 + 3e4 * k, "plain") for k in range(5)]
    drawn = [
        charts.scatter(marks, charts.Axis("cost"), charts.Axis("quality"), "t"),
        charts.curves([[(0.0, -123456.0), (1.0, -98765.0), (2.0, -54321.0)]], "t"),
        charts.strip([charts.Row("a", (0.0, 123000.0))], charts.Axis("x", log=False), "t"),
    ]
    for svg in drawn:
        width = float(re.findall(r'viewBox="0 0 ([\d.]+)', svg)[0])
        ticks = re.findall(r'<text class="tick" x="([\d.-]+)" y="[\d.-]+" text-anchor="(\w+)">([^<]+)<', svg)
        assert len(ticks) >= 3
        for x, anchor, text in ticks:
            wide = 7.6 * len(text)
            left = float(x) - {"start": 0.0, "middle": wide / 2, "end": wide}[anchor]
            assert left >= 0, text
            assert left + wide <= width, text


def test_the_frontier_steps_only_down_and_to_the_right() -> None:
    marks = [charts.Mark(n, x, y, "front") for n, x, y in (("a", 1.0, 3.0), ("b", 2.0, 2.0), ("c", 3.0, 1.0))]
    svg = charts.scatter(marks, charts.Axis("cost"), charts.Axis("loss"), "t", front=True)
    path = re.search(r'class="frontier" d="M([\d.]+) ([\d.]+)((?:H[\d.]+V[\d.]+)+)H', svg)
    assert path is not None
    corners = [(float(path[1]), float(path[2]))]
    corners += [(float(h), float(v)) for h, v in re.findall(r"H([\d.]+)V([\d.]+)", path[3])]
    assert len(corners) == 3
    assert corners == sorted(corners)
    assert [v for _, v in corners] == sorted(v for _, v in corners)


def test_the_glossary_takes_the_longest_beginning() -> None:
    assert explain("copies[pixels]@9/9").startswith("Share of outputs")
    assert explain("bits/dim (exact)@9").startswith("Bits")
    assert explain("no such thing") == ""


# --- the terminal -----------------------------------------------------------------------------------------------------


def test_the_table_fits_a_hundred_and_ten_columns_and_cuts_nothing() -> None:
    out = io.StringIO()
    show(summarise(made_up.protocol(), made_up.cells()), Console(file=out, width=140))
    text = out.getvalue()
    assert max(map(len, text.splitlines())) <= 110
    assert "…" not in text
    assert made_up.FD in text  # brackets are no markup
    for family in made_up.protocol().families:
        assert family in text
    assert text.index("flow_matching") < text.index("kernel") < text.index("floor") < text.index("ceiling")


def test_a_column_that_no_family_can_have_is_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    cells = [
        c.model_copy(update={"scores": {n: v for n, v in c.scores.items() if n != made_up.NN}}) for c in made_up.cells()
    ]
    show(summarise(made_up.protocol(), cells))
    head = capsys.readouterr().out.splitlines()[1].split()
    assert head == ["family", "fd", "interval", "recall", "training", "1,000", "out", "verdict"]


def test_a_race_without_a_score_has_no_line_about_one() -> None:
    out = io.StringIO()
    show(summarise(made_up.protocol(), []), Console(file=out, width=140))
    assert "None" not in out.getvalue()
    assert "costs are in CPU seconds" in out.getvalue()


def test_copying_is_red_in_the_table() -> None:
    out = io.StringIO()
    show(
        summarise(made_up.protocol(), made_up.cells()),
        Console(file=out, width=120, force_terminal=True, color_system="standard"),
    )
    line = next(line for line in out.getvalue().splitlines() if "kernel" in line)
    assert "\x1b[1;31m" in line
    other = next(line for line in out.getvalue().splitlines() if "realnvp" in line)
    assert "31m" not in other


def test_plain_lines_say_what_it_will_take_and_how_it_went() -> None:
    out = io.StringIO()
    lines = Lines(Console(file=out, width=60))
    left = Trial(family="flow", refused="it would get 3 steps", training=20.0)
    lines.begin(made_up.protocol(trials=(left,)), cells=36, done=4, workers=2, seconds=620.0)
    lines.finished(made_up.cell("gan"))
    lines.finished(made_up.cells()[-1].model_copy(update={"status": "timeout", "reason": "it [took] too long"}))
    lines.end(complete=False)
    said = out.getvalue().splitlines()
    assert said[0] == (
        "32 trainings of 20 CPU seconds on 2 workers: about 10.3 min, scoring included; 4 of 36 are there already"
    )
    assert said[1] == "left out: flow: it would get 3 steps"
    said = said[1:]
    assert said[1] == "gan, seed 0: done in 30 s (31 to go)"
    assert "timeout: it [took] too long (30 to go)" in said[2]
    assert said[3].startswith("stopped; what is finished is kept")


# --- in a browser -----------------------------------------------------------------------------------------------------

_CHROMIUM = Path("/usr/bin/chromium")
_FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api")
    if not _CHROMIUM.exists():
        pytest.skip("Chromium is not installed")
    with playwright.sync_playwright() as engine:
        found = engine.chromium.launch(
            executable_path=str(_CHROMIUM), args=[*_FLAGS, "--disable-component-update", "--disable-sync"]
        )
        yield found
        found.close()


@pytest.mark.page
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_it_is_quiet_whole_and_narrow_enough(browser: Any, tmp_path: Path, scheme: str, width: int) -> None:
    path = tmp_path / "report.html"
    path.write_text(page())
    tab = browser.new_page(viewport={"width": width, "height": 844}, color_scheme=scheme)
    said: list[str] = []
    asked: list[str] = []
    tab.on("console", lambda message: said.append(message.text))
    tab.on("pageerror", lambda error: said.append(str(error)))
    tab.on("request", lambda request: asked.append(request.url))
    tab.goto(path.as_uri())
    assert tab.evaluate("document.documentElement.scrollWidth") <= width
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == []
    assert said == []
    assert tab.evaluate("[...document.images].every(i => i.complete && i.naturalWidth > 0 && i.alt)")
    assert tab.evaluate("[...document.querySelectorAll('svg')].every(s => s.getAttribute('aria-label'))")
    assert tab.evaluate(_ZOOM) >= 2
    assert tab.evaluate(_CUT) == []
    box = "document.querySelector('#ranking .box').getBoundingClientRect().right"
    badges = tab.evaluate("[...document.querySelectorAll('#ranking .badge')].map(b => b.getBoundingClientRect().right)")
    assert len(badges) == 12
    assert max(badges) < tab.evaluate(box)
    assert _contrast(tab) >= 4.5
    tab.close()


_ZOOM = "Math.min(...[...document.images].map(i => i.getBoundingClientRect().width / i.naturalWidth))"
_CUT = """[...document.querySelectorAll('svg')].flatMap(s => { const v = s.viewBox.baseVal;
  return [...s.querySelectorAll('text')].filter(t => { const b = t.getBBox();
    return b.x < v.x || b.x + b.width > v.x + v.width || b.y < v.y - 1 || b.y + b.height > v.y + v.height + 1 })
    .map(t => t.textContent) })"""


def _contrast(tab: Any) -> float:
    """The least contrast ratio (WCAG 2.1) of body text, muted text, links, badges and warnings with what is behind."""
    found: float = tab.evaluate(
        """() => {
        const light = c => { const [r, g, b] = c.match(/[0-9.]+/g).slice(0, 3).map(v => v / 255)
          .map(v => v <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4); return .2126 * r + .7152 * g + .0722 * b };
        const behind = e => { for (; e; e = e.parentElement) { const c = getComputedStyle(e).backgroundColor;
          if (!c.endsWith(', 0)') && c !== 'transparent') return c } return 'rgb(255, 255, 255)' };
        const parts = document.querySelectorAll('p, a, td, th, dt, dd, .badge, figcaption, small, .redtext, li');
        return Math.min(...[...parts].filter(e => e.textContent.trim() && !e.querySelector('.none')).map(e => {
          const [a, b] = [light(getComputedStyle(e).color), light(behind(e))].sort((x, y) => y - x);
          return (a + .05) / (b + .05) }))
        }"""
    )
    return found


@pytest.mark.page
def test_the_table_sorts_by_any_column_blanks_last(browser: Any, tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    path.write_text(page())
    tab = browser.new_page()
    tab.goto(path.as_uri())
    names = "[...document.querySelectorAll('#scores tbody.sortable th')].map(e => e.textContent)"
    values = "[...document.querySelectorAll('#scores tbody.sortable tr')].map(r => r.children[{}].dataset.v)"
    button = tab.locator("#scores thead th", has_text="bits/dim (exact)").locator("button")
    column = tab.evaluate("e => [...e.closest('tr').children].indexOf(e.closest('th'))", button.element_handle())
    for _ in range(2):
        button.click()
        shown = [float(v) for v in tab.evaluate(values.format(column)) if v]
        blanks = [v == "" for v in tab.evaluate(values.format(column))]
        assert blanks == sorted(blanks)
        assert shown in (sorted(shown), sorted(shown, reverse=True))
    assert shown == sorted(shown, reverse=True)
    assert len(tab.evaluate(names)) == 12
    tab.close()
