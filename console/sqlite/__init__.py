"""Django's SQLite backend, where the threads of a process take turns at writing."""
