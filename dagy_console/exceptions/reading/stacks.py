"""Read a stack, whatever language has printed it."""

from dagy_console.exceptions.reading import foreign, tracebacks
from dagy_console.exceptions.reading.tracebacks import ParsedException


def parse(text: str) -> tuple[ParsedException, ...]:
    """Return the exceptions with the raised one last; () where there is none. Never raises."""
    if tracebacks.HEADER in text or '  File "' in text:
        return tracebacks.parse(text)
    return foreign.parse_foreign(text) or tracebacks.parse(text)
