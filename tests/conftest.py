import os

# One thread a process: tests run side by side, and results do not depend on the machine.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
