"""Many workers on one PostgreSQL, while they are killed, frozen and cut off, and the database restarts."""
