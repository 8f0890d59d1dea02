"""What keeps muster from working well on this machine, and what to do about it."""
