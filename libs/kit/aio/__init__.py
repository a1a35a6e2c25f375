"""What asyncio itself leaves out."""
