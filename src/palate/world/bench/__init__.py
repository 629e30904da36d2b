"""How fast, and in how much memory: Palate's recipes alone, or in turns with TRL on the same work.

Two processes, one a side, are pinned to one core and take turns, block by block; see `process` and `cells`.
"""
