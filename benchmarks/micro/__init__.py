"""Micro benchmarks: one module per group, one small function per benchmark. ``../declare.py`` says how they look."""
