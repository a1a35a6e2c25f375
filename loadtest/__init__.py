"""Load tests: viewers of a running Marquee, and a benchmark of the stream service."""
