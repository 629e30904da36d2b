"""Work on millions of rows by many workers, processes here or Ray's elsewhere, and resumed row by row."""
