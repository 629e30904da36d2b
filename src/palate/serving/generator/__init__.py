"""The process that generates: it alone loads torch, and the web process talks to it through pipes."""
