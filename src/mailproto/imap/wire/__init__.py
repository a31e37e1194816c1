"""The surface of IMAP: frames, a cursor over their text, and the strings both sides share."""
