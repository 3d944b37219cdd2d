"""Marks in what is made, that the holder of a key can find."""
