"""Values and rules: nothing here opens a file, reads a clock or starts a thread."""
