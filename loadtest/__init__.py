"""Load tests: viewers who watch a running Marquee."""
