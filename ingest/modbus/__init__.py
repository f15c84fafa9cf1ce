"""Modbus: registers of meters and transducers, read in turn (docs/modbus.md).

Here live the register maps of devices as data (`devices/`, checked by `maps`), what registers say by them (`registers`), the collector that reads them
(`poller`, `stations`) and the one module that needs pymodbus (`line`). A new device is one file in `devices/`. May enter: what ingest may.
"""
