"""What paths pay. A payoff is a value; while paths move, an observer of it keeps what it needs of them."""
