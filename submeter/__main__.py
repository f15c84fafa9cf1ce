"""`python -m submeter` is the same as `submeter`."""

from submeter.cli import main

main()
