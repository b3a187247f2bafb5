"""AgentDojo through Mainspring's own loop, guard and tools; see ``docs/guard-measured.md``."""
