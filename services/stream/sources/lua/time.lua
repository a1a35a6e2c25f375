-- The clock that all replicas share.
return server_time()
