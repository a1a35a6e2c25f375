-- For how many milliseconds nothing new is granted.
advance()
return math.max(0, grace - now)
