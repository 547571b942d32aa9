from kedro.io import AbstractDataset


class AppendingLines(AbstractDataset):
    """Keeps its file open, as a writer does; Python flushes it when the interpreter ends."""

    _files = {}

    def __init__(self, filepath):
        self._filepath = filepath

    def load(self):
        return open(self._filepath).read()

    def save(self, data):
        f = self._files.setdefault(self._filepath, None) or open(self._filepath, "a")
        self._files[self._filepath] = f
        f.write(data + "\n")

    def _describe(self):
        return {"filepath": self._filepath}


class Secret(AbstractDataset):
    def __init__(self, credentials):
        self._c = credentials

    def load(self):
        return self._c

    def save(self, data):
        pass

    def _describe(self):
        return {}
