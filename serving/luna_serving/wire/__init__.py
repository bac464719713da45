"""Reading requests and writing answers, for every capability: JSON, strict schemas, pointers, problems."""
