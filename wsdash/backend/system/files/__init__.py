"""Files: written whole, watched, locked, bounded."""
