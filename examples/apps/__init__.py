"""Two apps that ask people for data through Aval: Watt Coach (energy) and Clear Budget (bank and health).

They are ordinary OAuth clients built on Authlib's own client. All they know of the gateway is its address; the rest
they read from its metadata. What they ask for is written once, in the declaration beside each of them.

    client    OAuth and data calls    web    sessions, pages, starting    watt_coach, clear_budget    what each does
"""
