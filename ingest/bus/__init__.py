"""The wired M-Bus: frames, the master that reads slaves, the scan that finds them, the collector that polls them (ingest/SERIAL.md 2 and 3).

May enter: what ingest may; nothing outside needs more than these names.
"""
