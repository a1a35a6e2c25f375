-- Return the milliseconds for which nothing new is granted.
advance()
return math.max(0, grace - now)
