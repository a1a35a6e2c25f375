"""Real servers for every test that asks for one; see kit.testing.fixtures."""

pytest_plugins = ["kit.testing.fixtures"]
