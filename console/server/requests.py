"""How a request arrives: what two servers could read in two ways is refused, in the words of the API where it asks."""

from __future__ import annotations

import json
import re
from typing import Any, Final

from waitress.parser import HTTPRequestParser, ParsingError
from waitress.task import ErrorTask

LENGTH: Final = re.compile(rb"^content-length[ \t]*:", re.IGNORECASE | re.MULTILINE)
ENCODING: Final = re.compile(rb"^transfer-encoding[ \t]*:[ \t]*(.*?)[ \t]*\r?$", re.IGNORECASE | re.MULTILINE)
SENTENCES: Final = {
    "413": "This body is too large: parameters are text, pass the name of a file instead.",
    "431": "The headers of this request are too large.",
}


class Parser(HTTPRequestParser):
    def parse_header(self, header_plus: bytes) -> None:
        """A proxy may have read its end elsewhere than we do: then the rest would be a request of somebody else."""
        encodings = [found.lower() for found in ENCODING.findall(header_plus)]
        if encodings and (LENGTH.search(header_plus) or encodings != [b"chunked"]):
            raise ParsingError("The length of the body is said in more than one way.")
        super().parse_header(header_plus)


class Refusal(ErrorTask):
    """The answer to what cannot be read; as JSON to whoever asks the API."""

    def execute(self) -> None:
        if not str(getattr(self.request, "path", "")).startswith("/api/"):
            super().execute()
            return
        error: Any = self.request.error
        code = str(error.code)
        self.status = f"{code} {error.reason}"
        body = json.dumps({"detail": SENTENCES.get(code, f"This request could not be read: {error.body}")}).encode()
        self.response_headers.append(("Content-Type", "application/json"))
        self.set_close_on_finish()
        self.content_length = len(body)
        self.write(body)
