"""`python -m tests.bug_bench`: the table, and as the last line how many mutants were killed."""

import sys

from tests.bug_bench import bench


def main() -> int:
    """0 if every check passes on the real code and every mutant is killed."""
    done = bench.run()
    lines = [bench.table(done)]
    for result in done.results:
        if not result.killed_by and result.value:
            lines.append(f"{result.mutant.item} {result.mutant.what}: no wrong value, but {result.value}")
    lines += [f"does not pass on the real code: {name}: {why}" for name, why in done.broken.items()]
    sys.stdout.write("\n".join([*lines, f"{done.seconds:.0f} s", done.last_line]) + "\n")
    return int(bool(done.broken) or done.killed < len(done.results))


if __name__ == "__main__":
    sys.exit(main())
