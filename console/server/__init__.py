"""The web server: waitress, in which no client that is slow to send or to read holds a thread."""
