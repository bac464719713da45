"""Rules: their three forms on the wire, the checks when one is put, and what the evaluation reads of one."""
