"""The front end: REST API, login, the Optuna dashboard, and clients for both.

Nothing is imported here, so that a client starts without the server's packages.
"""
