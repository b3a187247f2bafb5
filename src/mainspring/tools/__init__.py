"""The first tools: reading, searching and editing a workspace, running commands and tests in a sandbox."""
