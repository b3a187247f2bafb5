"""What ten thousand sleeping runs and two hundred schedules cost while there is nothing to do."""
