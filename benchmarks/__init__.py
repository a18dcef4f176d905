"""Measurements: ratios of operations side by side in one run. Absolute times say nothing on shared machines."""
