"""auth: accounts, logins and the keys that sign access tokens."""
