"""Compute docs/results/scaling.json and the tables of docs/scaling.md from the assumptions in scripts/scale.

The same assumptions give the same bytes: nothing here is measured but what --measure prints, and only a person puts
that into the assumptions.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from scripts.scale import arithmetic, raters, store
from scripts.scale.assumptions import JUDGEMENTS, POLICIES, Assumptions, table

ROOT = Path(__file__).resolve().parent.parent
RATERS = (100, 300, 1000, 3000, 10_000)
COMMAND = "make scaling"


def main() -> None:
    """Write both."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--measure", action="store_true", help="time the journal on this machine, and write nothing")
    parser.add_argument("--page", type=Path, default=ROOT / "docs" / "scaling.md")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "results" / "scaling.json")
    options = parser.parse_args()
    if options.measure:
        print(json.dumps(store.measure(), indent=1))
        return
    given = Assumptions()
    text = options.page.read_text(encoding="utf-8")
    for name, rows in tables(given).items():
        pattern = re.compile(rf"(<!-- {name} -->\n).*?(<!-- end of {name} -->)", re.DOTALL)
        if not pattern.search(text):
            raise SystemExit(f"{options.page} has no mark for {name}")
        text = pattern.sub(lambda match, rows=rows: f"{match[1]}{markdown(rows)}\n{match[2]}", text)
    options.page.write_text(text, encoding="utf-8")
    found = figures(given)
    options.out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    print(f"{len(found)} figures in {options.out.name}")


def figures(given: Assumptions) -> list[dict[str, Any]]:
    """Everything, a figure a row: `collect/<judgements>/…`, `memory/<policy>/…`, and so on."""
    values: dict[str, float | str] = {f"assumed/{row['name']}": row["value"] for row in table(given)}
    for count in JUDGEMENTS:
        for name, value in arithmetic.collecting(count, given)._asdict().items():
            values[f"collect/{count:.0e}/{name}"] = value
        for limit in arithmetic.limits(count, given):
            values[f"limit/{count:.0e}/{limit.what}"] = limit.share
    for shape in POLICIES:
        values[f"parameters/{shape.name}"] = shape.parameters
        for group, found in (
            ("memory", arithmetic.memory(shape)),
            ("sampling", arithmetic.sampling(shape, given)),
            ("traffic", arithmetic.traffic(shape, cluster(shape, JUDGEMENTS[0], given), given)),
        ):
            for name, value in found._asdict().items():
                values[f"{group}/{shape.name}/{name}"] = value
        for count in JUDGEMENTS:
            for name, value in arithmetic.training(shape, count, given)._asdict().items():
                values[f"gpu_hours/{count:.0e}/{shape.name}/{name}"] = value
    for seen in simulated(given):
        for name, value in seen._asdict().items():
            values[f"queue/{seen.raters}/{name}"] = value
    return [
        {"name": name, "value": value, "low": None, "high": None, "n": 1, "seeds": 1, "command": COMMAND}
        for name, value in values.items()
    ]


def tables(given: Assumptions) -> dict[str, list[Sequence[str]]]:
    """The page's tables, the head first."""
    return {
        "assumptions": [
            ("name", "value", "unit", "from"),
            *(("`" + row["name"] + "`", number(row["value"]), row["unit"], row["source"]) for row in table(given)),
        ],
        "collecting": _collecting(given),
        "queue": _queue(given),
        "memory": _memory(given),
        "sampling": _sampling(given),
        "training": _training(given),
        "traffic": _traffic(given),
        "saturation": _saturation(given),
    }


def simulated(given: Assumptions) -> list[raters.Seen]:
    """Ever more raters."""
    return [raters.simulate(n, think_s=given.seconds_a_judgement, write_s=given.store_write_s / 2) for n in RATERS]


def cluster(shape: Any, judgements: float, given: Assumptions) -> int:
    """GPUs that train a policy of that size on so many judgements in time."""
    hours = arithmetic.training(shape, judgements, given).all
    memory = arithmetic.memory(shape)
    return arithmetic.gpus_for(hours, arithmetic.least_gpus(memory.ppo + memory.sampler, given), given)


def _collecting(given: Assumptions) -> list[Sequence[str]]:
    head = "judgements|rater years|rater cost|raters at once|transactions a second|the journal|sent to raters"
    rows: list[Sequence[str]] = [head.split("|")]
    for count in JUDGEMENTS:
        c = arithmetic.collecting(count, given)
        people = (_power(count), number(c.rater_years), _money(c.rater_usd), number(c.raters_at_once))
        rows.append((*people, number(c.writes_a_second), _bytes(c.store_bytes), _bytes(c.to_raters_bytes)))
    return rows


def _queue(given: Assumptions) -> list[Sequence[str]]:
    rows: list[Sequence[str]] = [["raters at once", "judgements a second", "writer busy", "wait, median", "wait, 99 %"]]
    for s in simulated(given):
        waits = (_time(s.wait_p50_s), _time(s.wait_p99_s))
        rows.append((f"{s.raters:,}", number(s.judgements_a_second), f"{s.busy:.0%}", *waits))
    return rows


def _memory(given: Assumptions) -> list[Sequence[str]]:
    head = "policy|weights|policy in training|critic|reference|reward model|PPO in all|least GPUs, PPO|least GPUs, DPO"
    rows: list[Sequence[str]] = [head.split("|")]
    for shape in POLICIES:
        m = arithmetic.memory(shape)
        sizes = map(_bytes, (m.policy, m.critic, m.reference, m.reward, m.ppo))
        least = (str(arithmetic.least_gpus(size, given)) for size in (m.ppo, m.policy))
        rows.append((shape.name, f"{shape.parameters / 1e9:.2f} billion", *sizes, *least))
    return rows


def _sampling(given: Assumptions) -> list[Sequence[str]]:
    head = "policy|GPUs of a replica|rows at once|a step|bound by|tokens a second and GPU"
    rows: list[Sequence[str]] = [head.split("|")]
    for shape in POLICIES:
        s = arithmetic.sampling(shape, given)
        speed = number(s.tokens_a_second / s.gpus)
        rows.append((shape.name, str(s.gpus), str(s.rows), _time(s.step_s), s.bound, speed))
    return rows


def _training(given: Assumptions) -> list[Sequence[str]]:
    head = "judgements|policy|reward model|rollouts|PPO|in all|cost|GPUs|days|DPO instead|raters cost, times"
    rows: list[Sequence[str]] = [head.split("|")]
    for count in JUDGEMENTS:
        collected = arithmetic.collecting(count, given)
        for shape in POLICIES:
            t, gpus = arithmetic.training(shape, count, given), cluster(shape, count, given)
            cost = t.all * given.gpu_usd_an_hour
            stages = map(_hours, (t.reward, t.rollouts, t.ppo, t.all))
            rest = (_money(cost), f"{gpus:,}", number(t.all / gpus / 24), _hours(t.dpo))
            rows.append((_power(count), shape.name, *stages, *rest, number(collected.rater_usd / cost)))
    return rows


def _traffic(given: Assumptions) -> list[Sequence[str]]:
    head = "policy|GPUs|an iteration|weights to a replica|over its links|share of the iteration|samples back"
    rows: list[Sequence[str]] = [head.split("|")]
    for shape in POLICIES:
        gpus = cluster(shape, JUDGEMENTS[0], given)
        t = arithmetic.traffic(shape, gpus, given)
        sent = (_bytes(t.weights_bytes), _time(t.weights_s), f"{t.share:.1%}", _bytes(t.samples_bytes))
        rows.append((shape.name, str(gpus), _time(t.iteration_s), *sent))
    return rows


def _saturation(given: Assumptions) -> list[Sequence[str]]:
    limits = {count: {one.what: one.share for one in arithmetic.limits(count, given)} for count in JUDGEMENTS}
    rows: list[Sequence[str]] = [("of what there is", *map(_power, JUDGEMENTS))]
    rows += [(what, *(number(limits[count][what]) for count in JUDGEMENTS)) for what in limits[JUDGEMENTS[0]]]
    return rows


def markdown(rows: Sequence[Sequence[str]]) -> str:
    """A table; the first column to the left, the others to the right."""
    head, *body = rows
    rule = ["---", *["--:"] * (len(head) - 1)]
    return "\n".join("| " + " | ".join(row) + " |" for row in (head, rule, *body))


def number(value: float) -> str:
    """Three figures at most, in words a person reads."""
    if value == 0:
        return "0"
    if abs(value) >= 1e6:
        exponent = len(str(int(abs(value)))) - 1
        return f"{value / 10**exponent:.3g} x 10^{exponent}"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def _power(count: int) -> str:
    return f"10^{len(str(count)) - 1}"


def _bytes(count: float) -> str:
    for unit, size in (("PB", 1e15), ("TB", 1e12), ("GB", 1e9), ("MB", 1e6)):
        if count >= size:
            return f"{count / size:.3g} {unit}"
    return f"{count / 1e3:.3g} kB"


def _money(usd: float) -> str:
    for unit, size in (("billion", 1e9), ("million", 1e6), ("thousand", 1e3)):
        if usd >= size:
            return f"{usd / size:.3g} {unit} USD"
    return f"{usd:.3g} USD"


def _hours(hours: float) -> str:
    return f"{number(hours)} h"


def _time(seconds: float) -> str:
    if seconds < 1:
        return f"{1000 * seconds:.3g} ms"
    return f"{seconds:.3g} s" if seconds < 3600 else f"{seconds / 3600:.3g} h"


if __name__ == "__main__":
    main()
