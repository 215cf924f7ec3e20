"""Many layers and designs at once: experiments whose every point is a search."""
