"""What a question can be answered from: an index of the project in SQLite's FTS5."""
