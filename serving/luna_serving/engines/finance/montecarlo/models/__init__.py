"""What moves assets through time. A model is a value: its parameters, and how a step changes a state."""
