"""The short way for requests that need no waiting: caller, file and session are in memory, and no framework is used.

A request that it can't answer goes the ordinary way, `services.stream.http`, and gets the same bytes there. The setting
`fast_path` switches all of it off.
"""

from services.stream.fastpath.app import FastPathApp
from services.stream.fastpath.minimal_route import MinimalRoute
from services.stream.fastpath.request import FastPathCaches

__all__ = ["FastPathApp", "FastPathCaches", "MinimalRoute"]
