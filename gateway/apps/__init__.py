"""Apps: who may ask people for data, and what each declared about itself.

It owns the declaration (one TOML file each), the app's secret (as a hash), its logo (served
from our own address, never fetched from theirs) and its standing: active or suspended. It
knows nothing of consents and tokens: an app's registration says what it *may ask*, never
what it may read.

The one invariant: what an app declared is stored as one document with one hash. Any later
change of its name, addresses, keys or data is a different hash, so that an agreement made
with the old one can be told from one made with the new.

    declare    read and check a file, every fault at once     verbs   register, suspend, resume, verify
    addresses, keysets, logos   the rules it checks   views   what other rooms see of an app
"""
