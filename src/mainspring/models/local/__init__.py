"""Open-weight models on this machine, run by llama.cpp in a child process; see docs/local-models.md."""
