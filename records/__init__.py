"""What is kept in a relational database: SQLite by default, PostgreSQL by URL."""
