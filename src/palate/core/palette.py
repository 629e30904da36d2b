"""The colours that pages, live charts and pictures share, in a light and a dark version.

Verdicts and series are told apart by blue and orange, which colour-blind eyes can tell apart too
(after Okabe and Ito 2008), and never by colour alone.
"""

from __future__ import annotations

LIGHT: dict[str, str] = {
    "paper": "#fbfaf8",
    "panel": "#ffffff",
    "ink": "#1d2126",
    "quiet": "#5d656e",
    "line": "#d9dbdd",
    "accent": "#0b5fa5",
    "blue": "#0b69b5",
    "orange": "#c05a00",
    "violet": "#7a4fa3",
    "grey": "#6f7780",
    "right": "#d6e8f8",
    "wrong": "#fbe0c6",
}
"""Name to colour on light paper."""

DARK: dict[str, str] = {
    "paper": "#15181b",
    "panel": "#1d2125",
    "ink": "#e6e8ea",
    "quiet": "#a3abb3",
    "line": "#3a4046",
    "accent": "#6db5f2",
    "blue": "#62b0f0",
    "orange": "#f0a050",
    "violet": "#c09ae6",
    "grey": "#9aa3ab",
    "right": "#173a57",
    "wrong": "#573413",
}
"""The same names on dark paper."""


def variables() -> str:
    """CSS that defines every colour as a variable, dark where the reader's system is dark."""

    def block(colours: dict[str, str]) -> str:
        return " ".join(f"--{name}: {value};" for name, value in colours.items())

    return (
        f":root {{ color-scheme: light dark; {block(LIGHT)} }}\n"
        f"@media (prefers-color-scheme: dark) {{ :root {{ {block(DARK)} }} }}"
    )
