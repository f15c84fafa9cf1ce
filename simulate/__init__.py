"""Simulated meters, gateways and the telegram encoder: for the demo, the tests and users without hardware."""
