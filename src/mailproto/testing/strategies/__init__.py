"""Hypothesis strategies for the values of each protocol, one module each."""
