"""What the engine answers: results of a series, saved states, signals, disturbances. Values, without the algorithms."""
