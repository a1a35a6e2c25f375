"""Run the server that is measured: `python -m loadtest.search.server [SERVICE=DATABASE …]`.

It is embedded mode, the five services in one process, also on PostgreSQL: both databases are measured below the same
code and the same gateway.
"""

from __future__ import annotations

import sys

from apps.marquee import embedded

if __name__ == "__main__":
    embedded.run(dict(each.split("=", 1) for each in sys.argv[1:]))
