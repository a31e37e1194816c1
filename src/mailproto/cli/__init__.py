"""The command line: ``mailproto serve | send | fetch | demo``, also ``python -m mailproto``."""
