"""To be written by its engineer."""
