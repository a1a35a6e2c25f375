"""stream: the bytes of videos. Ranges, conditions, and sending files without ever holding one in memory."""
