"""One module per source; each turns what a place says into pages of mentions."""
