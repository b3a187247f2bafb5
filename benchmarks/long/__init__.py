"""What a run of thousands of steps still knows after compactions, crashes and changed rules."""
