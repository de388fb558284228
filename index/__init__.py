"""Where mentions live: the engines behind one contract, the query language, the text analysis."""
