"""Markdown that a model or a stranger wrote, made safe to show.

Two walls: the parser knows no HTML, so tags in the text become text; and what it writes goes through a sanitiser
that lets few tags and no handlers, styles or foreign pictures pass.
"""

from __future__ import annotations

from functools import lru_cache

import nh3
from markdown_it import MarkdownIt

_PARSER = MarkdownIt("commonmark", {"html": False, "linkify": False, "breaks": True}).enable(["table", "strikethrough"])
_TEXT_TAGS = ("a", "p", "br", "hr", "em", "strong", "s", "del", "code", "pre", "blockquote", "ul", "ol", "li")
_TAGS = frozenset((*_TEXT_TAGS, "h3", "h4", "h5", "h6", "table", "thead", "tbody", "tr", "th", "td"))
_HEADINGS = {"h1": "h3", "h2": "h4", "h3": "h5", "h4": "h6", "h5": "h6", "h6": "h6"}
"""A text on a page stands below the page's own headings."""


@lru_cache(maxsize=2048)
def safe_html(text: str) -> str:
    """HTML of a Markdown text, safe whatever the text is.

    Pictures become their description: loading one from elsewhere would tell that server who reads what. Links
    open without a referrer and only for http, https and mailto.
    """
    tokens = _PARSER.parse(text)
    for token in tokens:
        if token.type in ("heading_open", "heading_close"):
            token.tag = _HEADINGS[token.tag]
        for child in token.children or ():
            if child.type == "image":
                child.type, child.tag, child.content = "text", "", f"[picture: {child.content}]"
    html = _PARSER.renderer.render(tokens, _PARSER.options, {})
    return nh3.clean(
        html,
        tags=set(_TAGS),
        attributes={"a": {"href", "title"}, "ol": {"start"}},
        url_schemes={"http", "https", "mailto"},
        link_rel="noopener noreferrer nofollow",
    )
