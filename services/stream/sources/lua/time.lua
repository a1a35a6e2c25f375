-- Returns the time of the clock that all replicas share.
return server_time()
