"""Pure tensor arithmetic: every formula of Palate, once, with its source and its units.

Nothing here reads a file, holds state or draws a random number. One alphabet of shape suffixes, as in the
whole house: `B` sequences, `N` preference rows, `G` completions per prompt, `P` prompt tokens,
`T` completion tokens, `L = P + T`, `V` vocabulary, `D` features. Masks are Boolean and True means "counts";
whatever stands where a mask is False, NaN included, reaches neither a result nor a gradient.
"""
