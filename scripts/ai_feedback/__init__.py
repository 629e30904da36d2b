"""What the figures of feedback from AI are made of, a module a cell."""
