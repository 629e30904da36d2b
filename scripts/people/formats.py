"""Which shapes can be read, and whether a bad row ever stopped a good one.

| name | what it is |
|---|---|
| `import/formats` | shapes of which a small file, damaged nowhere, is recognised by its columns and read with nothing refused; `n` is how many Palate knows, the column map among them |
| `import/formats_from_real_files` | those of them of which a public file in `PALATE_DATA` was read as well |
| `import/bad_rows_stopped_good_ones` | good rows that were not carried although they stood, untouched, in a file with damaged ones; `n` is how many good rows stood in such files: over all shapes, with rows cut short, bytes turned, wrong encodings, fields left out, NUL, deep nesting, huge numbers, very long lines and binary between them |
"""  # noqa: E501

from __future__ import annotations

import argparse
import json
import os
import random
import tempfile
from pathlib import Path
from typing import Any

from palate.core.errors import DataError
from palate.formats import SHAPES, Imported, Limits, read, stream
from palate.formats.imported import PARTS

FILES = 25
"""Damaged files of each shape."""
ROWS = 40
_MAP = {"first": "one", "second": "two", "verdict": "better"}
_LIMITS = Limits(row_bytes=20_000, batch_rows=7)
_REAL = {
    "hh": "hh_harmless_test/split_dev.jsonl",
    "oasst": "oasst_sample/en_100_tree.jsonl",
    "alpaca": "rasbt_pref/instruction-data.json",
    "alpaca-eval": "llmbar/LLMBar/Natural/dataset.json",
    "messages": "torchtune_tiny/chat_tiny.json",
    "preference": "torchtune_tiny/hh_rlhf_tiny.json",
    "prompts": "redteam_prompts/malicious_instruct.txt",
}


def figures(seed: int) -> list[dict[str, Any]]:
    """All rows; another seed damages other rows."""
    read_back = [shape for shape in SHAPES if _reads(shape)]
    lost, good = 0, 0
    draw = random.Random(seed)
    for shape in SHAPES:
        for _ in range(FILES):
            stood, missing = _trial(shape, draw)
            good += stood
            lost += missing
    rows = [("import/formats", len(read_back), len(SHAPES))]
    folder = os.environ.get("PALATE_DATA")
    if folder:
        real = [shape for shape, name in _REAL.items() if read(Path(folder) / name).shape == shape]
        rows.append(("import/formats_from_real_files", len(real), len(_REAL)))
    rows.append(("import/bad_rows_stopped_good_ones", lost, good))
    return [{"name": name, "value": value, "low": None, "high": None, "n": n, "seeds": 1} for name, value, n in rows]


def row(shape: str, i: int) -> dict[str, Any]:
    """A good row of a shape."""
    ask = {"role": "user", "content": f"question {i}?"}
    yes, no = f"a good answer {i}!", f"a bad answer {i}!"
    told = {"role": "assistant", "content": yes}
    other = {"role": "assistant", "content": no}
    transcript = f"\n\nHuman: question {i}?\n\nAssistant: "
    message = {"parentId": "m", "role": "assistant"}
    chat = {
        "m": {"id": "m", "parentId": None, **ask},
        "a": {**message, "id": "a", "content": yes, "model": "x"},
        "b": {**message, "id": "b", "content": no, "model": "y"},
    }
    node = {
        "u": {"id": "u", "parent": None, "message": {"author": {"role": "user"}, "content": _parts(ask["content"])}},
        "a": {"id": "a", "parent": "u", "message": {"author": {"role": "assistant"}, "content": _parts(yes)}},
    }
    pairwise = {"type": "pairwise", "value": {"selected": "left"}}
    made: dict[str, dict[str, Any]] = {
        "judgements": {"prompt": ask["content"], "first": yes, "second": no, "verdict": "first", "rater": "ann"},
        "chatgpt": {"conversation": {"id": str(i), "mapping": node}, "feedback": [{"id": "a", "rating": "thumbs_up"}]},
        "open-webui": {
            "data": {"rating": 1},
            "meta": {"message_id": "a"},
            "snapshot": {"chat": {"chat": {"history": {"messages": chat}}}},
        },
        "langfuse": {
            **{"id": f"s{i}", "traceId": "t", "name": "thumb", "value": 1, "dataType": "NUMERIC"},
            **{"input": ask["content"], "output": yes},
        },
        "label-studio": {
            "data": {"prompt": ask["content"], "answer1": yes, "answer2": no},
            "annotations": [{"completed_by": 1, "result": [pairwise]}],
        },
        "argilla": {
            **{"prompt": ask["content"], "response1": yes, "response2": no},
            **{"x.responses": ["A"], "x.responses.users": ["u"]},
        },
        "potato": {"prompt": ask["content"], "text": [yes, no], "annotations": {"x": {"selection": "A"}}},
        "pandalm": {"instruction": ask["content"], "response1": yes, "response2": no, "annotator1": 1},
        "alpaca-eval": {"instruction": ask["content"], "output_1": yes, "output_2": no, "preference": 1},
        "red-team": {"transcript": transcript + yes, "rating": 2},
        "openai": {"input": {"messages": [ask]}, "preferred_output": [told], "non_preferred_output": [other]},
        "nemo-rl": {
            "context": [ask],
            "completions": [{"rank": 0, "completion": [told]}, {"rank": 1, "completion": [other]}],
        },
        "ultrafeedback": {
            "instruction": ask["content"],
            "completions": [{"response": yes, "overall_score": 9}, {"response": no, "overall_score": 2}],
        },
        "oasst": {
            **{"message_id": f"m{i}", "text": ask["content"], "role": "prompter"},
            "replies": [
                {"message_id": f"r{i}{r}", "text": t, "role": "assistant", "rank": r} for r, t in ((0, yes), (1, no))
            ],
        },
        "arena": {"conversation_a": [ask, told], "conversation_b": [ask, other], "winner": "model_a"},
        "helpsteer2": {"prompt": ask["content"], "response_1": yes, "response_2": no, "preference_strength": -2},
        "alpaca": {"instruction": ask["content"], "input": "", "output": yes},
        "hh": {"chosen": transcript + yes, "rejected": transcript + no},
        "preference": {"prompt": ask["content"], "chosen": yes, "rejected": no},
        "implicit": {"chosen": f"Question {i}: {yes}", "rejected": f"Question {i}: {no}"},
        "unpaired": {"prompt": ask["content"], "completion": yes, "label": True},
        "stepwise": {"prompt": ask["content"], "completions": [yes, no], "labels": [True, True]},
        "messages": {"messages": [ask, told]},
        "prompts": {"prompt": ask["content"]},
        "text": {"text": yes},
        "columns": {"prompt": ask["content"], "one": yes, "two": no, "better": "first"},
    }
    return made[shape]


def _parts(text: Any) -> dict[str, Any]:
    return {"content_type": "text", "parts": [text]}


def _columns(shape: str) -> dict[str, str] | None:
    return _MAP if shape == "columns" else None


def _reads(shape: str) -> bool:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.jsonl"
        path.write_text("".join(json.dumps(row(shape, i)) + "\n" for i in range(5)), encoding="utf-8")
        try:
            found = read(path, columns=_columns(shape))
        except DataError as error:
            print(f"{shape}: {error}")
            return False
    return found.shape == shape and not found.refused and found.holds_something


def _trial(shape: str, draw: random.Random) -> tuple[int, int]:
    """`(good rows, those of them that are missing)` of one file in which about half of the rows are damaged."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.jsonl"
        lines, good = [], []
        for i in range(ROWS):
            line = json.dumps(row(shape, i)).encode()
            if i == 0 or draw.random() < 0.5:
                good.append(f"answer {i}!" if shape not in ("prompts",) else f"question {i}?")
            else:
                line = damaged(line, draw)
            lines.append(line)
        path.write_bytes(b"\n".join(lines) + b"\n")
        batches = stream(path, shape=None if shape == "columns" else shape, columns=_columns(shape), limits=_LIMITS)
        carried = "".join(map(_all, batches.batches))
    return len(good), sum(f"{mark}" not in carried for mark in good)


def _all(batch: Imported) -> str:
    return repr([getattr(batch, name) for name in PARTS])


def damaged(line: bytes, draw: random.Random) -> bytes:
    """The line with something wrong in it; never two lines."""
    at = draw.randrange(1, len(line))
    whole = json.loads(line)
    without = {name: cell for name, cell in whole.items() if name != draw.choice(list(whole))}
    other = {name: draw.choice([None, 7, [], {}, "", [[1]], True]) for name in whole}
    byte = bytes([draw.choice([b for b in range(256) if b != 10])])
    ways = [
        line[:at],
        line[at:],
        line[:at] + byte + line[at + 1 :],
        line[:at] + b"\x00" + line[at:],
        line[:at] + b"\xff\xfe\x80" + line[at:],
        line.decode().encode("utf-16-le").replace(b"\n", b""),
        json.dumps(without).encode(),
        json.dumps(other).encode(),
        b"[" * draw.choice([10, 900, 5_000]),
        b'{"a": ' + b"9" * draw.choice([30, 6_000]) + b"}",
        json.dumps({name: json.loads("[" * 300 + "]" * 300) for name in whole}).encode(),
        line[:-1] + b', "x": "' + b"y" * 30_000 + b'"}',
        draw.randbytes(200).replace(b"\n", b"x"),
    ]
    return draw.choice(ways)


def main() -> None:
    """Print the rows, one a line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=0)
    for found in figures(parser.parse_args().seed):
        print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main()
