"""The process tree of `manage.py up`: what is in it, how it is found again, and how it starts and ends."""
