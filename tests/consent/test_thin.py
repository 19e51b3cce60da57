def test_it(place, alice):
    consent = place.asks(alice)
    page = alice.sees(consent)
    print(page.status, page.text)
    done = alice.allows(consent)
    assert done.location.startswith("/authorize?")
    assert place.consent(consent).state == "active"
    for path in ("", "/stop", "/seen"):
        page = alice.gets(f"/sharings/{consent}{path}"); print(page.status, page.text)
    page = alice.gets(f"/sharings"); print(page.status, page.text)
    page = alice.does(consent, "stop"); print(page.status, page.location)
    page = alice.gets(page.location); print(page.status, page.text)
    assert 0
