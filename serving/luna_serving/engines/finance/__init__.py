"""Finance models as pure numerics: values of options, simulation, portfolios.

Here belong functions from parameters to numbers. Requests, charges and jobs belong to the capabilities.
"""
