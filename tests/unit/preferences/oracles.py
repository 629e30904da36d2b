"""What other people's software makes of the same tables; values are frozen, so that it is not needed.

statsmodels 0.15.0 (kappas), evalica 0.4.2 (alphas), crowd-kit 1.4.2 (Dawid-Skene, 2,000 steps to 1e-12, with the
log-likelihood computed from its parameters).
"""


def table(items=60, raters=6, seed=7, skip=0):
    """(item, rater, label) from a plain congruential generator; every rater on every item, or two in three."""
    x, rows = seed, []
    for item in range(items):
        x = (x * 1103515245 + 12345) % 2**31
        truth = (x >> 16) % 3
        for rater in range(raters):
            x = (x * 1103515245 + 12345) % 2**31
            u = (x >> 8) % 1000
            x = (x * 1103515245 + 12345) % 2**31
            if skip and (x >> 16) % 3 < skip:
                continue
            skill = 350 + 80 * rater
            label = truth if u < skill else (truth + 1 + (u % 2)) % 3
            rows.append((item, rater, label))
    return rows


FLEISS = 0.10108604845446961
COHEN = 0.10415419463095531
"""Mean over the 15 pairs of raters, who share all 60 items."""
ALPHA_3 = {"nominal": 0.15885229751600882, "ordinal": 0.12373576557316812, "interval": 0.12483924788632084}
"""Of `table(skip=1)`."""
ALPHA_7 = {"nominal": -0.062095104933448386, "ordinal": -0.018296413313620308, "interval": -0.021829369593090700}
"""Of the same with labels (3 l + i + r) mod 7."""
DAWID_SKENE = -1575.9284668290322
"""Log-likelihood on `table(300, 8, skip=1)`."""
DAWID_SKENE_LABELS = (
    "0201221011121112100111220101111112011102120210120210101221111212022221100111002010102211111011211101"
    "1201220122211220200101222011010111220002122111211110011120011120200110111211220221210100112012122202"
    "1222222210221102201102212110122000012021212201021111221021111101000122011220001212200020210202220201"
)
ONE_COIN = -1592.5469561718767
ONE_COIN_LABELS = (
    "1201221011121112101111220101111112010102220220120210101221111212022221100111002010102211111011211101"
    "1201220122211220200101222011010111220002122111211010011120011120200110111211220221210100112012122202"
    "1222222210221102201102212110122000012021212201021111221021111100000122011220001212200020210202220201"
)
