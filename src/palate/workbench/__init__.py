"""The raters' room: comparing, ranking, writing, learning the guideline, and what leads see of it. No torch."""
