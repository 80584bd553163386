"""`python -m lehr.cli`: the same as `lehr`."""

from lehr.cli import main

main()
