"""Small pieces of SVG. All text is escaped here; colours come from the page's style sheet by class."""

from __future__ import annotations

from collections.abc import Iterable
from math import floor, log10

from markupsafe import Markup, escape

CHARACTER_WIDTH = 6.3  # of the page's font at 12 units, a little generous


def element(name: str, *children: Markup | str, **attributes: object) -> Markup:
    """``element("rect", x=1, class_="bar")`` is ``<rect x="1" class="bar"></rect>``; None is left out."""
    parts = [
        Markup(' {}="{}"').format(key.rstrip("_").replace("_", "-"), _number(value))
        for key, value in attributes.items()
        if value is not None
    ]
    inner = Markup("").join(children)
    return Markup("<{0}{1}>{2}</{0}>").format(name, Markup("").join(parts), inner)


def _number(value: object) -> object:
    return f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else value


def drawing(key: str, width: float, height: float, parts: Iterable[Markup], *, title: str, description: str) -> Markup:
    """A whole chart, as wide as the page lets it be; ``title`` and ``description`` are what screen readers say."""
    return element(
        "svg",
        element("title", title, id=f"{key}-title"),
        element("desc", description, id=f"{key}-desc"),
        *parts,
        viewBox=f"0 0 {width:g} {height:g}",
        role="img",
        aria_labelledby=f"{key}-title {key}-desc",
        class_="chart",
    )


def text(x: float, y: float, words: str, class_: str = "", anchor: str = "start") -> Markup:
    """Words at a point; ``anchor`` is start, middle or end."""
    return element(
        "text", escape(words), x=x, y=y, class_=class_ or None, text_anchor=None if anchor == "start" else anchor
    )


def bar(x: float, y: float, width: float, height: float, class_: str, *, hint: str = "") -> Markup:
    """A rectangle; ``hint`` shows on hover."""
    children = [element("title", escape(hint))] if hint else []
    return element("rect", *children, x=x, y=y, width=max(width, 0.0), height=height, class_=class_)


def line(x1: float, y1: float, x2: float, y2: float, class_: str) -> Markup:
    """A line from one point to another."""
    return element("line", x1=x1, y1=y1, x2=x2, y2=y2, class_=class_)


def fits(words: str, width: float) -> bool:
    """Whether the words are narrower than so much, in units of the drawing."""
    return len(words) * CHARACTER_WIDTH + 6 <= width


def ticks(maximum: float, most: int = 5) -> list[float]:
    """Round numbers from 0 to at most ``maximum``, at most ``most`` steps of 1, 2 or 5 times a power of ten."""
    if maximum <= 0:
        return [0.0]
    power = 10.0 ** floor(log10(maximum / most))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor * most >= maximum * (1 - 1e-9))
    return [round(n * step, 10) for n in range(floor(maximum / step * (1 + 1e-9)) + 1)]
