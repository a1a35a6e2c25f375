"""Databases: engines, transactions, column types, migrations."""
