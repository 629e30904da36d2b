"""The command line: verbs only, imported when they are called, so that help loads no torch."""

from __future__ import annotations

import difflib
import os
import sys

from cyclopts import App

from palate import __version__
from palate.core.errors import ConfigError, Interrupted, PalateError

app = App(
    name="palate",
    help="Teach a model your taste: the whole RLHF cycle, from one click to the next model.",
    version=__version__,
)
COMMANDS = {
    "demo": ("demo:demo", "Run the whole cycle in the practice world, for real, and write a report."),
    "init": ("init:init", "Make a project's folder, with settings to read and change."),
    "round": ("round:app", "Turn the cycle once: collect, train, evaluate, gate, release."),
    "import": ("imports:import_", "Read a file of any known shape into the project."),
    "export": ("exports:export", "Write preferences, demonstrations or prompts as another trainer reads them."),
    "dataset": ("dataset:app", "Build, show and compare frozen datasets of preferences."),
    "select": ("select:select", "Choose which comparisons to ask raters about next."),
    "forget": ("privacy:forget", "Erase a person, and name what was built from what they gave."),
    "expire": ("privacy:expire", "Erase what is older than some days."),
    "serve": ("serve:serve", "Serve the pages for raters and leads, and models to talk to."),
    "release": ("release:app", "Register a policy, give it a name such as stable, roll back, read its card."),
    "guideline": ("guideline:app", "Versions of the text that raters judge by."),
    "guardrail": ("guardrail:app", "What may be asked of a model, and what it may answer."),
    "finding": ("finding:app", "What people and examinations found, what it is worth, and what it becomes."),
    "voice": ("voice:app", "The comparisons that say who a team is, and whether a model speaks as they do."),
    "judge": ("judge:app", "Models label comparisons, and are held against people."),
    "revise": ("revise:revise", "A model criticises and rewrites its own answers, by principles."),
    "assist": ("assist:assist", "Models write help for raters, and what it does is measured."),
    "debate": ("debate:debate", "Copies of a model argue for two answers before a judge who sees only that."),
    "improve": ("improve:improve", "A model learns from its own answers, and people look at a share of it."),
    "constitutional": ("constitutional:constitutional", "Both stages of Constitutional AI, for a model folder."),
    "ab": ("ab:app", "Test one release against another on the people who use it."),
    "store": ("store:app", "Back up, restore, copy, migrate and check the journal."),
    "trace": ("trace:trace", "What anything shaped, and what it came from, from a click to a release and back."),
    "later": ("later:later", "Fresh answers of two policies to what people judged."),
    "train": ("train:app", "Train one stage on any local Hugging Face model folder."),
    "eval": ("eval:app", "What a policy is worth, whom it serves, and where it fails."),
    "influence": ("influence:influence", "What each judgement, rater or group did to a reward model."),
    "monitor": ("monitor:monitor", "Watch released models for a reward that is being gamed."),
    "chat": ("chat:chat", "Talk to a model."),
    "show": ("show:app", "Look at things before they cost anything."),
    "bench": ("bench:bench", "Measure speed and memory of a recipe, beside another trainer if you like."),
}
"""Name to where it is, and a sentence that is shown before anything of it is loaded."""
for _name, (_where, _help) in COMMANDS.items():
    app.command(f"palate.cli.{_where}", name=_name, help=_help)


def run() -> None:
    """Entry point: a `PalateError` becomes a message and exit code 2, anything else a traceback."""
    # A thread that waits must soon sleep: spinning threads make a busy machine about ten times slower. At once is too
    # soon: small models wait often, and waking up takes longer than they compute (docs/log.md has the figures).
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")
    # One progress display is enough: ours.
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    try:
        _refuse_unknown(sys.argv[1:])
        app(sys.argv[1:])
    except Interrupted as stop:
        _say(str(stop))
        sys.exit(130)
    except PalateError as error:
        _say(f"error: {error}")
        sys.exit(2)
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        sys.exit(130)


def _refuse_unknown(words: list[str]) -> None:
    """Say at once that there is no such command; the parser would load every command to say it."""
    if words and not words[0].startswith("-") and words[0] not in COMMANDS:
        near = difflib.get_close_matches(words[0], COMMANDS, n=1)
        hint = f"did you mean `palate {near[0]}`?" if near else "`palate --help` lists them"
        raise ConfigError(f"there is no command {words[0]!r}", hint=hint)


def _say(sentence: str) -> None:
    """Of several processes at one run the first speaks, unless it cannot know."""
    together = sys.modules.get("palate.training.parallel")
    if together is None or together.speaks():
        print(sentence, file=sys.stderr)
