"""How credentials are checked and made: passwords, signing keys, known devices, limits on failed logins."""
