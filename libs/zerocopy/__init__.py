"""Zero-copy responses for uvicorn: the ASGI extension `http.response.zerocopysend`, implemented with `os.sendfile`.

    uvicorn.Config(app, http=ZeroCopyProtocol)

An application that finds `"http.response.zerocopysend"` in `scope["extensions"]` may send
`{"type": "http.response.zerocopysend", "file": fd, "offset": 0, "count": 1000}` wherever it may send
`http.response.body`; see `ZeroCopySendEvent`. With `"residency"` set, blocks that are not in memory
are sent by threads, so that a slow disk does not hold up the event loop. With `"again"` set, the server
answers further range requests for the same target without parser, task or application.

`Listener` accepts connections in bursts, where uvloop accepts one per turn of its loop.
"""

from zerocopy.listener import Listener
from zerocopy.messages import EXTENSION, HasFileno, RangeAnswer, Residency, ZeroCopySendEvent
from zerocopy.protocol import ZeroCopyProtocol
from zerocopy.residency import PageCache, classify

__all__ = [
    "EXTENSION",
    "HasFileno",
    "Listener",
    "PageCache",
    "RangeAnswer",
    "Residency",
    "ZeroCopyProtocol",
    "ZeroCopySendEvent",
    "classify",
]
