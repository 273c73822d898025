"""The event stream format (HTML, section 9.2.6), from bytes to blocks."""

from __future__ import annotations

from dataclasses import dataclass, field

from ._errors import TidingsError

# The largest block that is read; a hub's own limit for an event is 1 MiB by default.
BLOCK_BYTES_MAX = 64 << 20


@dataclass(slots=True)
class Block:
    """The lines up to an empty one, by what they are for."""

    event: str = ""
    id: str | None = None
    retry_ms: int | None = None
    data: list[str] = field(default_factory=list)


class Decoder:
    """Splits bytes, however they are cut, into blocks."""

    def __init__(self) -> None:
        self._rest = bytearray()
        self._searched = 0
        self._ended_with_cr = False
        self._is_first_line = True
        self._block = Block()
        self._block_bytes = 0

    def feed(self, chunk: bytes) -> list[Block]:
        """The blocks that are complete with these bytes."""
        if self._ended_with_cr and chunk:
            self._ended_with_cr = False
            if chunk.startswith(b"\n"):
                chunk = chunk[1:]
        rest = self._rest
        rest += chunk
        blocks: list[Block] = []
        start = 0
        while (end := _line_end(rest, max(start, self._searched))) >= 0:
            line = bytes(rest[start:end])
            start = end + 1
            if rest[end] == 0x0D:
                if start == len(rest):
                    self._ended_with_cr = True
                elif rest[start] == 0x0A:
                    start += 1
            self._line(line, blocks)
        del rest[:start]
        self._searched = len(rest)
        if len(rest) + self._block_bytes > BLOCK_BYTES_MAX:
            raise TidingsError(f"an event of the stream has more than {BLOCK_BYTES_MAX} bytes")
        return blocks

    def _line(self, line: bytes, blocks: list[Block]) -> None:
        if self._is_first_line:
            self._is_first_line = False
            line = line.removeprefix(b"\xef\xbb\xbf")
        if not line:
            blocks.append(self._block)
            self._block = Block()
            self._block_bytes = 0
            return
        self._block_bytes += len(line)
        name, _, rest = line.partition(b":")
        value = rest.removeprefix(b" ").decode(errors="replace")
        if name == b"data":
            self._block.data.append(value)
        elif name == b"event":
            self._block.event = value
        elif name == b"id" and "\0" not in value:
            self._block.id = value
        elif name == b"retry" and rest.removeprefix(b" ").isdigit():
            self._block.retry_ms = int(value)


def _line_end(text: bytearray, start: int) -> int:
    """Where the next CR or LF is, or -1."""
    lf = text.find(b"\n", start)
    cr = text.find(b"\r", start, lf if lf >= 0 else len(text))
    return cr if cr >= 0 else lf
