"""What the tests share: a module an idea. Fixtures stand in the conftest.py files."""
