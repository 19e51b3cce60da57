"""Drafting: a declaration to start from, read from what an organisation has: a schema, or samples of its answers.

    sources    the kinds of source, each with its reader
    files      opening what was named, with a sentence for whatever is wrong
    nodes      the one representation that every reader below ends in       reading   with what was learnt around it
    schemas    JSON Schema; plain_schemas of plain values  references what leads from one schema to another
    openapi    calls and parameters around such schemas    xsd        XML Schema
    samples    JSON, NDJSON and CSV as they come           elements   XML as it comes
    seen       what stood at one place of samples          namespaces how names of XML are written in the table
    guesses    what a text or a name looks like            columns    how a CSV file is written
    records    where the records stand, and how pages follow
    times      which members say when, and whose           fields     which members a person decides on together
    calls      which calls there are, by which names       apart      no record inside another
    drafts     all of the above for one reading            writing    the TOML

A reader never opens an address, an entity or a file outside the folder of the one it was given. What the table of
shapes cannot say is a `Remark`: where, what, and what to write instead.

The one invariant: of a sample only names and kinds go on, never a value. Keys that look like data are no names.
"""
