"""What Luna offers, one folder each. A capability imports no other; what two of them need moves down a room."""
