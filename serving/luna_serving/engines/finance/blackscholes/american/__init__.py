"""American options by spectral collocation of the exercise boundary (Andersen, Lake and Offengenden, 2016)."""
