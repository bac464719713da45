"""The page: self-contained, escaped, bounded, and structured for those who cannot see it."""

import re
from html.parser import HTMLParser

from luna_serving.jobs.report import page as page_module
from luna_serving.jobs.report.charts import histogram
from luna_serving.jobs.report.page import (
    CONTENT_SECURITY_POLICY,
    Chart,
    Charts,
    Column,
    Figure,
    KeyFigures,
    Page,
    Section,
    Status,
    Table,
    Text,
    Tone,
    Width,
    render,
)

VOID = {"meta", "br", "link"}


class Outline(HTMLParser):
    """Tags in balance, headings in order."""

    def __init__(self, html: bytes) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(html.decode())
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def names(self) -> list[str]:
        return [tag for tag, _ in self.tags]


def example(text: str = "text", rows: int = 3) -> Page:
    return Page(
        text,
        Status(text, Tone.BAD),
        text,
        ((text, text),),
        (
            Section(text, (Text(text), KeyFigures((Figure(text, text, text),)))),
            Section(
                text,
                (
                    Table(text, (Column(text), Column(text, numeric=True)), [(text, text)] * rows, 1_000_000),
                    Charts((Chart(histogram(text, text, [1, 2, 3]), text),)),
                ),
            ),
        ),
        text,
    )


def test_a_page_has_headings_captions_and_named_regions() -> None:
    outline = Outline(render(example()))
    assert [name for name in outline.names() if name in {"h1", "h2", "h3"}] == ["h1", "h2", "h2"]
    assert outline.names().count("table") == outline.names().count("caption") == 1
    scope = [attrs["scope"] for tag, attrs in outline.tags if tag == "th"]
    assert scope == ["col", "col"]
    html = dict(outline.tags)["html"]
    assert html["lang"] == "en"
    assert "main" in outline.names()


def test_a_page_loads_nothing_and_its_policy_admits_its_own_style_alone() -> None:
    body = render(example()).decode()
    outline = Outline(body.encode())
    assert not {"script", "link", "img", "iframe", "object"} & set(outline.names())
    assert not [attrs for _, attrs in outline.tags if {"src", "href", "style"} & set(attrs)]
    assert re.findall(r"https?://(?!www\.w3\.org/2000/svg)", body) == []
    (style,) = re.findall(r"<style>(.*?)</style>", body, re.DOTALL)
    assert style == page_module.STYLE
    assert "unsafe" not in CONTENT_SECURITY_POLICY


def test_text_of_users_stays_text() -> None:
    evil = "<script>alert(1)</script>'\"&"
    body = render(example(evil)).decode()
    assert "<script" not in body
    assert Outline(body.encode()).names() == Outline(render(example())).names()


def test_a_page_is_small_whatever_its_data() -> None:
    body = render(example("x" * 100_000, rows=100_000))
    assert len(body) < 400_000
    assert b"The first 200 of 1,000,000 rows." in body


def test_a_column_says_how_its_texts_are_set_where_there_is_little_room() -> None:
    columns = (Column("id", width=Width.WORD), Column("n", numeric=True, width=Width.WORD), Column("digest"))
    section = Section("s", (Table("c", columns, [("a", "1", "b")]),))
    body = render(Page("t", sections=(section,))).decode()
    assert '<td class="w">a</td><td class="n">1</td><td>b</td>' in body
    assert '<th scope="col" class="w">id</th>' in body
