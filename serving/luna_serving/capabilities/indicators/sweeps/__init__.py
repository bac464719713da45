"""Jobs of kind `indicators`: the body of `POST /indicators` over a whole market, with tables as artifacts."""
