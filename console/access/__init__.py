"""Who is at the door: from which address, how often, and who was refused."""
