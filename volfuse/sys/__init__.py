"""System calls that Python lacks: ctypes and raw structs, nothing else."""
