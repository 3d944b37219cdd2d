"""What was made from what, under which licence, and who says so."""
