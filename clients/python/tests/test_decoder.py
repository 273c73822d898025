"""The format, by itself."""

from tidings._decoder import Block, Decoder

STREAM = (
    "\ufeffdata: a\r\n: a comment\rdata\nid: 7\n\n"
    "event:x\ndata:  two\nretry: 20\nretry: no\nid: \0\n\r\ndata: ü\r\r\nid\n\ndata: unfinished\n"
).encode()

BLOCKS = [
    Block(event="", id="7", data=["a", ""]),
    Block(event="x", retry_ms=20, data=[" two"]),
    Block(data=["ü"]),
    Block(id=""),
]


def test_blocks_are_the_same_however_the_bytes_are_cut():
    for size in range(1, len(STREAM) + 1):
        decoder = Decoder()
        pieces = (STREAM[at : at + size] for at in range(0, len(STREAM), size))
        blocks = [block for piece in pieces for block in decoder.feed(piece)]
        assert [block for block in blocks if block != Block()] == BLOCKS, size
