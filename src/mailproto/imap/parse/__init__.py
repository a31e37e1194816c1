"""Octets to values: responses for the client, commands for the server."""
