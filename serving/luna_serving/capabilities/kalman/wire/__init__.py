"""What requests look like: from bytes to checked words, and from those to a job. No mathematics, no I/O."""
