"""Small runs of every recipe, for claims about all of them: killed and gone on with, batched in other ways.

`setting` makes the models and lists the runs, `kills` ends them in the middle, `batching` parts their work
differently. Everything is made from nothing, in seconds, on one core.
"""
