"""What this make was asked, and what a Makefile can make."""
