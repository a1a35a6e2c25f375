-- How a session stands. Argument: session.
advance()
return standing(ARGV[FIRST])
