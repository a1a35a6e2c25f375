"""auth: who somebody is. Accounts, logins and the keys that sign access tokens."""
