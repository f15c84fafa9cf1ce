"""Meter families, one small file each: data in the vocabulary of `decoders.driver`, found by `decoders.catalogue`.

Here live tables, and at most one small pure function where a payload is odd; no other module imports these.  Each file has `DRIVERS`, and a
file of the same name in tests/vectors/meters/ holds telegrams of our own making for each of them.
"""
