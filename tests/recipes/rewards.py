"""Rewards as a user would write them, good and bad ones. They run in a process of their own and import nothing."""

import os
import time


def likes_no(messages, completion):
    return float(completion.split("</think>")[-1].strip().startswith("no"))


def abstains_on_figma(messages, completion):
    return None if "figma" in messages[-1]["content"] else likes_no(messages, completion)


def always_abstains(messages, completion):
    return None


def sometimes_fails(messages, completion):
    if "figma" in messages[-1]["content"]:
        raise LookupError("figma is not in the table")
    return likes_no(messages, completion)


def always_fails(messages, completion):
    raise LookupError("the table is empty")


def sometimes_nan(messages, completion):
    return float("nan") if "figma" in messages[-1]["content"] else likes_no(messages, completion)


def prints(messages, completion):
    print('{"score": 99}')  # noqa: T201  looks like an answer, and is none
    os.write(1, b'{"score": 98}\n')
    return likes_no(messages, completion)


def sleeps_once(messages, completion):
    if messages[-1]["content"] == "how do i plan figma?" and completion.strip().startswith("no"):
        time.sleep(30)
    return likes_no(messages, completion)
