"""Text in, analysis out: language, segments, journey step, sentiment, emotion, intent, vector."""
