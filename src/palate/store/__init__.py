"""The journal: append-only facts about prompts, completions, comparisons and judgements."""
