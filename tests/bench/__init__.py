"""The side-by-side bench of the data plane: what Aval costs beside servers that check less.

    make bench ONLY=data-plane               everything, some four minutes: one table, and results/latest.json
    python -m tests.bench --quick            nginx's plain proxy beside Aval, 2 kB, under a minute: for steering
    python -m tests.bench --profile          Aval under load, and where the time of each thread went
                          --kind bank|neighbours|claims|everything|usage|dpop
    make bench ONLY=processes                Aval on PostgreSQL beside Aval on SQLite, one process and several
    make bench ONLY=formats                  what it costs to cut JSON of a declared format, and CSV, half a minute
    make bench ONLY=tokens                   what tokens cost, beside two other authorization servers, four minutes

    __main__   the command line, the bound in time      dataplane  the groups of measurements, in order
    stage      data server, what is asked of Aval       measure    slices in turn, medians
    aval       a prepared gateway, tokens, proofs       crowd      the same among a million people
    nginx, apache, issuer    the other stacks           load       wrk, and load.lua in it
    documents  what is read: examples/data as files     figures    ratios, goals, table, file
    processes  started, pinned, counted by /proc, ended tools      what has to be installed
    scale      PostgreSQL beside SQLite                 database   PostgreSQL for it, and what it says of itself
    scale_figures   its ratios, verdicts, table         postgres_crowd   the million people there
    formats    answers cut in this process, no server
    tokens     tokens and the flow, side by side        token_sides      the servers, and what is asked of each
    token_rows   a million live tokens                  django_oauth, provider.mjs   the other two servers

Everything is on loopback, on ports that were free. The server under test has the first core to itself; the load
and the data server share the second, and so does this program. All stacks on their best: connections kept upstream,
buffers that hold the answer, no access log but Aval's own. Rates and latencies are noisy; CPU time for one served
request, read from /proc, is what to steer by. What a server refuses is not served: a figure of a server that
refused more than a few is marked as not sound, and no ratio is made of it.

It owns no code of the gateway and changes none: a data folder is prepared by the rooms' verbs and `aval serve` is
started on it, as an operator does. What cannot be installed is left out and named. `.bench/` keeps the packages of
oidc-provider and the crowd between runs.
"""
