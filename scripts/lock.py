"""Write the installed versions into constraints.txt, without local build labels."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

frozen = subprocess.run(
    [sys.executable, "-m", "pip", "freeze", "--exclude-editable"], capture_output=True, text=True, check=True
).stdout
lines = [re.sub(r"\+[\w.]+$", "", line) for line in frozen.splitlines() if "==" in line]
target = Path(__file__).resolve().parent.parent / "constraints.txt"
target.write_text("\n".join(lines) + "\n")
print(f"{len(lines)} versions in {target.name}")
