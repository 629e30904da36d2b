"""What keeps people from using a page, as axe finds it."""

import warnings

RULES = {"runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]}}


def violations(page):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the wrapper's own
        from axe_core_python.sync_playwright import Axe
    found = Axe().run(page, options=RULES)
    assert len(found["passes"]) > 8, "axe looked at nothing"
    return [(one["id"], one["help"], [node["html"][:160] for node in one["nodes"]][:3]) for one in found["violations"]]
