"""Drafting: a declaration to start from, read from what an organisation has: a schema, or samples of its answers.

    sources     the kinds of source, each with its reader     files          opening what was named, with a sentence
    nodes       what every reader below ends in               reading        with what was learnt around it
    schemas     JSON Schema                                   plain_schemas  of plain values
    proofs      how an API is called
    references  what leads from one schema to another         openapi        calls and parameters around them
    xsd         XML Schema                                    samples        JSON, NDJSON and CSV as they come
    elements    XML as it comes                               namespaces     how its names stand in the table
    seen        what stood at one place of samples            guesses        what a text or a name looks like
    columns     how a CSV file is written                     records        where records stand, how pages follow
    times       which members say when, and whose             fields         which a person decides on together
    calls       names of calls                                apart          types that would be records twice
    drafts      all of the above for one reading              writing        the TOML

A reader never opens an address, an entity or a file outside the folder of the one it was given. What the table of
shapes cannot say is a `Remark`: where, what, and what to write instead.

The one invariant: of a sample only names and kinds go on, never a value. Keys that look like data are no names.
"""
