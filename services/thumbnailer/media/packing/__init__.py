"""Pack films for protected playback: remux, cut into chunks, encrypt.

`remux` belongs into the confined child, which sees foreign bytes and no key. The rest belongs into the parent, which
has the key, takes the child's stream as untrusted, and never lets plaintext touch a disk.
"""
