"""Running guarded SQL: what a person wrote, checked, put into one statement, and run."""
