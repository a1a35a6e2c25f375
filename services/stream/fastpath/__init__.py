"""The fast path: answers requests for bytes whose caller, file and session are in memory, without a framework.

A request that it can't answer goes to the ordinary routes, `services.stream.http`, and gets the same bytes there. The
setting `fast_path` switches it off.
"""

from services.stream.fastpath.app import FastPathApp
from services.stream.fastpath.minimal_route import MinimalRoute
from services.stream.fastpath.request import FastPathCaches

__all__ = ["FastPathApp", "FastPathCaches", "MinimalRoute"]
