"""The library: documents, pictures and recordings, searchable by words and by meaning, with labels kept."""
