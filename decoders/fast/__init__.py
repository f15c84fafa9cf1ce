"""Many telegrams at once: compiled layouts over columns of bytes, equal to the plain path in every value.

A layout (layout.py) is what the plain path does with payloads of one shape, as a table; `library` keeps them, `envelope` and `keys` bring frames to
payloads, `engine` reads all numbers of a batch together (`columns`), `batch` sends what has no layout to `telegram.decode`, `tables` makes Arrow.
May enter: numpy, pyarrow, cryptography, the plain path. Nothing here decides what a telegram means.
"""
