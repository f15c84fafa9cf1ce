"""Modbus: the register maps of devices as data, what registers say by them, and the collector that reads them. pymodbus is needed by line.py alone."""
