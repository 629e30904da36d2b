"""`python -m palate.serving.generator`: started by the web process, not by people."""

from palate.serving.generator.process import main

main()
