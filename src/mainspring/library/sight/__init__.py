"""Pictures and recordings: their words, layout, scenes and looks."""
