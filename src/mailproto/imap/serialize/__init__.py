"""Values to octets: commands for the client, responses for the server."""
