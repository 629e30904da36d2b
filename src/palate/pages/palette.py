"""The shared colours as a style sheet: the reader's system decides, or the switch on the page."""

from __future__ import annotations

from palate.core.palette import DARK, LIGHT


def style_sheet() -> str:
    """CSS with every colour of `core.palette` as a variable, for both themes.

    `data-theme` on the root element is what the reader chose; without it the system's choice holds.
    """

    def block(scheme: str, colours: dict[str, str]) -> str:
        return f"color-scheme: {scheme}; " + " ".join(f"--{name}: {value};" for name, value in colours.items())

    light, dark = block("light", LIGHT), block("dark", DARK)
    return (
        f":root {{ {light} }}\n"
        f"@media (prefers-color-scheme: dark) {{ :root:not([data-theme=light]) {{ {dark} }} }}\n"
        f":root[data-theme=dark] {{ {dark} }}\n"
    )
