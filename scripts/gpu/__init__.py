"""The two sides of scripts/gpu_bench.py, and what they work on."""
