"""What asyncio itself lacks: sharing one run of a coroutine."""
