"""The bytes of a response: which ones, under which conditions, and how they get to the client (RFC 9110).

- `preconditions`, `ranges`: evaluate the request's headers.
- `representation`: length, validators and segments of what a URL selects.
- `responses`: assembles the response; `multipart` frames several ranges, `disposition` names a download.
- `file_response`: sends it, by the kernel or by reading.
- `transfers`: counts and logs it.
"""
