"""Models of three families, made from a config in a folder, small enough for a test."""

from palate.models import load, tiny

TEXTS = [
    "help me plan a career change. how do i protect a password?",
    "sorry, i can not help with that. start with figma and then practice user research.",
]


def make(folder, family="llama", *, kind="words", seed=0, context=96):
    tokenizer = tiny.train_tokenizer(TEXTS, vocab_size=400, kind=kind, lowercase=True)
    model = tiny.make_model(tokenizer, family=family, width=32, layers=2, heads=2, context=context, seed=seed)
    folder.mkdir(parents=True, exist_ok=True)
    load.save(folder, model, tokenizer)
    return folder
