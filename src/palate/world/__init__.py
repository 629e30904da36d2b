"""The practice world: text, prompts, simulated raters and the truth, all generated.

Everything that the cycle needs from people and from the internet is made here from a grammar, so
that the whole of RLHF can be run in minutes and checked against a truth that real life never has.
Nothing of Palate but `cli` imports this package, and gold never reaches a training run.
"""
