"""The Agent Client Protocol over stdio: editors that speak it can use the engineer. See docs/acp.md."""
