"""The domain: rows remember and decide what runs, and the stories over them."""
