"""Other systems on the synthetic pages: each module runs in its own process, on one core, and prints JSON."""
