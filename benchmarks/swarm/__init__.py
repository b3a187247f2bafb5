"""A task of many independent parts: one agent, a swarm, and what is possible at the server's rate limit."""
