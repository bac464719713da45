"""From text to a checked tree. The grammar, the types and the messages are those of Prometheus 3.14.

Rooms: `tokens`, `quoting`, `durations`; `lexer`; `nodes`, `signatures`; `reading`, `selectors` and `grammar`, the
recursive descent; `types`, the checks of a whole tree. Positions are offsets in characters.
"""
