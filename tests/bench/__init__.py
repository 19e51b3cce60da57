"""The side-by-side bench of the data plane: Aval beside nginx, Apache mod_oauth2 and nginx auth_request.

    make bench ONLY=data-plane            everything, at most ten minutes: one table, and results/latest.json
    python -m tests.bench --quick         nginx's plain proxy beside Aval, 2 KB, one minute: for steering
    python -m tests.bench --profile       Aval under load, and where its time went

Being built.
"""
