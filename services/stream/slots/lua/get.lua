-- Return the status of a session. Argument: session.
advance()
return status_of(ARGV[FIRST])
