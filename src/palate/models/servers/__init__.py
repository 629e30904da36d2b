"""Sampling on vLLM servers over HTTP: what is said, who is asked, how weights get there, and a probe that they did."""
